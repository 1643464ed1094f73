"""Any operation as rx, ry, rz, h, s and CNOT, for targets that do not know it; exact up to a global phase.

- A Pauli rotation: turn its letters to Z, a CNOT ladder to one qubit, rz, and back: 2 (w - 1) CNOT for w letters.
- Two rotations on one pair with different letters on both qubits, such as exp(-i a/2 YX) exp(-i b/2 XY) of an SO(4)
  block: turn the letters to XX and ZZ; CNOT takes XX to XI and ZZ to IZ, so that the pair costs 2 CNOT (Vatan and
  Williams, Phys. Rev. A 69, 032315).
- A rotation with m controls: all Z_S P over subsets S of the controls in the order of a Gray code, 2^m CNOT (Möttönen
  et al., Phys. Rev. Lett. 93, 130502).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from q_store.circuits.angle import Angle
from q_store.circuits.circuit import PREPARE, Op, cnot, op, rotation, rx, ry, rz
from q_store.errors import GateError

Known = Callable[[Op], bool]
_WEIGHT_1 = {"X": rx, "Y": ry, "Z": rz}
# Gates V in time order with V A V^-1 = X and V B V^-1 = Z for the letters (A, B).
_TO_XZ = {
    ("X", "Z"): (),
    ("Z", "X"): ("h",),
    ("Y", "Z"): ("si",),
    ("Z", "Y"): ("si", "h"),
    ("X", "Y"): ("v",),
    ("Y", "X"): ("h", "s"),
}
_INVERSE = {"h": "h", "s": "si", "si": "s", "v": "vi"}
_QUARTER = 1.5707963267948966


def expand(ops: Iterable[Op], known: Known) -> list[Op]:
    """The operations with every one that is not `known` decomposed.

    Args:
        ops: operations in time order, without a preparation.
        known: whether the target has an operation; rx, ry, rz, h, s, si without controls and x with one are taken to
            be known.

    Raises:
        GateError: for a preparation that is not known.
    """
    flat = [part for each in ops for part in _parts(each, known)]
    out: list[Op] = []
    done: set[int] = set()
    for k, each in enumerate(flat):
        if k in done:
            continue
        letters = _letters(each, known)
        if letters is None:
            out.append(each)
            continue
        partner = _partner(flat, k, letters, known)
        if partner is None:
            out += _ladder(letters, each.qubits, _angle(each))
        else:
            done.add(partner)
            out += _pair(each, letters, flat[partner], known)
    return out


def _parts(each: Op, known: Known) -> list[Op]:
    """Known operations, and single uncontrolled Pauli rotations."""
    if known(each):
        return [each]
    if each.gate == PREPARE:
        raise GateError(f"expected gates only, got {PREPARE!r}; pass the data row, so that it becomes an initial state")
    if each.gate == "swap":
        a, b = each.qubits
        exchange = Op("x", (b,), (), (*each.controls, a))
        return [cnot(b, a), *_parts(exchange, known), cnot(b, a)]
    out: list[Op] = []
    for letters, angle in op_factors(each):
        support = [(letter, q) for letter, q in zip(letters, each.qubits, strict=True) if letter != "I"]
        word, qubits = "".join(letter for letter, _ in support), [q for _, q in support]
        if each.controls:
            out += _controlled(word, qubits, angle, each.controls)
        elif word:
            out.append(rotation(word, angle, *qubits))
    return out


def op_factors(each: Op) -> list[tuple[str, Angle]]:
    """The uncontrolled operation as rotations (letters on its qubits, angle) in time order."""
    return [
        (letters, sum((c * a for c, a in zip(coefficients, each.angles, strict=False)), Angle.of(constant)))
        for letters, constant, coefficients in each.factors
    ]


def _letters(each: Op, known: Known) -> str | None:
    """The letters of a rotation that the target lacks; None for every other operation."""
    if each.controls or known(each):
        return None
    if each.gate in {"xx", "yy", "zz"}:
        return each.gate.upper()
    return each.paulis[0][0] if each.paulis else None


def _angle(each: Op) -> Angle:
    return each.angles[0] * (2 * each.paulis[0][1]) if each.paulis else each.angles[0]


def _partner(flat: Sequence[Op], k: int, letters: str, known: Known) -> int | None:
    """The rotation that shares two CNOT with flat[k]: next on both qubits, other letters on both."""
    if len(letters) != 2:
        return None
    pair = flat[k].qubits
    for other in range(k + 1, len(flat)):
        if not set(flat[other].wires) & set(pair):
            continue
        word = _letters(flat[other], known)
        if word is None or set(flat[other].wires) != set(pair):
            return None
        aligned = word if flat[other].qubits == pair else word[::-1]
        return other if aligned[0] != letters[0] and aligned[1] != letters[1] else None
    return None


def _pair(first: Op, letters: str, second: Op, known: Known) -> list[Op]:
    p, q = first.qubits
    word = _letters(second, known) or ""
    aligned = word if second.qubits == first.qubits else word[::-1]
    turns = [(name, qubit) for qubit, a, b in zip((p, q), letters, aligned, strict=True) for name in _TO_XZ[(a, b)]]
    core = [cnot(p, q), rx(_angle(first), p), rz(_angle(second), q), cnot(p, q)]
    return [*(_turn(*t) for t in turns), *core, *(_turn(_INVERSE[name], qubit) for name, qubit in reversed(turns))]


def _turn(name: str, qubit: int) -> Op:
    """A single-qubit Clifford; the square root of X as the rotation that every target has."""
    if name in {"v", "vi"}:
        return rx(_QUARTER if name == "v" else -_QUARTER, qubit)
    return op(name, qubit)


def _ladder(letters: str, qubits: Sequence[int], angle: Angle) -> list[Op]:
    if len(letters) == 1:
        return [_WEIGHT_1[letters](angle, qubits[0])]
    return _conjugated(letters, qubits, [rz(angle, qubits[-1])])


def _conjugated(letters: str, qubits: Sequence[int], inner: list[Op]) -> list[Op]:
    """`inner`, which acts on Z of the last qubit, acting on the string instead."""
    before = [_turn("h" if a == "X" else "v", q) for a, q in zip(letters, qubits, strict=True) if a != "Z"]
    after = [_turn("h" if a == "X" else "vi", q) for a, q in zip(letters, qubits, strict=True) if a != "Z"]
    chain = [cnot(a, b) for a, b in pairwise(qubits)]
    return [*before, *chain, *inner, *reversed(chain), *after]


def _controlled(letters: str, qubits: Sequence[int], angle: Angle, controls: tuple[int, ...]) -> list[Op]:
    """exp(-i angle/2 P) where all controls are 1; without letters a phase on the controls."""
    if letters:
        return _conjugated(letters, qubits, _gray(qubits[-1], angle, controls))
    *others, last = controls
    # diag(1, e^{i phase}) = e^{i phase/2} exp(-i phase/2 Z)
    phase = angle * -0.5
    if not others:
        return [rz(phase, last)]
    return [*_gray(last, phase, tuple(others)), *_controlled("", (), -phase, tuple(others))]


def _gray(target: int, angle: Angle, controls: tuple[int, ...]) -> list[Op]:
    """rz(angle) on the target where all controls are 1."""
    m = len(controls)
    out: list[Op] = []
    for k in range(2**m):
        subset = k ^ (k >> 1)
        out.append(rz(angle * ((-1.0) ** subset.bit_count() / 2**m), target))
        changed = subset ^ ((k + 1) ^ ((k + 1) >> 1)) if k + 1 < 2**m else subset
        out.append(cnot(controls[changed.bit_length() - 1], target))
    return out
