"""The sections of a configuration: frozen, typed, every field checked. `q_store.names` has the flat name of each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from q_store.errors import ConfigError, suggestion

SDKS = {"mock": "local", "local": "local", "ionq": "ionq", "qiskit": "qiskit_aer", "qiskit_aer": "qiskit_aer"}
"""Values of `quantum_sdk`, and the provider that each stands for."""
PROVIDERS = ("ionq", "local")
SIMULATORS = {"q_store": "local", "qiskit_aer": "qiskit_aer"}
ENTANGLEMENTS = {
    "linear": "linear",
    "ring": "ring",
    "circular": "ring",
    "all_to_all": "all_to_all",
    "full": "all_to_all",
}
"""Values of `entanglement`, and the name of each in `circuits.templates`."""
MAX_SHOTS = 1_000_000
Method = Literal[
    "parameter_shift", "finite_diff", "spsa", "spsa_parallel", "spsa_subsampled", "adaptive", "natural_gradient"
]


class Section(BaseModel):
    """What the sections share: frozen, no unknown field, errors as ConfigError."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    @classmethod
    def made(cls, where: str, values: dict[str, Any], shown: dict[str, str]) -> Self:
        """A section of these values.

        Args:
            where: what stands before a message.
            values: by field.
            shown: the name that the user wrote, by field.

        Raises:
            ConfigError: for an unknown field or a value that cannot be used.
        """
        for name in values:
            if name not in cls.model_fields:
                raise ConfigError(
                    f"{where}expected a field of {cls.__name__}, got {name!r}{suggestion(name, cls.model_fields)}"
                )
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            field = str(first["loc"][0])
            got = "" if "key" in field else f", got {values[field]!r}"
            raise ConfigError(
                f"{where}expected {shown.get(field, field)} {_wanted(first)}{got}{_hint(first, values[field])}"
            ) from None


_RANGES = {
    "greater_than_equal": "of {ge:,} or more",
    "less_than_equal": "of {le:,} or less",
    "greater_than": "above {gt:g}",
    "less_than": "below {lt:g}",
}
_KINDS = {
    "int": "as a whole number",
    "float": "as a number",
    "finite": "as a finite number",
    "bool": "as true or false",
    "path": "as a path",
    "string": "as text",
}


def _wanted(problem: Any) -> str:
    """What a value should have been, from what pydantic says of it."""
    kind, context = str(problem["type"]), problem.get("ctx", {})
    if kind in _RANGES:
        return _RANGES[kind].format(**context)
    if kind == "literal_error":
        return f"of {', '.join(_words(problem))}"
    return _KINDS.get(kind.partition("_")[0], f"that can be used ({problem['msg']})")


def _words(problem: Any) -> list[str]:
    return re.findall(r"'([^']*)'", str(problem["ctx"]["expected"]))


def _hint(problem: Any, value: Any) -> str:
    """The closest of the words that there are."""
    hint = suggestion(str(value), _words(problem)) if problem["type"] == "literal_error" else ""
    return hint if "did you mean" in hint else ""


class MemberConfig(Section):
    """A member of a pool.

    Attributes:
        provider: `ionq`, or `local` for this machine.
        name: results bear it; None: one by its place in the list.
        target, api_key, noise, url: of `ionq`; without a key that of the environment.
        simulator, device: of `local`: `q_store` (its own engine) or `qiskit_aer` on `CPU` or `GPU`; `noise` too.
    """

    provider: Literal["ionq", "local"]
    name: str | None = None
    target: str = "simulator"
    api_key: SecretStr | None = None
    noise: str | None = None
    url: str | None = None
    simulator: Literal["q_store", "qiskit_aer"] = "q_store"
    device: Literal["CPU", "GPU"] = "CPU"

    @property
    def kind(self) -> str:
        """The provider of `apps.pool_file` that it is."""
        return "ionq" if self.provider == "ionq" else SIMULATORS[self.simulator]


_OF_IONQ, _OF_LOCAL = frozenset({"target", "api_key", "url"}), frozenset({"simulator", "device"})


def member(given: Any, number: int) -> MemberConfig:
    """One entry of `backend_configs`. Raises ConfigError."""
    if isinstance(given, MemberConfig):
        return given
    where = f"backend_configs[{number}]: "
    if not isinstance(given, dict):
        raise ConfigError(f"{where}expected a dict such as {{'provider': 'ionq'}}, got {type(given).__name__}")
    provider = given.get("provider")
    if provider not in PROVIDERS:
        got = "none" if provider is None else f"{provider!r}{suggestion(str(provider), PROVIDERS)}"
        raise ConfigError(f"{where}expected a provider of {', '.join(PROVIDERS)}, got {got}")
    if "api_key" in given and not given["api_key"]:
        raise ConfigError(
            f"{where}expected an api_key, got none; set the variable it is read from, or leave api_key out to use "
            "IONQ_API_KEY"
        )
    simulator = given.get("simulator", "q_store")
    if simulator not in SIMULATORS:
        raise ConfigError(
            f"{where}expected a known simulator, got {simulator!r}{suggestion(str(simulator), SIMULATORS)}"
        )
    found = MemberConfig.made(where, given, {})
    for name in sorted(set(given) & (_OF_LOCAL if provider == "ionq" else _OF_IONQ)):
        raise ConfigError(f"{where}expected no {name} with the provider {provider}, got one; leave it out")
    return found


