"""Lowering: any circuit as a list of Pauli rotations exp(-i a/2 P).

A control is expanded with |1><1| = (1 - Z)/2: controlled exp(-i a/2 P) is the product over subsets S of the controls of
exp(-i a (-1)^|S| / 2^(m+1) Z_S P), all of which commute.

Rotations by multiples of pi/2 that do not depend on parameters or data are Clifford. `push` moves them to the end,
where they cost nothing: C R(P) = R(C P C^-1) C. The CNOT chains of an ansatz disappear into the masks of the later
rotations this way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations

from q_store.circuits.angle import Angle
from q_store.circuits.circuit import PREPARE, Circuit, Op
from q_store.circuits.pauli import Pauli

_QUARTER = math.pi / 2


@dataclass(frozen=True, slots=True)
class Rotation:
    """exp(-i angle/2 P); `pauli` has sign + (a sign goes into the angle). The identity string is a global phase."""

    pauli: Pauli
    angle: Angle

    @property
    def quarter_turns(self) -> int | None:
        """angle / (pi/2) modulo 4 if that is a whole number and constant, else None."""
        if not self.angle.is_constant:
            return None
        turns = self.angle.constant / _QUARTER
        return round(turns) % 4 if abs(turns - round(turns)) < 1e-12 else None


@dataclass(frozen=True, slots=True)
class Frame:
    """The images T(G) = C^-1 G C of the generators under the Cliffords pushed so far.

    Attributes:
        x, z: images of X_q and Z_q, one Pauli a qubit.
    """

    x: tuple[Pauli, ...]
    z: tuple[Pauli, ...]

    @staticmethod
    def identity(n_qubits: int) -> Frame:
        """No Clifford yet."""
        return Frame(
            tuple(Pauli(1 << q, 0) for q in range(n_qubits)),
            tuple(Pauli(0, 1 << q) for q in range(n_qubits)),
        )

    def image(self, pauli: Pauli) -> Pauli:
        """T(P), sign included."""
        out = Pauli(0, 0, pauli.phase)
        for q, image in enumerate(self.x):
            if pauli.x >> q & 1:
                out = out @ image
        for q, image in enumerate(self.z):
            if pauli.z >> q & 1:
                out = out @ image
        return out

    def after(self, pauli: Pauli, turns: int) -> Frame:
        """The frame after one more Clifford exp(-i turns pi/4 P), behind the others."""
        if not turns or not (pauli.x | pauli.z):
            return self
        image = self.image(pauli)

        def turned(generator: Pauli, old: Pauli) -> Pauli:
            if generator.commutes(pauli):
                return old
            if turns == 2:
                return old.times_i(2)
            # e^{i a/2 P} G e^{-i a/2 P} = G (cos a - i sin a P)
            return (old @ image).times_i(3 if turns == 1 else 1)

        start = Frame.identity(len(self.x))
        return Frame(
            tuple(turned(g, old) for g, old in zip(start.x, self.x, strict=True)),
            tuple(turned(g, old) for g, old in zip(start.z, self.z, strict=True)),
        )


def lower(circuit: Circuit) -> list[Rotation]:
    """The circuit without its preparation as rotations in time order, global phases included."""
    return [rotation for op in circuit.ops if op.gate != PREPARE for rotation in op_rotations(op)]


def op_rotations(op: Op) -> list[Rotation]:
    """One operation as rotations in time order."""
    out = []
    for letters, constant, coefficients in op.factors:
        angle = Angle.of(constant)
        for coefficient, symbol in zip(coefficients, op.angles, strict=True):
            angle = angle + symbol * coefficient
        out += _controlled(Pauli.of(letters, op.qubits), angle, op.controls)
    return out


def _controlled(pauli: Pauli, angle: Angle, controls: tuple[int, ...]) -> list[Rotation]:
    out = []
    for size in range(len(controls) + 1):
        for subset in combinations(controls, size):
            z = sum(1 << q for q in subset)
            scale = (-1.0) ** size / 2 ** len(controls)
            out.append(Rotation(replace(pauli, z=pauli.z | z), angle * scale))
    return out


def push(rotations: list[Rotation], n_qubits: int) -> tuple[list[Rotation], Frame]:
    """Move every Clifford rotation to the end.

    Returns the other rotations, conjugated, and the frame: an observable O measured after the circuit is frame.image(O)
    measured after the returned rotations. Global phases are dropped.
    """
    frame = Frame.identity(n_qubits)
    kept: list[Rotation] = []
    for rotation in rotations:
        if not (rotation.pauli.x | rotation.pauli.z):
            continue
        turns = rotation.quarter_turns
        if turns is not None:
            frame = frame.after(rotation.pauli, turns)
        else:
            image = frame.image(rotation.pauli)
            kept.append(Rotation(_plus(image), rotation.angle * image.sign))
    return kept, frame


def _plus(pauli: Pauli) -> Pauli:
    return replace(pauli, phase=(pauli.x & pauli.z).bit_count() & 3)


def live(rotations: list[Rotation], observed: list[Pauli]) -> list[Rotation]:
    """Leave out what cannot change the observed strings: what commutes with them and with every later live rotation."""
    kept: list[Rotation] = []
    for rotation in reversed(rotations):
        later = [*observed, *(r.pauli for r in kept)]
        if not all(rotation.pauli.commutes(p) for p in later):
            kept.append(rotation)
    return kept[::-1]


def measured_frame(frame: Frame) -> tuple[list[Rotation], list[Pauli]]:
    """Make the images of Z_0..Z_{n-1} diagonal: see `diagonalised`.

    Returns the rotations to append and the n strings whose eigenvalues are then the measured bits.
    """
    return diagonalised(list(frame.z))


def diagonalised(strings: list[Pauli]) -> tuple[list[Rotation], list[Pauli]]:
    """Constant rotations, at most n, that make commuting strings diagonal, and what the strings become, with sign.

    Each step takes a string S with an X part, a Z_b that anticommutes with it, and turns S into Z_b by a quarter turn
    about i S Z_b; what is diagonal already commutes with S and Z_b, and stays.
    """
    images = list(strings)
    basis: list[Rotation] = []
    for k in range(len(images)):
        reduced = images[k]
        if not reduced.x:
            continue
        bit = reduced.x & -reduced.x
        axis = (reduced @ Pauli(0, bit)).times_i(1)
        rotation = Rotation(_plus(axis), Angle.of(axis.sign * _QUARTER))
        basis.append(rotation)
        images = [_conjugated(p, rotation) for p in images]
    return basis, images


def _conjugated(pauli: Pauli, rotation: Rotation) -> Pauli:
    """R P R^-1 for a quarter turn R."""
    if pauli.commutes(rotation.pauli):
        return pauli
    turns = rotation.quarter_turns
    return (pauli @ rotation.pauli).times_i(1 if turns == 1 else 3)
