"""From names to objects: the one place that knows which backend, which model and which data a name stands for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from q_store.apps import schedules
from q_store.apps.clock import Clock
from q_store.apps.meter import Meter
from q_store.apps.request import Request
from q_store.apps.underway import BYTES, underway
from q_store.errors import ConfigError
from q_store.jobs import Executor, Job
from q_store.models import fashion_mnist, readers, zoo
from q_store.models.data import Dataset
from q_store.models.model import Model
from q_store.models.trained import Encoded, default_backend, encode
from q_store.training.settings import TrainingSettings

Array = NDArray[Any]
SPLIT_SEED = 0
"""Of the parts that a file lacks, and of fewer rows than there are: the same for every seed of the training, so that
seeds can be compared."""
WARM_ROWS = 4096
REMOTE = {"gradient": "parameter_shift", "finish_iterations": 0, "checkpoint_steps": 1}
"""How circuits that are measured are trained on: by shifts, and without losing a step that was waited or paid for."""
FIRST_TRY: dict[str, Any] = {**REMOTE, "epochs": 2, "batch_size": 10, "readout_learning_rate": 0.3}
"""Settings of a training on a remote backend, where nothing else is asked for: 20 steps on so few rows:"""
REMOTE_ROWS = {"train": 100, "validation": 50, "test": 100}
RECIPE_ROWS = {"validation": 100, "test": 100}
"""Rows of a recipe that are measured remotely."""
INEXACT_SHOTS = 1_000
"""Where a remote backend samples and nothing else is asked for."""


@dataclass(frozen=True, eq=False)
class Assembly:
    """Everything that a training run needs.

    `encoded` has the preprocessed parts by name; `chosen` the rows of each that the run works with: all on this
    machine, few on a remote backend (`model.backend`, otherwise the `meter`).
    """

    data: Dataset
    model: Model
    definition: zoo.Definition
    meter: Meter
    encoded: dict[str, Encoded]
    chosen: dict[str, Array | None]

    def part(self, name: str) -> tuple[Encoded, Array]:
        """The chosen rows of a part, preprocessed, and their labels."""
        encoded, y, rows = self.encoded[name], self.data.parts[name].y, self.chosen[name]
        return (encoded, y) if rows is None else (Encoded(encoded.z[rows], encoded.feature_map), y[rows])

    @property
    def unit(self) -> str:
        """What a row is called."""
        return "images" if self.data.image_shape else "rows"

    def resolved(self) -> dict[str, Any]:
        """What the request came to, for the config."""
        return {
            "data_sha256": self.data.digest,
            "rows": {name: len(self.part(name)[1]) for name in self.data.parts},
            "unit": self.unit,
            "classes": list(self.data.class_names),
            "pixels": self.data.train.x.dtype == np.uint8,
            "circuit": self.model.circuit.digest,
            "settings": self.model.settings.model_dump(),
        }


def assemble(request: Request, clock: Clock, remote: Executor | None = None) -> Assembly:
    """Read the data, fit the preprocessing, and make the compiled backend ready; counts `data` and `compile`.

    The preprocessing is fitted on all training rows, which needs no circuits, and the training runs on `remote` where
    one is given. Raises ConfigError for an unknown model and DataError for data that cannot be read or used.
    """
    definition = zoo.definition(request.model)
    with clock.stage("data"):
        data = dataset(request.data)
        chosen = choose(data, request)
        rows = chosen["train"]
        definition = definition.fitting(data.train.x if rows is None else data.train.x[rows])
        feature_map = definition.features.fit(data.train.x)
        encoded = {name: encode(feature_map, part.x) for name, part in data.parts.items()}
    with clock.stage("compile"):
        meter = Meter(default_backend())
        model = definition.model(
            class_names=data.class_names,
            classes=np.arange(data.n_classes),
            settings=settings(definition, request),
            backend=meter if remote is None else remote,
        )
        warm_up(model, encoded["validation"])
    return Assembly(data, model, definition, meter, encoded, chosen)


def choose(data: Dataset, request: Request) -> dict[str, Array | None]:
    """The rows of each part that the run works with; None for all. Raises ConfigError for more than there are."""
    train = data.train
    if request.rows is not None and request.rows > len(train):
        raise ConfigError(
            f"expected --rows of at most the {len(train):,} training rows of {data.source}, got {request.rows:,}; give "
            "fewer, or leave it out"
        )
    if not request.place.remote:
        return {"train": some_rows(train.y, request.rows or len(train)), "validation": None, "test": None}
    counts = REMOTE_ROWS if request.rows is None else {**REMOTE_ROWS, "train": request.rows}
    if request.recipe is not None:  # it chooses itself what it spends circuits on
        counts = {**RECIPE_ROWS, "train": request.rows or len(train)}
    return {name: some_rows(part.y, counts[name]) for name, part in data.parts.items()}


def some_rows(y: Array, count: int) -> Array | None:
    """The positions of `count` rows, in order, classes as balanced as they can be; None where it is all of them."""
    if count >= len(y):
        return None
    order = np.random.default_rng(SPLIT_SEED).permutation(len(y))
    turn = np.empty(len(y), dtype=np.intp)  # how many rows of its class come before a row
    for label in np.unique(y):
        own = order[y[order] == label]
        turn[own] = np.arange(len(own))
    return np.sort(order[np.argsort(turn[order], kind="stable")][:count])


def warm_up(model: Model, rows: Encoded) -> None:
    """Compile what training `model` and predicting with it needs, so that it is not counted as training."""
    backend, circuit = default_backend(), model.circuit
    backend.warm_up(circuit, model.observables)
    for count in (1, min(len(rows), WARM_ROWS)):  # few and many rows may take different paths through the engine
        backend.run(Job(circuit, rows.z[:count], np.zeros(circuit.n_params), model.observables))


def fetched(name: str) -> None:
    """Download the full set where it is asked for and not there yet. Raises DataError."""
    if name == "full" and fashion_mnist.find() is None:
        with underway("downloading Fashion-MNIST", BYTES) as tell:
            fashion_mnist.download(tell=tell)


def dataset(name: str) -> Dataset:
    """`bundled`, `full` or the data at a path, in three parts. Raises DataError."""
    return readers.load(name, seed=SPLIT_SEED)


def settings(definition: zoo.Definition, request: Request) -> TrainingSettings:
    """Those of the model, with what a remote backend needs, with what was asked for instead."""
    shots = request.shots
    if request.recipe is not None:  # what it trains here is trained exactly
        own = {"epochs": request.epochs, "batch_size": request.batch_size, "finish_iterations": request.finish}
        return definition.settings.replaced(seed=request.seed, **{k: v for k, v in own.items() if v is not None})
    if request.place.remote and not request.place.exact and shots is None:
        shots = INEXACT_SHOTS
    needed = FIRST_TRY if request.place.remote else REMOTE if shots else {}
    asked = {"seed": request.seed, "epochs": request.epochs, "batch_size": request.batch_size, "shots": shots}
    asked |= {"finish_iterations": request.finish, **schedules.chosen(vars(request))}
    given = {name: value for name, value in asked.items() if value is not None}
    return definition.settings.replaced(**{**needed, **(request.settings or {}), **given})


def load_model(path: Path) -> Model:
    """The trained model in a file, on the local backend. Raises RunError."""
    return Model.load(path, backend=default_backend())
