"""Training: objectives, optimisers, schedules, checkpoints and the trainer; it sees an executor, never a backend."""

from q_store.training.checkpoint import CheckpointFile
from q_store.training.loss import CrossEntropy, Energy, FunctionLoss, Loss, SquaredError
from q_store.training.objective import Evaluation, Objective
from q_store.training.readout import IdentityReadout, LinearReadout, Readout
from q_store.training.refit import refit
from q_store.training.settings import TrainingSettings
from q_store.training.state import TrainingResult
from q_store.training.trainer import Trainer

__all__ = [
    "CheckpointFile",
    "CrossEntropy",
    "Energy",
    "Evaluation",
    "FunctionLoss",
    "IdentityReadout",
    "LinearReadout",
    "Loss",
    "Objective",
    "Readout",
    "SquaredError",
    "Trainer",
    "TrainingResult",
    "TrainingSettings",
    "refit",
]
