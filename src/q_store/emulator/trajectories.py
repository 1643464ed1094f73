"""Noise by trajectories: an error is a Pauli string, and all it does later is turn signs and flip measured bits.

A Pauli E passes a rotation as R_P(a) E = E R_P(+-a), minus where E and P anticommute. So one shot with errors is the
same circuit with some angles negated and some of the measured bits inverted; shots without an error share one run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from q_store.circuits.angle import Angle, theta
from q_store.circuits.circuit import Circuit, Op
from q_store.circuits.circuit import rotation as rotation_op
from q_store.circuits.pauli import Pauli
from q_store.circuits.rotations import Frame, Rotation
from q_store.emulator.noise import Noisy

Ints = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
Mask = tuple[int, int]  # x and z bits of a Pauli string


@dataclass(frozen=True, slots=True)
class Channel:
    """A depolarising channel.

    Attributes:
        position: number of rotations before it.
        rate: probability that it draws, evenly, one of the products of its generators (the identity among them).
        generators: X and Z of its qubits, moved in front of the tail.
    """

    position: int
    rate: float
    generators: tuple[Mask, ...]


@dataclass(frozen=True)
class Unravelled:
    """Rotations with channels between them, then Clifford gates, then a measurement of every qubit.

    Attributes:
        n_qubits: n.
        rotations: R of them, whose angles change signs.
        channels: ordered by position.
        tail: constant rotations by multiples of pi/2.
        bits: [n], Z of every measured qubit, moved in front of the tail.
    """

    n_qubits: int
    rotations: tuple[Rotation, ...]
    channels: tuple[Channel, ...]
    tail: tuple[Rotation, ...]
    bits: tuple[Mask, ...]

    def angles(self, given: Reals) -> Reals:
        """Angles [S, R] of the rotations for the angles given[S, A] of the circuit, on which they depend linearly."""
        terms = [(r, i, c) for r, rotation in enumerate(self.rotations) for (i, _), c in rotation.angle.terms]
        out = np.zeros((len(self.rotations), len(given)))
        if terms:
            slot, param, weight = (np.array(column) for column in zip(*terms, strict=True))
            factors = np.vstack([given.T, np.ones(len(given))])  # a constant has param -1: the last row
            np.add.at(out, slot, factors[param] * weight[:, None])
        return np.ascontiguousarray(out.T)

    @property
    def circuit(self) -> Circuit:
        """The circuit whose parameter r is the angle of rotation r."""
        ops = [_op(r.pauli, theta(i)) for i, r in enumerate(self.rotations)]
        return Circuit(self.n_qubits, len(ops), 0, (*ops, *(_op(r.pauli, r.angle) for r in self.tail)))


@dataclass(frozen=True, eq=False)
class Errors:
    """What errors do to T shots.

    Attributes:
        signs: [T, R], +1 or -1 for the angle of each rotation.
        flips: [T], masks of the measured bits that are inverted.
    """

    signs: Reals
    flips: Ints


def unravelled(noisy: Noisy, *, clifford: bool) -> Unravelled:
    """With `clifford` all rotations by multiples of pi/2 are moved into the tail, as the local engine likes it."""
    n = noisy.n_qubits
    frame = Frame.identity(n)
    kept: list[Rotation] = []
    tail: list[Rotation] = []
    channels: list[Channel] = []
    sites = list(noisy.sites)[::-1]
    for position in range(len(noisy.rotations) + 1):
        while sites and sites[-1].position == position:
            site = sites.pop()
            images = [image for q in site.qubits for image in (frame.x[q], frame.z[q])]
            channels.append(Channel(len(kept), site.rate, tuple((p.x, p.z) for p in images)))
        if position == len(noisy.rotations):
            break
        rotation = noisy.rotations[position]
        turns = rotation.quarter_turns if clifford else None
        if turns is None:
            kept.append(_moved(rotation, frame) if tail else rotation)
        elif turns:
            frame = frame.after(rotation.pauli, turns)
            tail.append(rotation)
    return Unravelled(n, tuple(kept), tuple(channels), tuple(tail), tuple((p.x, p.z) for p in frame.z))


def _moved(rotation: Rotation, frame: Frame) -> Rotation:
    """The rotation in front of the Clifford gates of the frame."""
    image = frame.image(rotation.pauli)
    plus = Pauli(image.x, image.z, (image.x & image.z).bit_count() & 3)
    return Rotation(plus, rotation.angle * image.sign)


def draw(circuit: Unravelled, shots: int, rng: np.random.Generator) -> Errors:
    """The errors of those shots, T of them, that have any."""
    rates = np.array([channel.rate for channel in circuit.channels])
    hit = rng.random((shots, len(rates))) < rates
    hit = hit[hit.any(axis=1)]
    x, z = np.zeros(len(hit), np.int64), np.zeros(len(hit), np.int64)
    signs = np.ones((len(hit), len(circuit.rotations)))
    done = 0
    for c, channel in enumerate(circuit.channels):
        _pass(circuit, range(done, channel.position), x, z, signs)
        done = channel.position
        rows = np.flatnonzero(hit[:, c])
        chosen = rng.integers(0, 2, (len(rows), len(channel.generators)))
        for k, (gx, gz) in enumerate(channel.generators):
            x[rows] ^= chosen[:, k] * gx
            z[rows] ^= chosen[:, k] * gz
    _pass(circuit, range(done, len(circuit.rotations)), x, z, signs)
    flips = np.zeros(len(hit), np.int64)
    for q, bit in enumerate(circuit.bits):
        flips |= _anticommute(x, z, bit) << q
    return Errors(signs, flips)


def _pass(circuit: Unravelled, rotations: range, x: Ints, z: Ints, signs: Reals) -> None:
    for r in rotations:
        pauli = circuit.rotations[r].pauli
        signs[:, r] -= 2.0 * _anticommute(x, z, (pauli.x, pauli.z))


def _anticommute(x: Ints, z: Ints, mask: Mask) -> Ints:
    """1 where the string (x, z) anticommutes with the one of `mask`, else 0."""
    parity = np.bitwise_count(x & mask[1]) + np.bitwise_count(z & mask[0])
    return np.asarray(parity & 1, dtype=np.int64)


def _op(pauli: Pauli, angle: Angle) -> Op:
    qubits = pauli.qubits
    return rotation_op(pauli.letters(qubits), angle, *qubits)
