"""Names that were given and cannot act, as the rest of a configuration stands.

A name acts, or is refused, or is here. What belongs to a switch that is off, or to another method, warns: it was meant
to act. Where the switch itself was given, the program says so, and nothing warns. What only a service would feel is
taken in silence where there is none, as programs are tried on this machine before they are sent; the performance report
says it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from q_store.names import NAMES

if TYPE_CHECKING:
    from q_store.config.training_config import TrainingConfig

SPSA = ("spsa", "spsa_parallel", "spsa_subsampled")
_PAIRS = (*SPSA, "adaptive")
Place = tuple[str, str]


@dataclass(frozen=True)
class Belongs:
    """Names that act together with another one only.

    Attributes:
        names: of the table in `q_store.names`. to: what they need, as it is written. acts: whether they have it.
        switch: the name that can switch them off in silence.
    """

    names: tuple[str, ...]
    to: str
    acts: Callable[[TrainingConfig], bool]
    switch: str | None = None


BELONGS: tuple[Belongs, ...] = (
    Belongs(
        ("min_shots", "max_shots", "base_shots"),
        "adaptive_shot_allocation=True",
        lambda config: config.shots.adaptive,
        "adaptive_shot_allocation",
    ),
    Belongs(
        ("circuit_depth_schedule", "min_circuit_depth"),
        "adaptive_circuit_depth=True",
        lambda config: config.depth.adaptive,
        "adaptive_circuit_depth",
    ),
    Belongs(
        ("natural_gradient_regularization", "qfim_cache_size"),
        "use_natural_gradient=True",
        lambda config: config.method == "natural_gradient",
        "use_natural_gradient",
    ),
    Belongs(("spsa_c_initial",), "SPSA or adaptive as gradient_method", lambda config: config.method in _PAIRS),
    Belongs(("spsa_a_initial",), "SPSA as gradient_method", lambda config: config.method in SPSA),
    Belongs(
        ("gradient_subsample_size",),
        "gradient_method='spsa_subsampled'",
        lambda config: config.method == "spsa_subsampled",
    ),
    Belongs(
        ("gradient_clip_value",),
        "use_gradient_clipping=True",
        lambda config: config.training.clip,
        "use_gradient_clipping",
    ),
    Belongs(
        ("max_concurrent_circuits",),
        "adaptive_batch_sizing=False, as that sends one job after another",
        lambda config: not (config.submission.concurrent and config.submission.adaptive),
    ),
    Belongs(
        ("max_concurrent_circuits", "max_parallel_circuits", "adaptive_batch_sizing"),
        "use_concurrent_submission=True",
        lambda config: config.submission.concurrent,
        "use_concurrent_submission",
    ),
    Belongs(("cache_size",), "enable_circuit_cache=True", lambda config: config.caching.bound, "enable_circuit_cache"),
    Belongs(
        ("performance_log_dir",),
        "enable_performance_tracking=True",
        lambda config: config.monitoring.performance,
        "enable_performance_tracking",
    ),
    Belongs(
        ("dashboard_port",), "enable_dashboard=True", lambda config: config.monitoring.dashboard, "enable_dashboard"
    ),
)

SERVICE = (
    "quantum_api_key", "use_native_gates", "connection_pool_size", "batch_submission_timeout", "batch_timeout",
    "enable_smart_caching", "enable_circuit_cache", "cache_size",
)  # fmt: skip
"""Names that IonQ's client heeds."""
POOL = (
    "use_concurrent_submission", "enable_batch_execution", "enable_circuit_batching", "max_concurrent_circuits",
    "max_parallel_circuits", "adaptive_batch_sizing", "max_queue_wait_time",
)  # fmt: skip
"""Names that a pool heeds; the engine on this machine alone is none."""
MEMBERS = ("quantum_sdk", "quantum_api_key", "quantum_target")
"""Names of the one backend there is without `backend_configs`."""


def idle(config: TrainingConfig, named: Collection[Place], given: Collection[Place]) -> dict[str, list[str]]:
    """Of the (section, field) `named`, the flat names to warn of: by what they need.

    `given` has every (section, field) that was given, now or before.
    """
    found: dict[str, list[str]] = {}
    for each in BELONGS:
        own = [name for name in each.names if NAMES[name].place in named]
        off = each.switch is not None and NAMES[each.switch].place in given
        if own and not off and not each.acts(config):
            found[each.to] = own
    return found


def asleep(config: TrainingConfig) -> set[Place]:
    """The (section, field) of details whose switch is off, or that belong to another method, given or not."""
    return {NAMES[name].place for each in BELONGS if not each.acts(config) for name in each.names}


def unfelt(config: TrainingConfig) -> list[str]:
    """Names that were given and that nothing feels where this configuration runs circuits, as the table has them."""
    backends = config.backends
    kinds = {each.kind for each in backends.members} or {backends.provider}
    names = set(MEMBERS) if backends.members else set()
    if "ionq" not in kinds:
        names |= set(SERVICE)
        if not backends.several and backends.provider == "local":
            names |= set(POOL)
    return [each.name for each in NAMES.values() if each.name in names and each.place in config.given]
