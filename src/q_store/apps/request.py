"""What a training run was asked for: checked, written into its config, and compared when it is resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from q_store.errors import ConfigError, RunError

DEFAULT_DATA = "bundled"
LARGEST_SEED = 2**32 - 1
LARGEST_EPOCHS = 1_000_000
"""Of the smallest table this takes a day: more is a slip."""
FASHION = ("bundled", "full")


@dataclass(frozen=True)
class Request:
    """One training run by names: everything that decides its parameters.

    `data` is `bundled`, `full` or a path; `epochs` is None for the model's own number.
    """

    model: str
    data: str = DEFAULT_DATA
    epochs: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check(self.epochs, self.seed)

    @property
    def name(self) -> str:
        """`compact on Fashion-MNIST (bundled)`."""
        return f"{self.model} on {data_title(self.data)}"

    @property
    def title(self) -> str:
        """`compact on Fashion-MNIST (bundled), seed 0`."""
        return f"{self.name}, seed {self.seed}"

    def config(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def check(epochs: int | None, seed: int | None) -> None:
    """Raise ConfigError for a number of epochs or a seed that is out of range."""
    if epochs is not None and epochs < 1:
        raise ConfigError(f"expected --epochs of 1 or more, got {epochs}; leave it out for the model's own number")
    if epochs is not None and epochs > LARGEST_EPOCHS:
        raise ConfigError(f"expected --epochs of {LARGEST_EPOCHS:,} or less, got {epochs}; give fewer")
    if seed is not None and not 0 <= seed <= LARGEST_SEED:
        raise ConfigError(f"expected --seed from 0 to {LARGEST_SEED}, got {seed}; choose another")


def stored(config: Mapping[str, Any], where: str) -> Request:
    """The request in the config of a run folder. Raises RunError when it is damaged."""
    try:
        asked = config["request"]
        request = Request(str(asked["model"]), str(asked["data"]), asked["epochs"], asked["seed"])
        sound = type(request.seed) is int and type(request.epochs) in {int, type(None)}
    except (KeyError, TypeError, ConfigError) as error:
        raise RunError(f"{where}: expected what the run was asked for, got: {error!r}; train again") from error
    if not sound:
        raise RunError(f"{where}: expected whole numbers for epochs and seed, got {asked}; train again")
    return request


def check_same(old: Request, given: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError naming every option in `given` (None = not given) that differs from the stored request."""
    different = [
        f"{name} {getattr(old, name)!r} in the run, {value!r} given"
        for name, value in given.items()
        if value is not None and value != getattr(old, name)
    ]
    if different:
        raise ConfigError(
            f"expected the options that {where} was started with, got another {'; another '.join(different)}; leave "
            "them out to resume, or start a new run with another --out"
        )


def absolute(data: str) -> str:
    """The data by a name that means the same from any folder: an existing file by its whole path."""
    path = Path(data)
    return str(path.resolve()) if data not in FASHION and path.exists() else data


def data_title(data: str) -> str:
    """`Fashion-MNIST (bundled)` or the name of the file."""
    return f"Fashion-MNIST ({data})" if data in FASHION else Path(data).name


def folder_name(request: Request) -> str:
    """`compact-bundled-seed0`: the name of a run folder below `runs`."""
    data = request.data if request.data in FASHION else data_title(request.data).partition(".")[0] or "data"
    return f"{request.model}-{data}-seed{request.seed}"
