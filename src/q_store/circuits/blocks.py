"""Blocks of angles whose generators can be measured together: what a block-diagonal metric is made of.

A circuit is a product of Pauli rotations exp(-i a_s/2 P_s). Those with a parameter in their angle are its SITES. Two
sites are in one block if neither has to come before the other, that is if no chain of non-commuting rotations leads
from one to the other. Then all of a block's generators act on one state, that of the circuit cut before the block:

    F_st = <P_s P_t> - <P_s><P_t>  in that state

is the quantum Fisher information of the block's angles (Stokes, Izaac, Killoran and Carleo, Quantum 4, 269, whose
layers are blocks). Block k holds the sites behind a longest chain of k others: as few blocks as there can be. Sites of
one operation that commute stay together, so that the derivative by an angle is not torn apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from q_store.circuits.angle import Angle
from q_store.circuits.binding import AngleTable
from q_store.circuits.circuit import PREPARE, Circuit, Op, rotation
from q_store.circuits.observables import Observables, PauliSum
from q_store.circuits.pauli import Pauli
from q_store.circuits.rotations import Rotation, diagonalised, op_rotations
from q_store.circuits.structure import Structure

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
_KEPT = 64


@dataclass(frozen=True, eq=False)
class Block:
    """Sites with commuting generators.

    Attributes:
        before: the circuit before the block, over the same parameters; without features where it reads none.
        strings: the U different generators.
        generator: [S], which of them each site has.
        table: the angles of the S sites.
    """

    before: Circuit
    strings: tuple[Pauli, ...]
    generator: Ints
    table: AngleTable

    @property
    def known(self) -> bool:
        """Whether nothing comes before: then the state is |0...0>, and nothing needs to be measured."""
        return not self.before.ops

    @cached_property
    def circuit(self) -> Circuit:
        """What is measured: the circuit before the block and the change of basis."""
        basis = () if self._product else _ops(self._turned[0])
        return Circuit(self.before.n_qubits, self.before.n_params, self.before.n_features, (*self.before.ops, *basis))

    @cached_property
    def observables(self) -> Observables:
        """The means of the U strings, then of the products of two (s, t), s < t in the order of `np.triu_indices`."""
        pairs = [self._images[i] @ self._images[j] for i, j in zip(*self.pairs, strict=True)]
        return Observables(tuple(_value(p) for p in (*self._images, *pairs)))

    @property
    def pairs(self) -> tuple[Ints, Ints]:
        """(s, t) of the products."""
        return np.triu_indices(len(self.strings), 1)

    def covariance(self, values: npt.NDArray[np.floating], shots: int | None = None) -> Reals:
        """F [R, S, S] of the sites' angles, from values[R, M] of `observables`; unbiased for values of `shots` samples.

        A covariance from N samples is too small by the factor 1 - 1/N.
        """
        size = len(self.strings)
        means = values[:, :size].astype(float)
        products = np.ones((len(values), size, size))
        s, t = self.pairs
        products[:, s, t] = products[:, t, s] = values[:, size:]
        strings = products - means[:, :, None] * means[:, None, :]
        if shots is not None:
            strings *= shots / (shots - 1)
        return np.asarray(strings[:, self.generator[:, None], self.generator])

    @cached_property
    def zero(self) -> Reals:
        """The values of `observables` in |0...0>, [1, M]."""
        products = [self.strings[i] @ self.strings[j] for i, j in zip(*self.pairs, strict=True)]
        return np.array([[0.0 if p.x else float(p.sign) for p in (*self.strings, *products)]])

    @cached_property
    def _product(self) -> bool:
        """Whether turning single qubits is enough: no qubit carries two different letters."""
        seen: dict[int, str] = {}
        return all(seen.setdefault(q, p.letters((q,))) == p.letters((q,)) for p in self.strings for q in p.qubits)

    @cached_property
    def _turned(self) -> tuple[list[Rotation], list[Pauli]]:
        return diagonalised(list(self.strings))

    @property
    def _images(self) -> Sequence[Pauli]:
        """The strings in the measured basis; where single qubits are turned, whoever measures turns them."""
        return self.strings if self._product else self._turned[1]


def _value(pauli: Pauli) -> PauliSum:
    plus = Pauli(pauli.x, pauli.z, (pauli.x & pauli.z).bit_count() & 3)
    return PauliSum(((float(pauli.sign), plus),))


def blocks(circuit: Circuit) -> tuple[Block, ...]:
    """The blocks of a circuit in time order; computed once for each of the last circuits."""
    return _blocks(Structure(circuit))


@lru_cache(maxsize=_KEPT)
def _blocks(structure: Structure) -> tuple[Block, ...]:
    circuit = structure.circuit
    parts = [(k, r) for k, op in enumerate(circuit.ops) if op.gate != PREPARE for r in op_rotations(op)]
    parts = [(k, r) for k, r in parts if r.pauli.x | r.pauli.z]
    earlier = _ancestors([r.pauli for _, r in parts])
    level: dict[int, int] = {}
    for sites in _inseparable(parts):
        before = [level[i] for i in level if any(earlier[j] >> i & 1 for j in sites)]
        level |= dict.fromkeys(sites, 1 + max(before, default=0))
    members: dict[int, list[int]] = {}
    for j, depth in level.items():
        members.setdefault(depth, []).append(j)
    return tuple(_block(circuit, parts, earlier, members[depth]) for depth in sorted(members))


def _inseparable(parts: list[tuple[int, Rotation]]) -> Iterator[list[int]]:
    """The sites in time order; those of one operation together if they commute, as those of a controlled rotation."""
    own: dict[int, list[int]] = {}
    for j, (k, r) in enumerate(parts):
        if r.angle.params:
            own.setdefault(k, []).append(j)
    for sites in own.values():
        strings = [parts[j][1].pauli for j in sites]
        if all(a.commutes(b) for a in strings for b in strings):
            yield sites
        else:
            yield from ([j] for j in sites)


def _ancestors(strings: Sequence[Pauli]) -> list[int]:
    """For each rotation, as a bit mask, those that have to come before it."""
    out: list[int] = []
    for j, pauli in enumerate(strings):
        found = 0
        for i in range(j - 1, -1, -1):
            if not found >> i & 1 and not strings[i].commutes(pauli):
                found |= out[i] | 1 << i
        out.append(found)
    return out


def _block(circuit: Circuit, parts: list[tuple[int, Rotation]], earlier: list[int], members: list[int]) -> Block:
    needed = 0
    for j in members:
        needed |= earlier[j]
    strings = tuple(dict.fromkeys(parts[j][1].pauli for j in members))
    place = {pauli: u for u, pauli in enumerate(strings)}
    generator = np.array([place[parts[j][1].pauli] for j in members], dtype=np.intp)
    table = AngleTable.of([parts[j][1].angle for j in members], circuit.n_params, circuit.n_features)
    return Block(_cut(circuit, parts, needed), strings, generator, table)


def _cut(circuit: Circuit, parts: list[tuple[int, Rotation]], needed: int) -> Circuit:
    """The circuit of the needed rotations; an operation that is needed as a whole stays as it is."""
    own: dict[int, list[tuple[bool, Rotation]]] = {}
    for j, (k, r) in enumerate(parts):
        own.setdefault(k, []).append((bool(needed >> j & 1), r))
    ops: list[Op] = [circuit.prepare] if circuit.prepare else []
    for k, rotations in own.items():
        if all(kept for kept, _ in rotations):
            ops.append(circuit.ops[k])
        else:
            ops += _ops(r for kept, r in rotations if kept)
    reads = any(op.gate == PREPARE or any(a.uses_data for a in op.angles) for op in ops)
    return Circuit(circuit.n_qubits, circuit.n_params, circuit.n_features if reads else 0, tuple(ops))


def _ops(rotations: Iterable[Rotation]) -> tuple[Op, ...]:
    return tuple(rotation(r.pauli.letters(r.pauli.qubits), Angle.of(r.angle), *r.pauli.qubits) for r in rotations)
