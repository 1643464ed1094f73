"""A trained model as one file: an .npz without pickle, written whole or not at all.

    header    JSON: {format, version, q_store, name, circuit, observables, readout, class_names, training}
    vector    float64 [P + weights]: circuit parameters, then readout weights
    classes   [K] labels, text or numbers
    features.kind, .power, .mean, .matrix, .unit_norm   the preprocessing

See `q_store.archive` for the form and its hash. `training` says how the model was
trained, for people; it is not read back. A file of a newer version is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from q_store import __version__
from q_store.archive import DAMAGE, Arrays, pack, unpack
from q_store.circuits.serialise import circuit_from_json, circuit_to_json, observables_from_json, observables_to_json
from q_store.errors import ConfigError, InputError, RunError, StorageError
from q_store.files import write_atomically
from q_store.jobs import AnyExecutor
from q_store.models.features import FeatureMap, from_arrays
from q_store.models.model import Model
from q_store.models.readouts import ProbabilityReadout
from q_store.models.trained import Trained
from q_store.training.loss import CrossEntropy
from q_store.training.objective import Objective
from q_store.training.readout import IdentityReadout, LinearReadout, Readout

FORMAT, VERSION = "q-store model", 1
READOUTS: Mapping[str, Any] = {
    "linear": LinearReadout,
    "identity": IdentityReadout,
    "probability": ProbabilityReadout,
}


@dataclass(frozen=True)
class Fixed:
    """A preprocessing that is fitted already: what a loaded model trains with."""

    feature_map: FeatureMap

    def fit(self, x: Any) -> FeatureMap:  # noqa: ARG002
        """The map itself, whatever the rows."""
        return self.feature_map


def save(model: Model, path: Path) -> None:
    """Write the trained model; replaces the file.

    Raises:
        RunError: before training. ConfigError: for a readout of the user's own. StorageError: when the disk refuses;
            the old file is untouched.
    """
    write_atomically(path, encode(model))


def load(path: Path, backend: AnyExecutor | None = None) -> Model:
    """The model in a file.

    Raises:
        RunError: when there is none, or it is damaged, no model, or of a newer version.
        StorageError: when it cannot be read.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        msg = f"expected a model at {path}, found none; train one and save it there"
        raise RunError(msg) from None
    except OSError as error:
        msg = f"expected to read the model {path}, got: {error.strerror}; check the permissions"
        raise StorageError(msg) from error
    return decode(content, str(path), backend)


def encode(model: Model) -> bytes:
    """The bytes of the file; the same for the same model."""
    trained = model.trained
    arrays = {"vector": trained.vector, "classes": trained.classes}
    arrays |= {f"features.{name}": array for name, array in trained.feature_map.to_arrays().items()}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "q_store": __version__,
        "name": model.name,
        "circuit": circuit_to_json(trained.objective.circuit),
        "observables": observables_to_json(trained.objective.measured),
        "readout": _readout_to_json(trained.objective.readout),
        "class_names": model.class_names,
        "training": {"settings": model.settings.model_dump(), "loss": trained.objective.loss.identity},
    }
    return pack(arrays, header)


def decode(content: bytes, where: str, backend: AnyExecutor | None = None) -> Model:
    """The model in the bytes of a file; `where` is for messages. Raises RunError."""
    try:
        found = unpack(content)
    except ValueError as error:
        _damaged(where, error)
    written = found.header.get("format"), found.header.get("version")
    if written[0] != FORMAT or not isinstance(written[1], int):
        _damaged(where, f"it calls itself {written[0]!r} version {written[1]!r}")
    if written[1] > VERSION:
        msg = f"expected a model of format version {VERSION} or less in {where}, got {written[1]}; update q-store"
        raise RunError(msg)
    if not found.intact:
        _damaged(where, "its contents do not match their hash")
    try:
        return _model(found.arrays, found.header, backend)
    except (*DAMAGE, InputError) as error:
        _damaged(where, error)


def _model(arrays: Arrays, header: Mapping[str, Any], backend: AnyExecutor | None) -> Model:
    feature_map = from_arrays({k.removeprefix("features."): v for k, v in arrays.items() if k.startswith("features.")})
    readout = _readout_from_json(header["readout"])
    names = header["class_names"]
    model = Model(
        Fixed(feature_map),
        circuit_from_json(header["circuit"]),
        observables_from_json(header["observables"]),
        lambda _values, _classes: readout,
        class_names=None if names is None else [str(name) for name in names],
        name=str(header["name"]),
        backend=backend,
    )
    objective = Objective(model.circuit, model.observables, readout, CrossEntropy())
    model.adopt(Trained(feature_map, objective, np.array(arrays["vector"], dtype=np.float64), arrays["classes"]))
    return model


def _readout_to_json(readout: Readout) -> dict[str, Any]:
    for kind, known in READOUTS.items():
        if type(readout) is known and is_dataclass(readout):
            return {"kind": kind, **asdict(readout)}
    got = type(readout).__name__
    msg = f"expected a readout that a file can hold ({', '.join(READOUTS)}), got {got}; use one of them"
    raise ConfigError(msg)


def _readout_from_json(value: Mapping[str, Any]) -> Readout:
    options = dict(value)
    readout: Readout = READOUTS[options.pop("kind")](**options)
    return readout


def _damaged(where: str, why: object) -> NoReturn:
    msg = f"expected a whole model at {where}, got: {why}; it is damaged or no model: copy it again, or train again"
    raise RunError(msg)
