"""A circuit over its own angles: one parameter for each, so that every row has derivatives of its own.

With angle_s(theta, x) the angle of site s and f_r the value of row r,

    d f_r / d theta_i = sum_s (d f_r / d angle_s) (d angle_s / d theta_i),    and the same for x_j.

Angles are linear in parameters and in data, so the second factors are known for all rows at once (`AngleTable`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from q_store.circuits.angle import Angle, theta, x
from q_store.circuits.binding import AngleTable
from q_store.circuits.circuit import Circuit
from q_store.circuits.structure import Structure

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sites:
    """A circuit whose chosen angles are its parameters, and whose other angles and amplitudes are its data.

    Attributes:
        circuit: S parameters; features are the amplitudes of a leading `prepare`, then the other angles.
        columns: (first, number) of the amplitudes in the data of the original circuit; number 0 without `prepare`.
        moved: [S] angles over the original parameters and data. kept: the other angles that are not constant.
    """

    circuit: Circuit
    columns: tuple[int, int]
    moved: AngleTable
    kept: AngleTable

    @staticmethod
    def of(circuit: Circuit, *, params: bool, data: bool) -> Sites:
        """The sites of the angles with parameters, with data, or with either; made once for the last circuits.

        Constant angles stay as they are.
        """
        return _made(Structure(circuit), params, data)

    def angles(self, params: Reals, data: Reals) -> Reals:
        """Parameters [R, S] of `circuit` for params[P] and data[R, D] of the original one."""
        return _bound(self.moved, params, data)

    def data(self, params: Reals, data: Reals) -> Reals:
        """Data of `circuit`, [R, number + F]."""
        first, number = self.columns
        return np.concatenate([data[:, first : first + number], _bound(self.kept, params, data)], axis=1)


@lru_cache(maxsize=64)
def _made(structure: Structure, params: bool, data: bool) -> Sites:  # noqa: FBT001  # the key of a cache
    circuit = structure.circuit
    columns = circuit.prepare.columns if circuit.prepare else (0, 0)
    moved: list[Angle] = []
    kept: list[Angle] = []

    def renamed(angle: Angle) -> Angle:
        if angle.is_constant:
            return angle
        if (params and angle.params) or (data and angle.uses_data):
            moved.append(angle)
            return theta(len(moved) - 1)
        kept.append(angle)
        return x(columns[1] + len(kept) - 1)

    ops = [replace(circuit.prepare, columns=(0, columns[1]))] if circuit.prepare else []
    ops += [replace(op, angles=tuple(renamed(angle) for angle in op.angles)) for op in circuit.ops[len(ops) :]]
    own = Circuit(circuit.n_qubits, len(moved), columns[1] + len(kept), tuple(ops))
    tables = (AngleTable.of(angles, circuit.n_params, circuit.n_features) for angles in (moved, kept))
    return Sites(own, columns, *tables)


def _bound(table: AngleTable, params: Reals, data: Reals) -> Reals:
    angles = table.bind(params[None], data)
    return np.broadcast_to(angles, (len(data), angles.shape[1]))
