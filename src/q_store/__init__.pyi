from typing import Any

from q_store.apps.legacy.adaptive import (
    AdaptiveCircuitOptimizer as AdaptiveCircuitOptimizer,
)
from q_store.apps.legacy.adaptive import (
    AdaptiveShotAllocator as AdaptiveShotAllocator,
)
from q_store.apps.legacy.backends import (
    BackendManager as BackendManager,
)
from q_store.apps.legacy.backends import (
    create_default_backend_manager as create_default_backend_manager,
)
from q_store.apps.legacy.foreign import QuantumBackend as QuantumBackend
from q_store.apps.legacy.layers import (
    AmplitudeEncoder as AmplitudeEncoder,
)
from q_store.apps.legacy.layers import (
    HardwareEfficientQuantumLayer as HardwareEfficientQuantumLayer,
)
from q_store.apps.legacy.models import (
    QuantumFashionClassifier as QuantumFashionClassifier,
)
from q_store.apps.legacy.models import (
    QuantumModel as QuantumModel,
)
from q_store.apps.legacy.natural import NaturalGradientEstimator as NaturalGradientEstimator
from q_store.apps.legacy.orchestrator import MultiBackendOrchestrator as MultiBackendOrchestrator
from q_store.apps.legacy.results import (
    ExecutionResult as ExecutionResult,
)
from q_store.apps.legacy.results import (
    GradientResult as GradientResult,
)
from q_store.apps.legacy.results import (
    TrainingMetrics as TrainingMetrics,
)
from q_store.apps.legacy.trainer import QuantumTrainer as QuantumTrainer
from q_store.apps.run import Run as Run
from q_store.apps.run import open_run as open_run
from q_store.apps.watching import watch as watch
from q_store.config import TrainingConfig as TrainingConfig

__version__: str
LAZY: dict[str, str]

def __getattr__(name: str) -> Any: ...
