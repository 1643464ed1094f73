"""What cannot be meant: values that contradict each other. Messages name the flat names."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Any

from q_store.config.sections import ENTANGLEMENTS, SDKS
from q_store.errors import ConfigError, suggestion

if TYPE_CHECKING:
    from q_store.config.training_config import TrainingConfig

OPTIMISERS = ("adam", "sgd")
Given = Container[tuple[str, str]]


def check(config: TrainingConfig, given: Given) -> None:
    """Raise ConfigError unless the sections go together; `given` has the (section, field) that were named."""
    for each in CHECKS:
        each(config, given)


def _names(config: TrainingConfig, given: Given) -> None:  # noqa: ARG001
    sdk, optimizer, pairs = config.backends.sdk, config.training.optimizer, config.model.entanglement
    if sdk == "cirq":
        raise ConfigError(
            "expected quantum_sdk of mock, ionq or qiskit, got 'cirq'; say 'ionq' for IonQ, in whatever SDK"
        )
    _known("quantum_sdk", sdk, SDKS)
    if optimizer == "natural_gradient":
        raise ConfigError("expected the optimizer adam or sgd, got 'natural_gradient'; it is a gradient_method")
    _known("optimizer", optimizer, OPTIMISERS)
    _known("entanglement", pairs, ENTANGLEMENTS)


def _known(name: str, value: str, known: Any) -> None:
    if value not in known:
        raise ConfigError(f"expected {name} of {', '.join(known)}, got {value!r}{suggestion(value, known)}")


def _shots(config: TrainingConfig, given: Given) -> None:  # noqa: ARG001
    shots = config.shots
    if shots.least > shots.most:
        raise ConfigError(f"expected min_shots <= max_shots, got {shots.least} and {shots.most}; swap them")
    if shots.adaptive and not shots.least <= shots.base <= shots.most:
        raise ConfigError(
            f"expected min_shots <= base_shots <= max_shots, got {shots.least}, {shots.base} and {shots.most}"
        )
    if shots.adaptive and shots.per_circuit is None:
        raise ConfigError(
            "expected shots_per_circuit with adaptive_shot_allocation, got None, which asks for exact values; leave "
            "one out"
        )


def _depth(config: TrainingConfig, given: Given) -> None:
    depth = config.depth
    most = config.model.depth if depth.most is None else depth.most
    named = ("depth", "least") in given or depth.adaptive
    if named and depth.least > most:
        raise ConfigError(
            "expected min_circuit_depth <= max_circuit_depth (circuit_depth where that is not given), got "
            f"{depth.least} and {most}"
        )
    if depth.most is not None and ("model", "depth") in given and depth.most > config.model.depth:
        raise ConfigError(
            f"expected max_circuit_depth <= circuit_depth, got {depth.most} and {config.model.depth}; the model has no "
            "more layers"
        )


def _gradient(config: TrainingConfig, given: Given) -> None:
    gradient, backends = config.gradient, config.backends
    if ("gradient", "natural") in given:
        named = ("gradient", "method") in given
        if gradient.natural != (gradient.method == "natural_gradient") and named:
            raise ConfigError(
                f"expected use_natural_gradient and gradient_method to agree, got {gradient.natural} and "
                f"{gradient.method!r}; leave one out"
            )
    remote = bool(backends.members) or backends.provider != "local"
    if config.method == "natural_gradient" and gradient.metric == "full" and (remote or config.shots.per_circuit):
        which = "a backend that measures" if remote else "shots"
        raise ConfigError(
            f"expected the metric 'block' or 'diagonal' with {which}, got 'full', which needs the state: only "
            "quantum_sdk='mock' with shots_per_circuit=None (the engine on this machine, exact) can supply it"
        )


def _places(config: TrainingConfig, given: Given) -> None:
    backends = config.backends
    if backends.members and not backends.several:
        raise ConfigError("expected enable_multi_backend with backend_configs, got False; leave one of them out")
    if ("backends", "members") in given and not backends.members:
        raise ConfigError("expected one entry of backend_configs or more, got none; leave it out for quantum_sdk alone")
    if backends.provider != "ionq" and not backends.members:
        for field, name in (("noise", "noise"), ("url", "url")):
            if getattr(backends, field) is not None:
                raise ConfigError(f"expected {name} with quantum_sdk='ionq' only, got it with {backends.sdk!r}")
        if backends.target != "simulator":
            raise ConfigError(
                f"expected quantum_sdk='ionq' with quantum_target={backends.target!r}, got {backends.sdk!r}, which "
                "runs on this machine"
            )
    _different(config)


def _different(config: TrainingConfig) -> None:
    """No place twice with one key: its limits and speed would be taken for twice."""
    seen: dict[tuple[Any, ...], int] = {}
    for k, each in enumerate(config.backends.members):
        key = None if each.api_key is None else each.api_key.get_secret_value()
        own = (each.kind, each.target, key, each.noise, each.url, each.device)
        if own in seen:
            what = "the same key twice for the same target" if each.kind == "ionq" else "the same simulator twice"
            raise ConfigError(
                f"expected backend_configs that differ, got {what}: entries {seen[own]} and {k}; leave one out, or "
                "give it another api_key, target or device"
            )
        seen[own] = k


CHECKS: tuple[Callable[[TrainingConfig, Given], None], ...] = (_names, _shots, _depth, _places, _gradient)
