"""What the options of adaptive training ask of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from q_store.errors import ConfigError

if TYPE_CHECKING:
    from q_store.training.settings import TrainingSettings

NOISE_SHARE = 0.5
"""Of the gradient, where none is given."""


def shot_range(settings: TrainingSettings) -> tuple[int, int]:
    """(least, most) shots of a schedule; by default half and twice the usual number."""
    base = settings.shots or 1
    least = max(1, base // 2) if settings.min_shots is None else settings.min_shots
    return least, 2 * base if settings.max_shots is None else settings.max_shots


def check(settings: TrainingSettings) -> None:
    """Raise ConfigError for options that contradict each other or would have no effect."""
    _check_shots(settings)
    _check_depth(settings)


def _check_shots(settings: TrainingSettings) -> None:
    schedule, constant = settings.shot_schedule, settings.shot_schedule == "constant"
    for name in ("min_shots", "max_shots"):
        if constant and getattr(settings, name) is not None:
            msg = f"expected a shot_schedule with {name}, got 'constant'; choose 'phase' or 'variance', or leave it out"
            raise ConfigError(msg)
    if settings.noise_share is not None and schedule != "variance":
        msg = f"expected shot_schedule='variance' with noise_share, got {schedule!r}; choose it, or leave it out"
        raise ConfigError(msg)
    if constant:
        return
    if settings.shots is None:
        msg = f"expected shots with shot_schedule={schedule!r}, got None; give the usual number, such as 1000"
        raise ConfigError(msg)
    if settings.optimiser == "rotosolve" and schedule == "variance":
        msg = (
            "expected a gradient with shot_schedule='variance', got optimiser='rotosolve', which has none; take 'phase'"
        )
        raise ConfigError(msg)
    least, most = shot_range(settings)
    if not least <= settings.shots <= most:
        msg = f"expected min_shots <= shots <= max_shots, got {least}, {settings.shots} and {most}; change one of them"
        raise ConfigError(msg)


def _check_depth(settings: TrainingSettings) -> None:
    least, most = settings.min_depth, settings.max_depth
    if settings.depth_schedule == "fixed" and least is not None:
        msg = "expected a depth_schedule with min_depth, got 'fixed'; choose one, or give max_depth"
        raise ConfigError(msg)
    if least is not None and most is not None and least > most:
        msg = f"expected min_depth <= max_depth, got {least} and {most}; change one of them"
        raise ConfigError(msg)
    if not settings.epochs and (settings.depth_schedule != "fixed" or settings.prune is not None):
        msg = "expected epochs above 0 with depth_schedule or prune, which act from epoch to epoch, got 0"
        raise ConfigError(f"{msg}; leave them out, or give max_depth")
    if settings.prune is not None and settings.epochs == 1:
        msg = "expected 2 epochs or more with prune, which acts after 30 % of them, got 1; leave it out"
        raise ConfigError(msg)
    if settings.prune is not None and settings.depth_schedule == "grow":
        msg = "expected prune or depth_schedule='grow', got both: it would drop the layer that enters; leave one out"
        raise ConfigError(msg)
    if settings.optimiser == "rotosolve" and (settings.depth_schedule != "fixed" or settings.prune is not None):
        msg = (
            "expected one circuit with optimiser='rotosolve', which goes through its parameters in turn, got "
            "depth_schedule or prune; leave them out"
        )
        raise ConfigError(msg)
