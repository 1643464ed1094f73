"""Circuits, gates, angles and observables; numpy only, and nothing here knows of a backend."""

from q_store.circuits.angle import Angle, theta, x
from q_store.circuits.circuit import Circuit, Op, cnot, cz, op, pauliexp, prepare, rotation, rx, ry, rz
from q_store.circuits.observables import Marginal, Observable, Observables, PauliSum, z
from q_store.circuits.pauli import Pauli

__all__ = [
    "Angle",
    "Circuit",
    "Marginal",
    "Observable",
    "Observables",
    "Op",
    "Pauli",
    "PauliSum",
    "cnot",
    "cz",
    "op",
    "pauliexp",
    "prepare",
    "rotation",
    "rx",
    "ry",
    "rz",
    "theta",
    "x",
    "z",
]
