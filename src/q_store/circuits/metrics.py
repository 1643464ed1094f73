"""The size of a circuit: what is printed before and after something made it smaller."""

from __future__ import annotations

from dataclasses import dataclass

from q_store.circuits.circuit import Circuit


@dataclass(frozen=True, slots=True)
class Metrics:
    """Sizes of one circuit; the preparation counts as one gate and no two-qubit gate, see `encoders.lower`.

    Attributes:
        gates: operations in all. two_qubit: those on two or more qubits. depth: longest path through shared qubits.
        kinds: (name, number) of each kind of operation, by name; controls are leading c's, as in `cx`.
    """

    gates: int
    two_qubit: int
    depth: int
    kinds: tuple[tuple[str, int], ...]

    @staticmethod
    def of(circuit: Circuit) -> Metrics:
        """Those of this circuit."""
        kinds = tuple(sorted(circuit.counts.items()))
        return Metrics(circuit.count(), circuit.two_qubit_gates, circuit.depth, kinds)

    def figures(self) -> dict[str, int]:
        """All of it by name, the kinds last."""
        return {"gates": self.gates, "two_qubit": self.two_qubit, "depth": self.depth, **dict(self.kinds)}

    def __str__(self) -> str:
        kinds = ", ".join(f"{number} {name}" for name, number in self.kinds)
        return f"{self.gates} gates ({kinds}), {self.two_qubit} on two qubits, depth {self.depth}"
