"""`AmplitudeEncoder` and `HardwareEfficientQuantumLayer`: a state from data, and what a circuit makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.apps.legacy.backends import executor_of
from q_store.circuits import encoders
from q_store.circuits.circuit import Circuit
from q_store.circuits.templates import hardware_efficient
from q_store.config.sections import ENTANGLEMENTS
from q_store.errors import CircuitError, DataError, InputError, ShapeError, suggestion
from q_store.jobs import Job, Output, run_all

Array = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]
ROTATIONS = {True: ("ry", "rz"), False: ("rz", "ry", "rz")}
"""Of a layer, by whether it is the hardware-efficient one."""


class AmplitudeEncoder:
    """Data as amplitudes: x_j is the amplitude of state j, the rest 0, and the row has unit norm.

    Args:
        n_qubits: n.
    """

    def __init__(self, n_qubits: int) -> None:
        if n_qubits < 1:
            raise InputError(f"expected 1 qubit or more, got {n_qubits}")
        self.n_qubits = n_qubits

    def encode(self, x: npt.ArrayLike) -> Reals:
        """States [2^n] of a row, or [B, 2^n] of rows; every row is normalised by itself.

        Raises:
            ShapeError: for rows of more than 2^n values. DataError: for a row that is zero or not finite.
        """
        given = np.asarray(x, dtype=np.float64)
        rows = given.reshape(-1, given.shape[-1]) if given.ndim else given.reshape(1, 1)
        size = 2**self.n_qubits
        if given.ndim not in {1, 2} or not 1 <= rows.shape[1] <= size:
            raise ShapeError(f"expected [D] or [B, D] with 1 to {size} values a row, got {list(given.shape)}")
        norms = np.linalg.norm(rows, axis=1)
        bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
        if len(bad):
            raise DataError(f"expected rows of finite values that are not all 0, got another: row {bad[0]}; drop it")
        out = np.zeros((len(rows), size))
        out[:, : rows.shape[1]] = rows / norms[:, None]
        return out.reshape(*given.shape[:-1], size)


@dataclass(frozen=True, eq=False)
class Evolved:
    """What is known of states after a circuit.

    Attributes:
        probabilities: [B, 2^n], or frequencies of `shots` measurements. amplitudes: [B, 2^n] without shots, else None.
        shots: None for exact values.
    """

    probabilities: Reals
    amplitudes: Array | None
    shots: int | None

    @property
    def expectations(self) -> Reals:
        """<Z_q> [B, n]."""
        states = np.arange(self.probabilities.shape[1])
        n = self.probabilities.shape[1].bit_length() - 1
        signs = 1.0 - 2.0 * ((states[:, None] >> np.arange(n)) & 1)
        return np.asarray(self.probabilities @ signs)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:  # NumPy's protocol
        """The probabilities."""
        del copy
        return np.asarray(self.probabilities, dtype=dtype)


class HardwareEfficientQuantumLayer:
    """`depth` times [RY and RZ on every qubit, entanglers]; 2 n depth parameters.

    Args:
        n_qubits: n. depth: layers. entanglement: `linear`, `ring` (`circular`) or `all_to_all` (`full`).
        backend: what runs it; None: exact simulation on this machine. seed: of the first parameters.

    Attributes:
        parameters: [P]. circuit: amplitudes, then the layers.
    """

    def __init__(
        self, n_qubits: int, depth: int = 4, entanglement: str = "linear", backend: Any = None, seed: int = 0
    ) -> None:
        self.n_qubits, self.depth, self.entanglement, self.backend = n_qubits, depth, entanglement, backend
        self.circuit = encoders.amplitude(n_qubits) + ansatz(n_qubits, depth, entanglement)
        self.parameters = np.random.default_rng(seed).normal(0.0, 0.1, self.circuit.n_params)

    async def forward(self, state: npt.ArrayLike, shots: int | None = None, seed: int = 0) -> Evolved:
        """States after the circuit, of a state [2^n] or states [B, 2^n] with real amplitudes of unit norm.

        Raises:
            ShapeError: for another shape. CapabilityError: without shots on a backend that only measures.
        """
        data = np.atleast_2d(np.asarray(state))
        if np.iscomplexobj(data) and np.any(data.imag):
            raise InputError("expected real amplitudes, got complex ones; the first layer can turn phases instead")
        executor = executor_of(self.backend)
        outputs = executor.capabilities.outputs
        wanted = Output.STATE if shots is None and Output.STATE in outputs else Output.PROBABILITIES
        job = Job(self.circuit, data.real.astype(np.float64), self.parameters, output=wanted, seed=seed, shots=None)
        if shots is not None:
            job = Job(self.circuit, job.data, self.parameters, output=Output.COUNTS, seed=seed, shots=shots)
        outcome = run_all(executor, [job])[0] if hasattr(executor, "run") else (await executor.run_async([job]))[0]
        return _evolved(outcome, wanted, shots)


def _evolved(outcome: Any, wanted: Output, shots: int | None) -> Evolved:
    if shots is not None:
        return Evolved(np.asarray(outcome.counts, dtype=np.float64) / shots, None, shots)
    if wanted is Output.STATE:
        return Evolved(np.abs(outcome.values).astype(np.float64) ** 2, outcome.values, None)
    return Evolved(np.asarray(outcome.values, dtype=np.float64), None, None)


def ansatz(n_qubits: int, depth: int, entanglement: str, *, plain: bool = True) -> Circuit:
    """Layers of RY and RZ (`plain`), or of RZ, RY and RZ, each followed by CNOTs. Raises CircuitError."""
    if entanglement not in ENTANGLEMENTS:
        raise CircuitError(
            f"expected an entanglement of {', '.join(ENTANGLEMENTS)}, got {entanglement!r}"
            f"{suggestion(entanglement, ENTANGLEMENTS)}"
        )
    pairs = ENTANGLEMENTS[entanglement]
    return hardware_efficient(n_qubits, depth, ROTATIONS[plain], pairs, final_rotations=False)
