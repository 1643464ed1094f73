"""The pieces that a model deals in: encoded rows, what training found, evaluations, counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from q_store.circuits import encoders
from q_store.circuits.circuit import Circuit
from q_store.errors import DataError, ShapeError
from q_store.models.features import FeatureMap
from q_store.training.objective import Objective

if TYPE_CHECKING:  # importing it loads the compiler
    from q_store.backends.local import LocalBackend

Array = NDArray[Any]
Reals = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows that went through the preprocessing of a fitted model: z[B, n], contiguous float32, read-only."""

    z: NDArray[np.float32]
    feature_map: FeatureMap

    def more(self, x: Any) -> Encoded:
        """Other rows with the same preprocessing, see `encode`."""
        return encode(self.feature_map, x)

    def __len__(self) -> int:
        return len(self.z)


def encode(feature_map: FeatureMap, x: Any) -> Encoded:
    """The rows x, preprocessed; rows that are `Encoded` already come back as they are.

    Raises:
        DataError: for rows encoded by another preprocessing, or that it refuses. ShapeError: for another width.
    """
    if not isinstance(x, Encoded):
        z = np.ascontiguousarray(feature_map.transform(x), dtype=np.float32)
        z.flags.writeable = False
        return Encoded(z, feature_map)
    if x.feature_map is not feature_map:
        msg = "expected rows encoded by this model since it was last fitted, got those of another; pass x itself"
        raise DataError(msg)
    return x


class Parameters(NamedTuple):
    """How many numbers are trained. The preprocessing, an unsupervised SVD, is not counted."""

    circuit: int
    readout: int


class TwoQubitGates(NamedTuple):
    """Two-qubit gates of one circuit: of the ansatz, and of the exact preparation of its amplitudes (in CNOT)."""

    ansatz: int
    preparation: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a model does on labelled rows.

    Attributes:
        accuracy: correct / rows. correct, rows: counts.
        truth, predicted: [rows], positions in `Model.classes`.
        shots: a circuit, None for exact values. circuits: run in all, one for each row and measured group.
        shots_total: shots of all circuits, 0 for exact values.
        backend: its name. seconds: wall time, preprocessing included.
    """

    accuracy: float
    correct: int
    rows: int
    truth: NDArray[np.intp]
    predicted: NDArray[np.intp]
    shots: int | None
    circuits: int
    shots_total: int
    backend: str
    seconds: float


@dataclass(frozen=True, eq=False)
class Trained:
    """What training found, and a file keeps.

    Attributes:
        feature_map: the fitted preprocessing. objective: circuit, observables, readout and loss.
        vector: circuit parameters, then readout weights, float64. classes: [K] labels, in the order of the outputs.

    Raises:
        ShapeError, DataError: where these do not fit together.
    """

    feature_map: FeatureMap
    objective: Objective
    vector: Reals
    classes: Array

    def __post_init__(self) -> None:
        objective, n_components = self.objective, self.feature_map.n_components
        _same("parameters", self.vector.shape, (objective.size,))
        _same("classes", self.classes.shape, (objective.readout.n_outputs,))
        _same("components", (n_components,), (objective.circuit.n_features,))
        if not np.isfinite(self.vector).all():
            msg = "expected finite parameters, got NaN or infinity; train again"
            raise DataError(msg)
        self.vector.flags.writeable = False


def two_qubit_gates(circuit: Circuit) -> TwoQubitGates:
    """Counts of the circuit; the preparation is lowered exactly, into CNOT and RY."""
    if circuit.prepare is None:
        return TwoQubitGates(circuit.two_qubit_gates, 0)
    lowered, _ = encoders.lower(circuit, np.ones((1, circuit.n_features)))
    return TwoQubitGates(circuit.two_qubit_gates, lowered.two_qubit_gates - circuit.two_qubit_gates)


def _same(what: str, got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if got != expected:
        msg = f"expected {what} of shape {list(expected)}, got {list(got)}; they are of another circuit or readout"
        raise ShapeError(msg)


@cache
def default_backend() -> LocalBackend:
    """The exact simulation on this machine, made once: compiled programs are kept in it."""
    from q_store.backends.local import LocalBackend

    return LocalBackend()
