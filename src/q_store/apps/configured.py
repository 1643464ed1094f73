"""`q-store train --config FILE --set name=value`: the names of `TrainingConfig` in terms of the command's own options.

A name acts as it does for `QuantumTrainer`, or is refused with what to give instead: the model is that of the command,
a pool has a file of its own, and a run folder keeps what monitoring would.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from q_store.errors import ConfigError
from q_store.names import NAMES

if TYPE_CHECKING:
    from q_store.apps.train import Options
    from q_store.config import TrainingConfig

Place = tuple[str, str]
OPTIONS: dict[Place, str] = {
    ("backends", "target"): "target",
    ("backends", "noise"): "noise",
    ("backends", "url"): "url",
    ("training", "batch_size"): "batch_size",
    ("training", "epochs"): "epochs",
    ("training", "seed"): "seed",
}
"""Names that are options of the command, which go before them."""
SETTINGS: dict[Place, str] = {
    ("training", "learning_rate"): "learning_rate",
    ("training", "optimizer"): "optimiser",
    ("training", "momentum"): "momentum",
    ("training", "weight_decay"): "weight_decay",
    ("training", "checkpoint_interval"): "checkpoint_epochs",
}
"""Names that are options of `TrainingSettings`."""
WHOLE = {"gradient": "gradient", "shots": "shots", "depth": "depth", "optimisation": "optimise"}
"""Sections that act together, see `_training`."""
REFUSED = {
    "model": "the command names a model, and that has its own circuit; see: q-store models",
    "submission": "give max_slice and max_in_flight in a pool file: --pool FILE",
    "caching": "the client keeps what it needs",
    "monitoring": "the run folder keeps metrics, checkpoints and the result",
    "features": "name what you want instead",
    "retired": "nothing is sent there; leave it out",
}
ACTING = {
    ("submission", "native"),
    ("backends", "sdk"),
    ("monitoring", "dashboard"),
    ("monitoring", "dashboard_port"),
    ("monitoring", "track"),
}
"""Names that act though the others of their section do not."""
NAMED = "named"
"""Of the config of a run: what was named and is no option of the command."""
PLAIN = (bool, int, float, str, type(None))
_ELSEWHERE = {
    ("backends", "several"): "give the members in a pool file: --pool FILE",
    ("backends", "members"): "give the members in a pool file: --pool FILE",
    ("backends", "api_key"): "set IONQ_API_KEY, or give --key-file FILE",
    ("training", "checkpoint_directory"): "checkpoints go into the run folder: --out DIR",
}


def is_set(environ: Mapping[str, str]) -> bool:
    """Whether a name is set in the environment, or a slip of one."""
    from q_store.config.sources import misspelt

    return any(environ.get(f"Q_STORE_{name.upper()}") for name in (*NAMES, "track")) or any(misspelt(environ))


def configured(options: Options) -> Options:
    """The options, with what file, environment and words say where the command line says nothing itself.

    Raises:
        ConfigError: for a name that does not act here; says what to do instead. Others as `TrainingConfig`.
    """
    if options.config is None and not options.words and not is_set(os.environ):
        return options
    from q_store.config import TrainingConfig

    if options.resume is not None:
        if options.config is None and not options.words:  # what was set when the run began counts, but for who watches
            return _shown(options, TrainingConfig.load(None, os.environ))
        raise ConfigError("expected --resume without --config and --set, got both; a run goes on as it was started")
    words = (*options.words, "enable_dashboard=true") if options.dashboard else options.words
    config = TrainingConfig.load(options.config, os.environ, words)
    _refuse(config)
    return _merged(options, config)


def _refuse(config: TrainingConfig) -> None:
    for place in sorted(config.given):
        section, field = place
        if place in ACTING:
            continue
        reason = _ELSEWHERE.get(place) or REFUSED.get(section)
        if reason is not None:
            name = next((each.name for each in NAMES.values() if each.place == place), f"{section}.{field}")
            raise ConfigError(f"expected no {name} for q-store train, got one; {reason}")
    if config.backends.provider not in {"local", "ionq"}:
        raise ConfigError(
            f"expected quantum_sdk mock or ionq for q-store train, got {config.backends.sdk!r}; other simulators are "
            "members of a pool: --pool FILE"
        )


def _merged(options: Options, config: TrainingConfig) -> Options:
    found: dict[str, Any] = {
        name: getattr(getattr(config, s), f) for (s, f), name in OPTIONS.items() if (s, f) in config.given
    }
    if ("backends", "sdk") in config.given:
        found["backend"] = config.backends.provider
    if ("submission", "native") in config.given and (options.backend or found.get("backend")) == "ionq":
        found["gateset"] = "native" if config.submission.native else "qis"
    settings = {name: getattr(getattr(config, s), f) for (s, f), name in SETTINGS.items() if (s, f) in config.given}
    settings |= _training(config)
    known = {each.name for each in fields(options)}
    found |= {name: settings.pop(name) for name in [*settings] if name in known}
    own = {name: value for name, value in found.items() if getattr(options, name) is None}
    if settings and vars(options).get("recipe") is not None:
        raise ConfigError(f"expected --recipe or {next(iter(settings))}, got both; a recipe trains in its own way")
    return _shown(replace(options, **own, settings=settings or None, named=_named(config)), config)


def _named(config: TrainingConfig) -> dict[str, Any]:
    """What was named and is no option of the command, for those who do the run again."""
    shown = {each.place: each.name for each in NAMES.values() if each.renamed is None}
    return {
        shown.get((section, field), f"{section}.{field}"): value if isinstance(value, PLAIN) else str(value)
        for section, field in sorted(config.given)
        if (section, field) not in {*OPTIONS, *ACTING}
        for value in [getattr(getattr(config, section), field)]
    }


def _shown(options: Options, config: TrainingConfig) -> Options:
    """With the page, where it is switched on, and the trackers; port and trackers of the command line go before."""
    dashboard = options.dashboard or config.monitoring.dashboard
    port = config.monitoring.dashboard_port if dashboard and options.port is None else options.port
    return replace(options, dashboard=dashboard, port=port, track=options.track or config.monitoring.tracked)


def _training(config: TrainingConfig) -> dict[str, Any]:
    """What the sections that act together come to, where one of their names was given."""
    from q_store.apps.legacy.settings import depth, gradient, shots

    acting = config.acting - {("gradient", "natural")} if not config.gradient.natural else config.acting
    sections = {section for section, _ in acting}
    found: dict[str, Any] = {}
    if {("training", "clip"), ("training", "clip_value")} & config.given:
        found["gradient_clip"] = config.training.clip_value if config.training.clip else None
    if ("shots", "per_circuit") in acting or config.shots.adaptive:
        found |= shots(config)
        if found["shots"] is not None:
            found["gradient"] = "parameter_shift"
    if "gradient" in sections:
        found |= gradient(config)
    if "depth" in sections:
        found |= depth(config, None)
    if "optimisation" in sections:
        found["optimise"] = config.optimisation.does("merge") or None
        found["prune"] = config.optimisation.fidelity if config.optimisation.does("prune") else None
    if found.keys() & {"gradient", "shots", "metric"}:
        found["finish_iterations"] = 0  # L-BFGS needs exact gradients
    return found
