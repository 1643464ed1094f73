"""The model zoo: six classifiers for images of ten classes, each one declaration; smaller data fit them too.

Counts are circuit + readout parameters, and two-qubit gates of ansatz + exact preparation, for 10 classes. The
preprocessing, an unsupervised SVD of the training images, is not counted, here nor for the classical controls.

    name       parameters  two-qubit gates   idea
    document   48 + 70     20 + 62           the architecture of the first design document: the honest baseline
    compact    104 + 144   50 + 30           5 qubits of SO(4) blocks, 16 probabilities of 4 qubits
    wide       422 + 576   208 + 62          6 qubits of SO(4) blocks, all 64 probabilities
    lean       132 + 117   24 native RZZ     no preparation: components are re-uploaded as angles
    lean-cz    132 + 117   30                the same with a CZ ring
    ring       30 + 220    24 + 62           RY and a CNOT ring, Z and ZZ: the baseline of the training recipes
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from q_store.circuits import Circuit, Marginal, Observables, encoders, z
from q_store.circuits.templates import hardware_efficient, reuploading, so4_layers
from q_store.errors import ConfigError, DataError, suggestion
from q_store.models.components import checked_rows, spanned
from q_store.models.features import Amplitudes, CentredPCA, Standardised
from q_store.models.model import Model
from q_store.models.readouts import ProbabilityReadout
from q_store.models.trained import Parameters, TwoQubitGates, two_qubit_gates
from q_store.training.readout import LinearReadout, Readout
from q_store.training.settings import TrainingSettings

ITERATIONS_PER_ROW = 30
"""Times rows and divided by parameters; chosen on the validation part of the bundled images."""
Ansatz = Callable[[int], Circuit]
Images = Amplitudes | CentredPCA | Standardised
nine_logits = partial(LinearReadout, zero_last=True)
"""With a bias; softmax needs one logit less than there are classes."""


@dataclass(frozen=True)
class Definition:
    """A model before it has seen data.

    Attributes:
        name, summary: for lists.
        features: the preprocessing; its components are the features of the circuit.
        ansatz: number of features, at most `features.n_components`, -> circuit.
        observables: what is measured.
        readout: (number of values, number of classes) -> readout.
        settings, circuit_scale, penalty: how it is trained, see `Model`.
    """

    name: str
    summary: str
    features: Images
    ansatz: Ansatz
    observables: Observables
    readout: Callable[[int, int], Readout]
    settings: TrainingSettings
    circuit_scale: float = 0.1
    penalty: float = 0.0

    @cached_property
    def circuit(self) -> Circuit:
        """The circuit over all components."""
        return self.ansatz(self.features.n_components)

    @property
    def two_qubit_gates(self) -> TwoQubitGates:
        """Of the ansatz and of the exact preparation."""
        return two_qubit_gates(self.circuit)

    def parameters(self, n_classes: int = 10) -> Parameters:
        """How many numbers are trained."""
        return Parameters(self.circuit.n_params, self.readout(self.observables.size, n_classes).n_weights)

    def fitting(self, x: Any) -> Definition:
        """The definition for training rows like x[B, D]; the full Fashion-MNIST leaves it as it is.

        At most as many components as the rows have directions, no roots of negative numbers, batches of at most a tenth
        of the rows, and at most 30 B / parameters iterations of the finish (50 in any case): further ones would only
        learn the rows by heart.
        """
        rows = np.asarray(x)
        count, features, settings = len(rows), self.features, self.settings
        if rows.size and rows.dtype.kind in "iuf":
            features = _fitting(features, rows)
        enough = max(50, ITERATIONS_PER_ROW * count // sum(self.parameters()))
        settings = settings.replaced(
            batch_size=min(settings.batch_size, max(10, count // 10)),
            finish_iterations=min(settings.finish_iterations, enough),
        )
        return replace(self, features=features, settings=settings)

    def model(self, *, class_names: Sequence[str] | None = None, **options: Any) -> Model:
        """A fresh model; `options` go to `Model` (settings, loss, classes, backend)."""
        own = {name: getattr(self, name) for name in ("name", "settings", "circuit_scale", "penalty")}
        parts = self.features, self.circuit, self.observables, self.readout
        return Model(*parts, class_names=class_names, **{**own, **options})


def _fitting(features: Images, rows: NDArray[Any]) -> Images:
    if features.power != 1 and rows.min() < 0:
        features = replace(features, power=1.0)
    rows = checked_rows(rows, "training features", features.power)
    most = min(features.n_components, rows.shape[1])
    found = spanned(rows, features.power, most, centred=not isinstance(features, Amplitudes))
    if found == 1 and (rows == rows[0]).all():
        raise DataError(f"expected training rows that differ, got {len(rows):,} equal ones; check the features")
    return replace(features, n_components=found or most)  # rows without any direction are refused when they are fitted


def names() -> tuple[str, ...]:
    """The names, smallest idea first."""
    return tuple(_DEFINITIONS)


@cache
def definition(name: str) -> Definition:
    """The definition of this name.

    Raises:
        ConfigError: for an unknown name.
    """
    if name not in _DEFINITIONS:
        msg = f"expected the name of a model, got {name!r}{suggestion(name, _DEFINITIONS)}"
        raise ConfigError(msg)
    return _DEFINITIONS[name]()


def _loaded(n_qubits: int, ansatz: Circuit) -> Ansatz:
    """Amplitudes, then the ansatz; fewer components than amplitudes are padded with zeros."""
    return lambda n_features: encoders.amplitude(n_qubits, n_features) + ansatz


def _document() -> Definition:
    """As designed: 6 of its 48 circuit parameters, the last RZ, cannot change what is measured."""
    return Definition(
        name="document",
        summary="centred PCA, 4 layers of RY RZ and a CNOT chain, 6 Z: the first design, as a baseline",
        features=CentredPCA(64),
        ansatz=_loaded(6, hardware_efficient(6, 4, ("ry", "rz"), "linear", final_rotations=False)),
        observables=Observables.local_z(6),
        readout=LinearReadout,
        settings=TrainingSettings(epochs=20, learning_rate=0.08, readout_learning_rate=0.1, finish_iterations=100),
    )


def _compact() -> Definition:
    return Definition(
        name="compact",
        summary="5 qubits, 25 SO(4) blocks, the 16 probabilities of 4 qubits",
        features=Amplitudes(32, exponent=0.3),
        ansatz=_loaded(5, so4_layers(5, blocks=25, measured=range(4))),
        observables=Observables.of(Marginal((0, 1, 2, 3))),
        readout=ProbabilityReadout,
        settings=TrainingSettings(epochs=25, learning_rate=0.1, readout_learning_rate=0.02, finish_iterations=600),
    )


def _wide() -> Definition:
    return Definition(
        name="wide",
        summary="6 qubits, 104 SO(4) blocks, all 64 probabilities",
        features=Amplitudes(64, exponent=0.3),
        ansatz=_loaded(6, so4_layers(6, blocks=104)),
        observables=Observables.of(Marginal(tuple(range(6)))),
        readout=ProbabilityReadout,
        settings=TrainingSettings(epochs=25, learning_rate=0.08, readout_learning_rate=0.005, finish_iterations=1000),
        penalty=3e-5,
    )


def _lean() -> Definition:
    return Definition(
        name="lean",
        summary="no preparation: 24 components re-uploaded as angles, 4 trainable RZZ rings, Z and ZZ",
        features=Standardised(24),
        ansatz=lambda n_features: reuploading(6, 4, n_features),
        observables=Observables.of(*_z_and_neighbours(6)),
        readout=nine_logits,
        settings=TrainingSettings(epochs=30, learning_rate=0.08, readout_learning_rate=0.1, finish_iterations=150),
        circuit_scale=0.3,
        penalty=3e-5,
    )


def _lean_cz() -> Definition:
    return replace(
        _lean(),
        name="lean-cz",
        summary="the same with 5 rings of CZ, for machines without a native RZZ",
        ansatz=lambda n_features: reuploading(6, 5, n_features, entangler="cz"),
    )


def _ring() -> Definition:
    every_pair = [z(p, q) for p, q in combinations(range(6), 2)]
    return Definition(
        name="ring",
        summary="RY and a CNOT ring, 6 Z and 15 ZZ: the baseline of the training recipes",
        features=Amplitudes(64, power=1.0, exponent=0.0),
        ansatz=_loaded(6, hardware_efficient(6, 4, ("ry",), "ring")),
        observables=Observables.of(*Observables.local_z(6).items, *every_pair),
        readout=LinearReadout,
        settings=TrainingSettings(epochs=20, learning_rate=0.08, readout_learning_rate=0.1, finish_iterations=100),
    )


def _z_and_neighbours(n_qubits: int) -> list[Any]:
    return [*Observables.local_z(n_qubits).items, *(z(q, (q + 1) % n_qubits) for q in range(n_qubits))]


_DEFINITIONS: dict[str, Callable[[], Definition]] = {
    "document": _document,
    "compact": _compact,
    "wide": _wide,
    "lean": _lean,
    "lean-cz": _lean_cz,
    "ring": _ring,
}
