"""From names to objects: the one place that knows which backend, which model and which data a name stands for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from q_store.apps.clock import Clock
from q_store.apps.meter import Meter
from q_store.apps.request import Request
from q_store.jobs import Job
from q_store.models import readers, zoo
from q_store.models.data import Dataset
from q_store.models.model import Model
from q_store.models.trained import Encoded, default_backend, encode
from q_store.training.settings import TrainingSettings

SPLIT_SEED = 0
"""Of the parts that a file lacks: the same for every seed of the training, so that seeds can be compared."""
WARM_ROWS = 4096


@dataclass(frozen=True, eq=False)
class Assembly:
    """Everything that a training run needs; `encoded` has the preprocessed parts by name."""

    data: Dataset
    model: Model
    definition: zoo.Definition
    meter: Meter
    encoded: dict[str, Encoded]

    @property
    def unit(self) -> str:
        """What a row is called."""
        return "images" if self.data.image_shape else "rows"

    def resolved(self) -> dict[str, Any]:
        """What the request came to, for the config."""
        return {
            "data_sha256": self.data.digest,
            "rows": {name: len(part) for name, part in self.data.parts.items()},
            "unit": self.unit,
            "classes": list(self.data.class_names),
            "pixels": self.data.train.x.dtype == np.uint8,
            "circuit": self.model.circuit.digest,
            "settings": self.model.settings.model_dump(),
        }


def assemble(request: Request, clock: Clock) -> Assembly:
    """Read the data, fit the preprocessing, and make the compiled backend ready; counts `data` and `compile`.

    Raises ConfigError for an unknown model and DataError for data that cannot be read or used.
    """
    definition = zoo.definition(request.model)
    with clock.stage("data"):
        data = dataset(request.data)
        definition = definition.fitting(data.train.x)
        feature_map = definition.features.fit(data.train.x)
        encoded = {name: encode(feature_map, part.x) for name, part in data.parts.items()}
    with clock.stage("compile"):
        meter = Meter(default_backend())
        model = definition.model(
            class_names=data.class_names,
            classes=np.arange(data.n_classes),
            settings=settings(definition, request),
            backend=meter,
        )
        warm_up(model, encoded["validation"])
    return Assembly(data, model, definition, meter, encoded)


def warm_up(model: Model, rows: Encoded) -> None:
    """Compile what training `model` and predicting with it needs, so that it is not counted as training."""
    backend, circuit = default_backend(), model.circuit
    backend.warm_up(circuit, model.observables)
    for count in (1, min(len(rows), WARM_ROWS)):  # few and many rows may take different paths through the engine
        backend.run(Job(circuit, rows.z[:count], np.zeros(circuit.n_params), model.observables))


def dataset(name: str) -> Dataset:
    """`bundled`, `full` or the data at a path, in three parts. Raises DataError."""
    return readers.load(name, seed=SPLIT_SEED)


def settings(definition: zoo.Definition, request: Request) -> TrainingSettings:
    """Those of the model, with what was asked for instead."""
    return definition.settings.replaced(seed=request.seed, epochs=request.epochs or definition.settings.epochs)


def load_model(path: Path) -> Model:
    """The trained model in a file, on the local backend. Raises RunError."""
    return Model.load(path, backend=default_backend())
