"""What a training is told: typed sections, and the flat names of v3.4 and v3.5."""

from q_store.config.sections import (
    Backends,
    Caching,
    Depth,
    Features,
    Gradient,
    MemberConfig,
    ModelShape,
    Monitoring,
    Optimisation,
    Retired,
    Section,
    Shots,
    Submission,
    Training,
)
from q_store.config.training_config import TrainingConfig

__all__ = [
    "Backends",
    "Caching",
    "Depth",
    "Features",
    "Gradient",
    "MemberConfig",
    "ModelShape",
    "Monitoring",
    "Optimisation",
    "Retired",
    "Section",
    "Shots",
    "Submission",
    "Training",
    "TrainingConfig",
]
