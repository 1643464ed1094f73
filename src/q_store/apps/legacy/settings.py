"""From a `TrainingConfig` to what the parts are told: the training, the client, the members of the pool."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from q_store.apps.legacy.choice import Adaptive, Frozen
from q_store.config import ModelShape, TrainingConfig
from q_store.config.sections import ENTANGLEMENTS
from q_store.gradients import GradientEstimator, make
from q_store.names import NAMES
from q_store.training.settings import TrainingSettings

METHODS: dict[str, dict[str, Any]] = {
    "parameter_shift": {"gradient": "parameter_shift"},
    "finite_diff": {"gradient": "finite_difference"},
    "spsa": {"gradient": "spsa"},
    "spsa_parallel": {"gradient": "spsa"},
    "spsa_subsampled": {"gradient": "spsa"},
    "adaptive": {"gradient": "parameter_shift"},
    "natural_gradient": {"gradient": "parameter_shift"},
}
"""`gradient_method` in terms of `TrainingSettings`; `adaptive` is an estimator of its own."""
ONE_TRY = 60.0
"""Seconds that one try of a call may take at most."""


@dataclass(frozen=True)
class Shape:
    """What settings must know of the model and the data: rows a batch, epochs, readout weights, layers."""

    batch: int
    epochs: int
    weights: int
    layers: int


def settings(config: TrainingConfig, shape: Shape) -> TrainingSettings:
    """How to train. Raises ConfigError for what a model or a schedule does not allow."""
    training = config.training
    return TrainingSettings(
        epochs=shape.epochs,
        batch_size=shape.batch,
        schedule="constant",
        optimiser=training.optimizer,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        gradient_clip=training.clip_value if training.clip else None,
        checkpoint_epochs=training.checkpoint_interval,
        seed=training.seed,
        optimise=config.optimisation.does("merge"),
        prune=config.optimisation.fidelity if _prunes(config, shape) else None,
        **_rates(config, shape.weights),
        **gradient(config),
        **shots(config),
        **depth(config, shape.layers),
    )


def estimator(config: TrainingConfig, chosen: TrainingSettings, frozen: Collection[int]) -> GradientEstimator:
    """The gradient of the settings, or of the name `adaptive`, without the parameters that stay."""
    found = Adaptive(config.gradient.perturbation) if config.method == "adaptive" else make(chosen)
    return Frozen(found, frozen) if frozen else found


def overruled(config: TrainingConfig, model: ModelShape, batch: int | None, weights: int) -> list[str]:
    """Sentences on what was given and means nothing, as model or loader say another thing.

    Args:
        config: what was given.
        model: what the model is like.
        batch: rows of a loader's batch; None: where arrays are cut as asked for.
        weights: of the readout.
    """
    names = {each.place: each.name for each in NAMES.values() if each.renamed is None}
    found = []
    for field in sorted(config.model.model_fields_set):
        wanted, own = getattr(config.model, field), getattr(model, field)
        if ENTANGLEMENTS.get(wanted, wanted) != ENTANGLEMENTS.get(own, own):
            found.append(f"{names['model', field]}={wanted!r} has no effect: the model was made with {own!r}")
    size = config.training.batch_size
    if batch not in {None, size} and config.was_given("batch_size"):
        found.append(f"batch_size={size} has no effect: the loader brings batches of {batch}")
    rate = config.training.learning_rate
    if config.was_given("learning_rate") and not weights and _rates(config, 0)["learning_rate"] != rate:
        found.append(
            f"learning_rate={rate} has no effect: spsa_a_initial is that of the circuit, and there is no readout"
        )
    return found


def _prunes(config: TrainingConfig, shape: Shape) -> bool:
    """Whether entanglers are left out; where it was not asked for itself, only as far as the rest allows it."""
    own = config.optimisation.prune
    if own is not None:
        return own
    growing = config.depth.adaptive and config.depth.schedule == "grow"
    return config.optimisation.enabled and shape.epochs > 1 and not growing


def _rates(config: TrainingConfig, weights: int) -> dict[str, Any]:
    """The gain of SPSA is that of the circuit; the readout keeps the learning rate."""
    rate = config.training.learning_rate
    if not (config.method.startswith("spsa") and config.was_given("spsa_a_initial")):
        return {"learning_rate": rate}
    own = {"readout_learning_rate": rate} if weights else {}
    return {"learning_rate": config.gradient.gain, **own}


def gradient(config: TrainingConfig) -> dict[str, Any]:
    """The method, and what belongs to it."""
    options, method = config.gradient, config.method
    chosen = dict(METHODS[method])
    if chosen["gradient"] == "spsa":
        chosen["spsa_perturbation"] = options.perturbation
    if method == "spsa_subsampled":
        chosen["spsa_rows"] = options.subsample
    if method == "natural_gradient":
        chosen |= {
            "metric": options.metric,
            "metric_regularization": options.regularization,
            "metric_cache": options.metric_cache,
        }
    return chosen


def shots(config: TrainingConfig) -> dict[str, Any]:
    """Always the same number, or a schedule."""
    options = config.shots
    if not options.adaptive:
        return {"shots": options.per_circuit}
    return {
        "shots": options.base,
        "shot_schedule": options.schedule,
        "min_shots": options.least,
        "max_shots": options.most,
    }


def depth(config: TrainingConfig, layers: int | None) -> dict[str, Any]:
    """A schedule over so many layers; None: not known here."""
    options = config.depth
    most = layers if options.most is None else options.most
    chosen: dict[str, Any] = {} if options.most is None else {"max_depth": options.most}
    if options.adaptive and options.schedule != "fixed":
        least = options.least if most is None else min(options.least, most)
        chosen |= {"depth_schedule": options.schedule, "min_depth": least}
    return chosen


def client(config: TrainingConfig) -> dict[str, Any]:
    """Options of `IonQSettings`: connections, deadlines, caches, gates."""
    submission, caching = config.submission, config.caching
    options: dict[str, Any] = {
        "connections": submission.connections,
        "in_flight": submission.at_once,
        "parallel": 1,  # the pool cuts jobs
        "kept_circuits": caching.size if caching.bound else 0,
    }
    if not caching.templates:
        options["kept_structures"] = 0
    if submission.send_timeout is not None:
        options["call_deadline"] = submission.send_timeout
        options["timeout"] = min(submission.send_timeout, ONE_TRY)
    if submission.batch_timeout is not None:
        options["deadline"] = submission.batch_timeout
    return options
