"""Compilation of a circuit, and what is measured on it, to arrays that the kernels run.

The pass does what no kernel then has to do: Clifford gates (CNOT chains, fixed X, H, S) are moved behind the
rotations and disappear into their masks and into the observables; rotations that cannot change what is measured (a
last RZ layer, everything outside the light cone) are left out; neighbouring diagonal rotations with shared angles
become one table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from q_store.circuits.angle import Angle
from q_store.circuits.circuit import Circuit
from q_store.circuits.observables import Marginal, Observables
from q_store.circuits.pauli import Pauli
from q_store.circuits.rotations import Frame, Rotation, live, lower, measured_frame, push

Ints = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Diagonal:
    """Values that are linear in the probabilities of the final basis states: probabilities @ D, D by columns.

    Attributes:
        column: [M + 1], entries column[m]..column[m + 1] - 1 belong to value m.
        state, weight: basis state and factor of every entry.
    """

    column: Ints
    state: Ints
    weight: Reals

    def dense(self, dim: int) -> Reals:
        """D[dim, M]."""
        out = np.zeros((dim, len(self.column) - 1))
        out[self.state, np.repeat(np.arange(out.shape[1]), np.diff(self.column))] = self.weight
        return out


@dataclass(frozen=True, eq=False)
class Strings:
    """Values that are linear in expectations of Pauli strings.

    Attributes:
        x, z: masks [T] of the strings. weights: [T, M]. constant: [M]; values = constant + expectations @ weights.
    """

    x: Ints
    z: Ints
    weights: Reals
    constant: Reals


@dataclass(frozen=True, eq=False)
class Program:
    """Rotations exp(-i a_s/2 P_s), s = 0..S-1, after |0...0> or a preparation.

    Attributes:
        n_qubits, n_params, n_features: n, P, D of the circuit.
        x, z: masks [S] of P_s (sign +).
        angles: a_s over parameters and features, radians.
        columns: (first, number) of the amplitude columns, or None.
        readout: how values come from the final state; None to leave it.
    """

    n_qubits: int
    n_params: int
    n_features: int
    x: Ints
    z: Ints
    angles: tuple[Angle, ...]
    columns: tuple[int, int] | None
    readout: Diagonal | Strings | None

    @property
    def size(self) -> int:
        """S."""
        return len(self.x)

    @cached_property
    def real_prefix(self) -> int:
        """Number of leading rotations (odd number of Y) under which the amplitudes stay real."""
        even = np.bitwise_count(self.x & self.z) % 2 == 0
        return int(np.argmax(even)) if even.any() else self.size


def compile_values(circuit: Circuit, observables: Observables) -> Program:
    """The program whose readout gives the observables' values."""
    rotations, frame = push(lower(circuit), circuit.n_qubits)
    images = {p: frame.image(p) for p in observables.strings}
    if any(p.x for p in images.values()):
        if not observables.is_diagonal:
            kept = live(rotations, list(images.values()))
            return _program(circuit, kept, _strings(observables, frame))
        basis, bits = measured_frame(frame)
        rotations = rotations + basis
        images = {p: _product(bits, p.z) for p in observables.strings}
    return _program(circuit, live(rotations, list(images.values())), _diagonal(observables, images, circuit.n_qubits))


def compile_probabilities(circuit: Circuit) -> Program:
    """The program whose values are the probabilities of all measured states."""
    return compile_values(circuit, Observables.of(Marginal(tuple(range(circuit.n_qubits)))))


def compile_state(circuit: Circuit) -> Program:
    """The program whose final state is that of the circuit, global phase included."""
    return _program(circuit, lower(circuit), None)


def compile_metric(circuit: Circuit) -> Program:
    """The program whose states have the circuit's Fisher information: a last Clifford does not change it."""
    rotations, _ = push(lower(circuit), circuit.n_qubits)
    return _program(circuit, rotations, None)


def _program(circuit: Circuit, rotations: list[Rotation], readout: Diagonal | Strings | None) -> Program:
    x = np.array([r.pauli.x for r in rotations], dtype=np.int64)
    z = np.array([r.pauli.z for r in rotations], dtype=np.int64)
    angles = tuple(r.angle for r in rotations)
    columns = circuit.prepare.columns if circuit.prepare else None
    return Program(circuit.n_qubits, circuit.n_params, circuit.n_features, x, z, angles, columns, readout)


def _product(bits: list[Pauli], mask: int) -> Pauli:
    out = Pauli(0, 0)
    for q, bit in enumerate(bits):
        if mask >> q & 1:
            out = out @ bit
    return out


def _outcomes(bits: list[Pauli], n_qubits: int) -> Ints:
    """Measured outcome of each basis state [2^n]: bit k is the eigenvalue (1 for -1) of the diagonal bits[k]."""
    states = np.arange(2**n_qubits)
    out = np.zeros(len(states), dtype=np.int64)
    for k, pauli in enumerate(bits):
        bit = (np.bitwise_count(states & pauli.z) & 1) ^ (pauli.sign < 0)
        out |= bit.astype(np.int64) << k
    return out


def _diagonal(observables: Observables, images: dict[Pauli, Pauli], n_qubits: int) -> Diagonal:
    """The readout when every string has become the diagonal one of `images`."""
    states = np.arange(2**n_qubits)
    sizes: list[int] = []
    entries: list[tuple[Ints, Reals]] = []
    for item in observables.items:
        if isinstance(item, Marginal):
            outcomes = _outcomes([images[Pauli(0, 1 << q)] for q in item.qubits], n_qubits)
            sizes += np.bincount(outcomes, minlength=2 ** len(item.qubits)).tolist()
            entries.append((np.argsort(outcomes, kind="stable"), np.ones(len(states))))
            continue
        weight = np.zeros(len(states))
        for c, p in item.terms:
            image = images.get(p, p)
            weight += c * image.sign * (1 - 2.0 * (np.bitwise_count(states & image.z) & 1))
        sizes.append(len(states))
        entries.append((states, weight))
    column = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Diagonal(column, np.concatenate([e[0] for e in entries]), np.concatenate([e[1] for e in entries]))


def _strings(observables: Observables, frame: Frame) -> Strings:
    index: dict[tuple[int, int], int] = {}
    entries: list[tuple[int, int, float]] = []
    constant = np.zeros(observables.size)
    for m, terms in enumerate(_expanded(observables)):
        for c, p in terms:
            image = frame.image(p)
            if image.x | image.z:
                t = index.setdefault((image.x, image.z), len(index))
                entries.append((t, m, c * image.sign))
            else:
                constant[m] += c
    weights = np.zeros((len(index), observables.size))
    for t, m, c in entries:
        weights[t, m] += c
    masks = np.array(list(index), dtype=np.int64).reshape(-1, 2)
    return Strings(np.ascontiguousarray(masks[:, 0]), np.ascontiguousarray(masks[:, 1]), weights, constant)


def _expanded(observables: Observables) -> Iterator[tuple[tuple[float, Pauli], ...]]:
    """Every value as a Pauli sum; p(outcome) = 2^-k sum over subsets S of (-1)^(outcome . S) Z_S."""
    for item in observables.items:
        if not isinstance(item, Marginal):
            yield item.terms
            continue
        k = len(item.qubits)
        for outcome in range(2**k):
            yield tuple(
                (
                    (-1.0) ** (subset & outcome).bit_count() / 2**k,
                    Pauli(0, sum(1 << q for i, q in enumerate(item.qubits) if subset >> i & 1)),
                )
                for subset in range(2**k)
            )
