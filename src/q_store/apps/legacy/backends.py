"""The backends and the `BackendManager` of v3.4, as far as programs hand them on: names, and what runs behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from q_store.apps.legacy.dicts import Given
from q_store.apps.legacy.orchestrator import SHOTS, execute, members
from q_store.apps.legacy.results import ExecutionResult
from q_store.errors import InputError, suggestion
from q_store.jobs import AnyExecutor
from q_store.models.trained import default_backend
from q_store.pool.membership import Member
from q_store.pool.pool import Pool

MOCK = "mock_ideal"
"""Name of the engine on this machine in a manager; `mock` in v3.4."""


class PoolBackend:
    """Anything that runs jobs, with `name` and `execute_batch`.

    Args:
        name: of it. member: its member in a pool.
    """

    def __init__(self, name: str, member: Member) -> None:
        self.name, self.member = name, member

    async def execute_batch(self, circuits: Sequence[Given], shots: int = SHOTS) -> list[ExecutionResult]:
        """Results of circuits as dicts, in their order. Raises as `MultiBackendOrchestrator.execute_distributed`."""
        return await execute(Pool([self.member]), circuits, shots)

    def get_backend_info(self) -> dict[str, Any]:
        """`name`, `max_qubits` and `noise_id`."""
        can = self.member.backend.capabilities
        return {"name": self.name, "max_qubits": can.max_qubits, "noise_id": can.noise_id}


class BackendManager:
    """Backends by name, one of which is the default."""

    def __init__(self) -> None:
        self._backends: dict[str, Any] = {}
        self._default: str | None = None

    def register_backend(self, name: str, backend: Any, metadata: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Keep a backend; the first is the default. Raises InputError for what is none."""
        (member,) = members([backend])
        self._backends[name] = backend if hasattr(backend, "execute_batch") else PoolBackend(name, member)
        self._default = self._default or name

    def set_default_backend(self, name: str) -> None:
        """Choose the default. Raises InputError for an unknown name."""
        self.get_backend(name)
        self._default = name

    def get_backend(self, name: str | None = None) -> Any:
        """The backend of this name, or the default. Raises InputError where there is none."""
        wanted = name or self._default or ""
        if wanted not in self._backends:
            raise InputError(f"expected a backend by its name, got {wanted!r}{suggestion(wanted, self._backends)}")
        return self._backends[wanted]

    def list_backends(self) -> list[str]:
        """The names."""
        return list(self._backends)


def create_default_backend_manager() -> BackendManager:
    """A manager with the engine on this machine."""
    manager = BackendManager()
    manager.register_backend(MOCK, default_backend())
    return manager


def executor_of(backend: Any) -> AnyExecutor:
    """What runs jobs on anything that is taken for a backend; None is the engine on this machine."""
    if backend is None:
        return default_backend()
    if isinstance(backend, BackendManager):
        return executor_of(backend.get_backend())
    engine = getattr(getattr(getattr(backend, "member", None), "backend", None), "engine", None)
    if engine is not None:  # without an event loop
        return engine  # type: ignore[no-any-return]
    if hasattr(backend, "run") or hasattr(backend, "run_async"):
        return backend  # type: ignore[no-any-return]
    return Pool(members([backend]))
