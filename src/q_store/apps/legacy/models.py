"""`QuantumModel` and `QuantumFashionClassifier`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.apps.legacy.layers import AmplitudeEncoder, HardwareEfficientQuantumLayer, ansatz
from q_store.apps.legacy.variational import Array, Variational, rows_of
from q_store.circuits import Observables, encoders
from q_store.circuits.angle import x as feature
from q_store.circuits.circuit import Circuit, op
from q_store.config import ModelShape
from q_store.errors import ConfigError, RunError
from q_store.models.features import CentredPCA, FeatureMap
from q_store.training.readout import IdentityReadout, LinearReadout, Readout

ENCODINGS = ("auto", "angle", "amplitude")


class QuantumModel(Variational):
    """Data encoded into a circuit of layers; the outputs are <Z> of the first `output_dim` qubits.

    Args:
        input_dim: values of a row; None: one for each qubit.
        n_qubits, depth, entanglement, hardware_efficient: of the circuit; None: as the configuration of the trainer
            says, else its defaults.
        output_dim: outputs. With more of them than qubits a linear readout of all <Z> makes them.
        backend: what runs `forward`; a trainer uses its own.
        encoding: `angle` (RY(x_q) on qubit q), `amplitude`, or `auto`: angles where there are qubits enough.
        seed: of the first parameters.

    Raises:
        ConfigError: for sizes that do not fit together.
    """

    def __init__(  # noqa: PLR0917  # the order of v3.4
        self,
        input_dim: int | None = None,
        n_qubits: int | None = None,
        output_dim: int = 2,
        backend: Any = None,
        depth: int | None = None,
        hardware_efficient: bool | None = None,
        *,
        entanglement: str | None = None,
        encoding: str = "auto",
        seed: int = 0,
    ) -> None:
        super().__init__(backend, seed)
        self.input_dim, self.output_dim, self.encoding = input_dim, output_dim, encoding
        own = {
            "n_qubits": n_qubits,
            "depth": depth,
            "hardware_efficient": hardware_efficient,
            "entanglement": entanglement,
        }
        self._own = {name: value for name, value in own.items() if value is not None}
        self._trained = False
        self.shaped(ModelShape())

    def shaped(self, shape: ModelShape) -> None:
        """See `Variational`."""
        if self._trained:
            return
        chosen = ModelShape.made("", {**shape.model_dump(), **self._own}, {})
        if getattr(self, "shape", None) == chosen:
            return
        self.shape = chosen
        width = chosen.n_qubits if self.input_dim is None else self.input_dim
        layers = ansatz(chosen.n_qubits, chosen.depth, chosen.entanglement, plain=chosen.hardware_efficient)
        self._amplitudes = _amplitudes(self.encoding, width, chosen.n_qubits)
        circuit = _encoding(width, chosen.n_qubits, amplitudes=self._amplitudes) + layers
        self._make(circuit, *_readout(chosen.n_qubits, self.output_dim))

    def fit_features(self, x: Any) -> None:  # noqa: ARG002
        """From now on the shape stays."""
        self._trained = True

    def encode(self, x: Any) -> Array:
        """See `Variational`."""
        rows = rows_of(x, self.circuit.n_features, "this model")
        return AmplitudeEncoder(self.n_qubits).encode(rows)[:, : rows.shape[1]] if self._amplitudes else rows

    async def forward(self, x: npt.ArrayLike, shots: int | None = 1000, seed: int = 0) -> Array:
        """Outputs [C] of a row, or [B, C] of rows; shots None: exact values."""
        given = np.asarray(x)
        out = await self.outputs(np.atleast_2d(given), shots, seed)
        return out[0] if given.ndim == 1 else out


class QuantumFashionClassifier(Variational):
    """The classifier of the v3.5 document: PCA, amplitudes, RY RZ layers with a CNOT chain, <Z>, a linear readout.

    As it stands there it reaches about 66 % on Fashion-MNIST; `q-store models` has better ones of that size.

    Args:
        backend: what runs the circuits of `forward`; None: exact simulation on this machine. A trainer uses its own.
        n_qubits: n; the PCA keeps 2^n components. circuit_depth: layers. n_classes: classes.
        entanglement: pairs of a layer. seed: of the first parameters.

    Attributes:
        pca: the fitted preprocessing; None before. encoder, vqc: its parts, for use by themselves.
    """

    def __init__(
        self,
        backend: Any = None,
        *,
        n_qubits: int = 6,
        circuit_depth: int = 4,
        n_classes: int = 10,
        entanglement: str = "linear",
        seed: int = 0,
    ) -> None:
        super().__init__(backend, seed)
        self.n_classes = n_classes
        self.encoder = AmplitudeEncoder(n_qubits)
        self.vqc = HardwareEfficientQuantumLayer(n_qubits, circuit_depth, entanglement, backend, seed)
        self.shape = ModelShape(n_qubits=n_qubits, depth=circuit_depth, entanglement=entanglement)
        self.pca: FeatureMap | None = None
        readout = LinearReadout(n_qubits, n_classes)
        self._make(self.vqc.circuit, Observables.local_z(n_qubits), readout)
        self.vqc.parameters = self.parameters

    def fit_features(self, x: Any) -> None:
        """Fit the PCA, once."""
        if self.pca is None:
            self.pca = CentredPCA(self.circuit.n_features).fit(x)

    def encode(self, x: Any) -> Array:
        """See `Variational`. Raises RunError before the PCA was fitted."""
        if self.pca is None:
            raise RunError("expected a fitted classifier, got none; train it, or call fit_features(images) first")
        return self.pca.transform(x)

    async def forward(self, x: Any, shots: int | None = 1000, seed: int = 0) -> Array:
        """Probabilities of the classes [B, C] of images; shots None: exact values."""
        logits = await self.outputs(x, shots, seed)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _amplitudes(encoding: str, width: int, n_qubits: int) -> bool:
    """Whether rows become amplitudes."""
    if encoding not in ENCODINGS:
        raise ConfigError(f"expected an encoding of {', '.join(ENCODINGS)}, got {encoding!r}")
    if width < 1 or width > 2**n_qubits or (encoding == "angle" and width > n_qubits):
        most = n_qubits if encoding == "angle" else 2**n_qubits
        raise ConfigError(f"expected an input_dim of 1 to {most} for {n_qubits} qubits, got {width}; take more qubits")
    return encoding == "amplitude" or width > n_qubits


def _encoding(width: int, n_qubits: int, *, amplitudes: bool) -> Circuit:
    if amplitudes:
        return encoders.amplitude(n_qubits, width)
    return Circuit(n_qubits, 0, width, tuple(op("ry", q, angles=[feature(q)]) for q in range(width)))


def _readout(n_qubits: int, outputs: int) -> tuple[Observables, Readout]:
    if outputs < 1:
        raise ConfigError(f"expected an output_dim of 1 or more, got {outputs}")
    values = Observables.local_z(n_qubits)
    if outputs > n_qubits:
        return values, LinearReadout(n_qubits, outputs)
    return Observables.of(*values.items[:outputs]), IdentityReadout(outputs)