def members(given: Any) -> tuple[MemberConfig, ...]:
    """`backend_configs`; no message shows a key. Raises ConfigError."""
    if not isinstance(given, list | tuple):
        raise ConfigError(f"backend_configs: expected a list of dicts, got {type(given).__name__}")
    return tuple(member(each, k) for k, each in enumerate(given))


class Backends(Section):
    """What runs circuits: one SDK, or the members of a pool. `noise` and `url` are of `ionq`; None: as it is there."""

    sdk: str = "mock"
    api_key: SecretStr | None = None
    target: str = "simulator"
    noise: str | None = None
    url: str | None = None
    several: bool = False
    members: tuple[MemberConfig, ...] = ()

    @property
    def provider(self) -> str:
        """The provider that the SDK stands for."""
        return SDKS[self.sdk]


class ModelShape(Section):
    """What a model is like that is made without saying so itself."""

    n_qubits: int = Field(10, ge=1, le=24)
    depth: int = Field(4, ge=1, le=1000)
    entanglement: str = "linear"
    hardware_efficient: bool = True


class Training(Section):
    """The optimiser and its checkpoints."""

    learning_rate: float = Field(0.01, gt=0)
    batch_size: int = Field(32, ge=1)
    epochs: int = Field(100, ge=1)
    optimizer: str = "adam"
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    clip: bool = True
    clip_value: float = Field(1.0, gt=0)
    checkpoint_interval: int = Field(10, ge=1)
    checkpoint_directory: Path = Path("./checkpoints")
    seed: int = Field(0, ge=0)


class Gradient(Section):
    """How gradients are estimated; `metric` is that of the natural gradient; `full` cannot be measured."""

    method: Method = "spsa_subsampled"
    perturbation: float = Field(0.1, gt=0)
    gain: float = Field(0.01, gt=0)
    subsample: int = Field(5, ge=1)
    natural: bool = False
    metric: Literal["diagonal", "block", "full"] = "block"
    regularization: float = Field(0.01, gt=0)
    metric_cache: int = Field(100, ge=0)


class Shots(Section):
    """Measurements of a circuit. `schedule`: `phase`, as v3.5 describes it, or `variance`, as measured."""

    per_circuit: int | None = Field(1000, ge=1, le=MAX_SHOTS)
    adaptive: bool = False
    least: int = Field(500, ge=1, le=MAX_SHOTS)
    most: int = Field(2000, ge=1, le=MAX_SHOTS)
    base: int = Field(1000, ge=1, le=MAX_SHOTS)
    schedule: Literal["phase", "variance"] = "phase"


class Depth(Section):
    """Layers over the training."""

    adaptive: bool = False
    schedule: Literal["fixed", "linear", "exponential", "step", "grow"] = "linear"
    least: int = Field(2, ge=1)
    most: int | None = Field(None, ge=1)


class Optimisation(Section):
    """What is done to circuits before they run; None: as `enabled`. `fidelity`: least of a pruned state."""

    enabled: bool = False
    merge: bool | None = None
    identities: bool | None = None
    prune: bool | None = None
    fidelity: float = Field(0.99, gt=0, le=1)

    def does(self, part: str) -> bool:
        """Whether `merge`, `identities` or `prune` is done."""
        own = getattr(self, part)
        return self.enabled if own is None else bool(own)


class Submission(Section):
    """How circuits travel. Times are seconds; None: the client's own, which know a queue of hours."""

    concurrent: bool = True
    batches: bool = True
    batching: bool = True
    jobs: int = Field(5, ge=1)
    circuits: int = Field(50, ge=1)
    adaptive: bool = False
    native: bool = True
    connections: int = Field(5, ge=1)
    send_timeout: float | None = Field(None, gt=0)
    batch_timeout: float | None = Field(None, gt=0)
    queue_timeout: float | None = Field(None, gt=0)

    @property
    def at_once(self) -> int:
        """Jobs at a time."""
        return min(self.jobs, self.circuits) if self.concurrent and not self.adaptive else 1

    @property
    def largest(self) -> int:
        """Circuits in a job: over all jobs at a time never more than `circuits`."""
        return self.circuits // self.at_once if self.concurrent and self.batches and self.batching else 1


class Caching(Section):
    """The two levels: structures, and bound circuits, of which `size` are kept."""

    templates: bool = True
    bound: bool = True
    size: int = Field(1000, ge=0)


class Monitoring(Section):
    """What is written down; `track`: where else, as `q-store train --track` has it: an address may hold a password."""

    log_interval: int = Field(10, ge=1)
    gradients: bool = True
    performance: bool = True
    performance_directory: Path | None = None
    dashboard: bool = False
    dashboard_port: int = Field(8080, ge=0, le=65535)
    track: tuple[SecretStr, ...] = ()

    @field_validator("track", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str) else given

    @property
    def tracked(self) -> tuple[str, ...]:
        """What `track` says."""
        return tuple(each.get_secret_value() for each in self.track)


class Features(Section):
    """The two names that switch on others, see `names.FEATURES`."""

    v34: bool = False
    v35: bool = False


class Retired(Section):
    """Names of a hosted index that is not used any more."""

    pinecone_api_key: SecretStr | None = None
    pinecone_environment: str = "us-east-1"
    pinecone_index_name: str = "quantum-ml-training"
