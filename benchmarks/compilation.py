"""Native compilation beside qiskit-ionq's and cirq-ionq's: entanglers and pulses of seeded random circuits.

    python benchmarks/compilation.py                          # 2,000 circuits a family, all peers
    python benchmarks/compilation.py --circuits 200 --seed 7
    python benchmarks/compilation.py --golden                 # the counts of the peers that the tests know
    python benchmarks/compilation.py --zoo                    # models of the zoo, without peers

Peers run in environments of their own (see README.md). Three kinds of circuits take turns, on 1 to 6 qubits: every
gate with up to 5 controls; the everyday gates; RXX, RYY and RZZ with rotations. Every circuit compiled by q-store is
compared with the dense oracle. `--results FILE.json` keeps the counts of every circuit.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from workers import HERE, Script, interpreter

from q_store.backends.local.reference import apply, matrix, state
from q_store.circuits import Circuit, Op, encoders, op, pauliexp
from q_store.circuits.gates import GATES, PAULIEXP
from q_store.circuits.native import Family, counts, to_native
from q_store.circuits.serialise import circuit_to_json
from q_store.models import zoo

Row = dict[str, Any]
PEERS = {
    "qiskit-ionq": Script("qiskit-ionq", "peers/compile_qiskit_ionq.py", "peers/requirements-qiskit-ionq.txt"),
    "cirq-ionq": Script("cirq-ionq", "peers/compile_cirq_ionq.py", "peers/requirements-cirq-ionq.txt"),
}
EVERYDAY = ("x", "h", "s", "t", "rx", "ry", "rz", "x1", "x1", "x1", "z1", "p1", "zz", "swap", "x2")
ROTATIONS = ("xx", "yy", "zz", "xx", "yy", "zz", "rx", "ry", "rz")
GOLDEN = HERE.parent / "tests" / "circuits" / "native_peers.json"
GOLDEN_CIRCUITS = 90
KINDS = ("every gate", "everyday", "rotations")


def random_circuit(kind: str, rng: np.random.Generator) -> Circuit:
    """One of KINDS, of 1 to 6 qubits (2 to 6 for rotations) and up to 20 operations."""
    n = int(rng.integers(1 + (kind == "rotations"), 7))
    make = {"every gate": _any_op, "everyday": _everyday_op, "rotations": _rotation_op}[kind]
    ops: list[Op] = []
    length = int(rng.integers(1, 21))
    while len(ops) < length:
        found = make(n, rng)
        if found is not None:
            ops.append(found)
    return Circuit(n, 0, 0, tuple(ops))


def _any_op(n: int, rng: np.random.Generator) -> Op | None:
    name = str(rng.choice([*GATES, PAULIEXP]))
    wires = [int(q) for q in rng.permutation(n)]
    if name == PAULIEXP:
        weight = int(rng.integers(1, min(n, 4) + 1))
        letters = "".join(rng.choice(list("IXYZ"), weight))
        return pauliexp([(letters, float(rng.uniform(-1, 1)))], _angle(rng, 2 * math.pi), *wires[:weight])
    gate = GATES[name]
    if gate.n_qubits > n:
        return None
    free = wires[gate.n_qubits :][:5]
    controls = free[: int(rng.integers(0, len(free) + 1))] if rng.random() < 0.4 else []
    unit = 1.0 if gate.native else 2 * math.pi
    return op(
        name, *wires[: gate.n_qubits], angles=[_angle(rng, unit) for _ in range(gate.n_angles)], controls=controls
    )


def _everyday_op(n: int, rng: np.random.Generator) -> Op | None:
    return _named_op(str(rng.choice(EVERYDAY)), n, rng)


def _rotation_op(n: int, rng: np.random.Generator) -> Op | None:
    return _named_op(str(rng.choice(ROTATIONS)), n, rng)


def _named_op(word: str, n: int, rng: np.random.Generator) -> Op | None:
    name, controls = word.rstrip("012"), int(word[-1]) if word[-1].isdigit() else 0
    gate = GATES[name]
    if gate.n_qubits + controls > n:
        return None
    wires = [int(q) for q in rng.permutation(n)]
    angles = [_angle(rng, 2 * math.pi) for _ in range(gate.n_angles)]
    return op(name, *wires[: gate.n_qubits], angles=angles, controls=wires[gate.n_qubits :][:controls])


def _angle(rng: np.random.Generator, unit: float) -> float:
    """Often a multiple of an eighth of a turn, else anything."""
    return unit * float(rng.integers(-8, 9) / 8 if rng.random() < 0.3 else rng.uniform(-1, 1))


def unitary(circuit: Circuit) -> Any:
    """By the dense oracle, [2^n, 2^n]."""
    n = circuit.n_qubits
    out = np.eye(2**n, dtype=complex).reshape(-1)  # a state of 2 n qubits, whose first n are acted on
    for each in circuit.ops:
        out = apply(out, matrix(each, [angle.constant for angle in each.angles]), each.wires, 2 * n)
    return out.reshape(2**n, 2**n).T


def ours(circuit: Circuit) -> Row:
    row: Row = {}
    expected = unitary(circuit)
    for family in Family:
        native = to_native(circuit, family)
        overlap = abs(np.vdot(expected, unitary(native))) / len(expected)
        one, two = counts(native)
        measured = counts(to_native(circuit, family, measured=True))
        row[family.value] = {
            "one": one,
            "two": two,
            "measured_one": measured.one_qubit,
            "measured_two": measured.two_qubit,
            "infidelity": 1 - overlap**2,
        }
    return row


def theirs(name: str, cases: list[Row], venvs: Path) -> list[Row]:
    """The peer's counts of all circuits."""
    python = interpreter(PEERS[name], venvs)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.json", Path(folder) / "out.json"
        source.write_text(json.dumps(cases))
        subprocess.run([python, str(HERE / PEERS[name].path), str(source), str(target)], check=True)
        return list(json.loads(target.read_text()))


