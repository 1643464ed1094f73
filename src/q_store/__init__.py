"""q-store trains variational quantum models over a pool of quantum backends.

The names of v3.4 and v3.5 can be imported from here, and `watch`; they are loaded when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_LEGACY = "q_store.apps.legacy"
LAZY: dict[str, str] = {
    "AdaptiveCircuitOptimizer": f"{_LEGACY}.adaptive",
    "AdaptiveShotAllocator": f"{_LEGACY}.adaptive",
    "AmplitudeEncoder": f"{_LEGACY}.layers",
    "BackendManager": f"{_LEGACY}.backends",
    "ExecutionResult": f"{_LEGACY}.results",
    "GradientResult": f"{_LEGACY}.results",
    "HardwareEfficientQuantumLayer": f"{_LEGACY}.layers",
    "MultiBackendOrchestrator": f"{_LEGACY}.orchestrator",
    "NaturalGradientEstimator": f"{_LEGACY}.natural",
    "QuantumBackend": f"{_LEGACY}.foreign",
    "QuantumFashionClassifier": f"{_LEGACY}.models",
    "QuantumModel": f"{_LEGACY}.models",
    "QuantumTrainer": f"{_LEGACY}.trainer",
    "Run": "q_store.apps.run",
    "TrainingConfig": "q_store.config",
    "TrainingMetrics": f"{_LEGACY}.results",
    "create_default_backend_manager": f"{_LEGACY}.backends",
    "open_run": "q_store.apps.run",
    "watch": "q_store.apps.watching",
}
"""Names, and the module that has each; `__init__.pyi` tells type checkers the same."""
__all__ = [*LAZY, "__version__"]  # noqa: PLE0604  # they are texts


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module 'q_store' has no attribute {name!r}")
    found = getattr(import_module(LAZY[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *LAZY})
