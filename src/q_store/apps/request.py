"""What a training run was asked for: checked, written into its config, and compared when it is resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from q_store.apps import recipe_options, schedules
from q_store.apps.place import HERE, Place, check_place
from q_store.apps.pool_place import POOL, PoolPlace
from q_store.apps.run_folder import PROGRAM
from q_store.errors import ConfigError, RunError

DEFAULT_DATA = "bundled"
LARGEST_SEED = 2**32 - 1
LARGEST_EPOCHS = 1_000_000
"""Of the smallest table this takes a day: more is a slip."""
FASHION = ("bundled", "full")
COUNTS = {
    "epochs": (1, LARGEST_EPOCHS),
    "rows": (1, 10**9),
    "batch_size": (1, 10**9),
    "shots": (1, 1_000_000),
    "finish": (0, 1_000_000),
    "circuits": (1, 10**9),
    **schedules.COUNTS,
}
"""Options that are whole numbers, and their range."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a training may be asked to do otherwise; None: as the model, or a remote backend, does it by itself.

    The names are those of the options of `q-store train`; `settings` has further ones of `TrainingSettings`.
    """

    epochs: int | None = None
    rows: int | None = None
    batch_size: int | None = None
    shots: int | None = None
    finish: int | None = None
    recipe: str | None = None
    circuits: int | None = None
    accuracy: float | None = None
    shot_schedule: str | None = None
    min_shots: int | None = None
    max_shots: int | None = None
    depth_schedule: str | None = None
    min_depth: int | None = None
    max_depth: int | None = None
    prune: float | None = None
    optimise: bool | None = None
    settings: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Request(Wishes):
    """One training run by names: everything that decides its parameters.

    `data` is `bundled`, `full` or a path; `place` says where the circuits run.
    """

    model: str
    data: str = DEFAULT_DATA
    seed: int = field(default=0, kw_only=True)
    place: Place | PoolPlace = field(default=HERE, kw_only=True)

    def __post_init__(self) -> None:
        check({name: getattr(self, name) for name in COUNTS}, self.seed)
        recipe_options.check(self.recipe, vars(self))
        schedules.check(vars(self))
        if isinstance(self.place, Place):
            check_place(self.place)

    @property
    def name(self) -> str:
        """`compact on Fashion-MNIST (bundled)`."""
        return f"{self.model} on {data_title(self.data)}"

    @property
    def title(self) -> str:
        """`compact on Fashion-MNIST (bundled), seed 0`, with the place where it is a remote one."""
        recipe = f", recipe {self.recipe}" if self.recipe else ""
        place = f", by {self.place.title}" if self.place.remote else ""
        return f"{self.name}, seed {self.seed}{recipe}{place}"

    def config(self) -> dict[str, Any]:
        """As JSON: flat, and without what was not asked for."""
        always = ("model", "data", "epochs", "seed")
        values = {**{name: getattr(self, name) for name in always}, **vars(self), **self.place.config()}
        del values["place"]
        return {name: value for name, value in values.items() if name in always or value is not None}


def check(counts: Mapping[str, int | None], seed: int | None) -> None:
    """Raise ConfigError for a count of `COUNTS` or a seed that is out of range."""
    for name, value in counts.items():
        option, (least, largest) = f"--{name.replace('_', '-')}", COUNTS[name]
        if value is not None and value < least:
            raise ConfigError(f"expected {option} of {least} or more, got {value}; leave it out for the default")
        if value is not None and value > largest:
            raise ConfigError(f"expected {option} of {largest:,} or less, got {value}; give fewer")
    if seed is not None and not 0 <= seed <= LARGEST_SEED:
        raise ConfigError(f"expected --seed from 0 to {LARGEST_SEED}, got {seed}; choose another")


def stored(config: Mapping[str, Any], where: str, pool: str | None = None) -> Request:
    """The request in the config of a run folder; `pool` is the file of its pool where that has moved.

    Raises RunError when it is damaged, and ConfigError for a pool that cannot be read.
    """
    place: Place | PoolPlace
    if PROGRAM in config:
        raise RunError(f"{where}: expected a run of q-store train, got one of the program {config[PROGRAM]}; use that")
    try:
        asked = dict(config["request"])
        place = Place(**{each.name: asked.pop(each.name) for each in fields(Place) if each.name in asked})
        file = asked.pop(POOL, None)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{where}: expected what the run was asked for, got: {error!r}; train again") from error
    if file is not None:
        place = PoolPlace.of(pool or str(file))
    try:
        request = Request(**{"model": str(asked.pop("model")), "data": str(asked.pop("data")), **asked}, place=place)
        counts = [request.seed, *(getattr(request, name) for name in COUNTS)]
        sound = all(type(value) in {int, type(None)} for value in counts) and request.seed is not None
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise RunError(f"{where}: expected what the run was asked for, got: {error!r}; train again") from error
    if not sound:
        raise RunError(f"{where}: expected whole numbers for epochs, seed and the like, got {asked}; train again")
    return request


def check_same(old: Request, given: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError naming every option in `given` (None = not given) that differs from the stored request."""
    before = {**vars(old), **old.place.config()}
    different = [
        f"{name.replace('_', '-')} {before.get(name)!r} in the run, {value!r} given"
        for name, value in given.items()
        if value is not None and value != before.get(name)
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
    place = f"-{request.place.backend}" if request.place.remote else ""
    recipe = f"-{request.recipe}" if request.recipe else ""
    return f"{request.model}-{data}{place}{recipe}-seed{request.seed}"