def compare(n_circuits: int, seed: int, peers: list[str], venvs: Path) -> list[Row]:
    """One row for each circuit: its kind, its JSON, and the counts of everybody."""
    rng = np.random.default_rng(seed)
    kinds = [KINDS[k % len(KINDS)] for k in range(n_circuits)]
    circuits = [random_circuit(kind, rng) for kind in kinds]
    cases = [{"circuit": circuit_to_json(c), "state": [[z.real, z.imag] for z in state(c, None, [])]} for c in circuits]
    rows = [
        {"kind": kind, "circuit": case["circuit"], "q-store": ours(circuit)}
        for kind, case, circuit in zip(kinds, cases, circuits, strict=True)
    ]
    for name in peers:
        for row, found in zip(rows, theirs(name, cases, venvs), strict=True):
            row[name] = found
    return rows


def table(rows: list[Row], peers: list[str]) -> str:
    heads = ["family", "circuits", "peer", "entanglers, q-store / peer", "worse", "pulses, q-store / peer", "worse"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for family, kind, peer in product(("ms", "zz"), KINDS, peers):
        lines.append(_line(family, kind, peer, [row for row in rows if row["kind"] == kind]))
    worst = max(row["q-store"][family]["infidelity"] for row in rows for family in ("ms", "zz"))
    return "\n".join([*lines, "", f"largest infidelity of q-store's {2 * len(rows)} unitaries: {worst:.1e}"])


def _line(family: str, kind: str, peer: str, rows: list[Row]) -> str:
    mine = [row["q-store"][family] for row in rows]
    other = [row[peer][family] for row in rows]
    pulses = [row.get("optimised_one", row["one"]) for row in other]
    more_two = sum(a["two"] > b["two"] for a, b in zip(mine, other, strict=True))
    more_one = sum(a["one"] > b for a, b in zip(mine, pulses, strict=True))
    two, one = (sum(a[key] for a in mine) for key in ("two", "one"))
    total = max(1, len(rows))
    return (
        f"| {family.upper()} | {kind} | {peer} | {two} / {sum(b['two'] for b in other)} | {more_two} of {len(rows)} "
        f"| {one} / {sum(pulses)} | {more_one} of {len(rows)} ({100 * more_one / total:.1f} %) |"
    )


def zoo_table() -> str:
    """Gates of two models before and after, with their exact preparation as gates."""
    lines = ["| model | gates | one qubit | two qubits |", "|---|---|---|---|"]
    for name in ("compact", "lean"):
        circuit = zoo.definition(name).circuit
        if circuit.prepare is not None:
            circuit, _ = encoders.lower(circuit, np.eye(1, circuit.n_features))
        versions = {"as written": circuit}
        for family in Family:
            for measured in (False, True):
                gates = f"{family.value.upper()}, {'measured' if measured else 'exact unitary'}"
                versions[gates] = to_native(circuit, family, measured=measured)
        lines += [f"| `{name}` | {gates} | {one} | {two} |" for gates, (one, two) in _counted(versions)]
    return "\n".join(lines)


def _counted(versions: dict[str, Circuit]) -> list[tuple[str, tuple[int, int]]]:
    return [(gates, counts(circuit)) for gates, circuit in versions.items()]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--circuits", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peers", nargs="*", choices=[*PEERS], default=[*PEERS])
    parser.add_argument("--venvs", type=Path, default=HERE.parent / ".venv-peers")
    parser.add_argument("--results", type=Path, help="a JSON file for the counts of every circuit")
    parser.add_argument("--golden", action="store_true")
    parser.add_argument("--zoo", action="store_true")
    options = parser.parse_args(argv)
    if options.zoo:
        print(zoo_table())
        return 0
    if options.golden:
        options.circuits, options.peers, options.results = GOLDEN_CIRCUITS, [*PEERS], GOLDEN
    rows = compare(options.circuits, options.seed, options.peers, options.venvs)
    print(table(rows, options.peers))
    if options.results:
        left_out = "q-store" if options.golden else "circuit"  # the tests compile; the seed gives the circuits again
        rows = [{key: value for key, value in row.items() if key != left_out} for row in rows]
        lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
        options.results.write_text(f"[\n{lines}\n]\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
