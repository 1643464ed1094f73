"""Templates: parametrised circuits. Parameters are numbered in order of appearance.

Compose with `+` and `shifted`: `encoders.amplitude(6) + templates.hardware_efficient(6, 4)` shares no index, because an
amplitude preparation has no parameters and these ansätze no features.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, combinations, count

from q_store.circuits.angle import Angle, theta, x
from q_store.circuits.circuit import Circuit, Op, cnot, cz, op, rotation
from q_store.errors import CircuitError, suggestion

AXES = ("rx", "ry", "rz")
ROT = ("rz", "ry", "rz")
ENTANGLEMENTS = ("linear", "ring", "all_to_all")
ENTANGLERS = ("cnot", "cz", "rzz")

Rotations = str | Sequence[str]


def hardware_efficient(
    n_qubits: int,
    layers: int,
    rotations: Rotations = ("ry",),
    entanglement: str = "linear",
    entangler: str = "cnot",
    *,
    stride: int = 1,
    final_rotations: bool = True,
) -> Circuit:
    """`layers` times [every rotation on every qubit, an entangler on every pair], then the rotations once more.

    Args:
        n_qubits: n.
        layers: L, 0 or more.
        rotations: some of 'rx', 'ry', 'rz' in time order, e.g. ('ry', 'rz'); 'rot' means RZ, RY, RZ.
        entanglement: pairs of a layer, see `pairs`.
        entangler: 'cnot', 'cz', or 'rzz', which is trainable: exp(-i theta/2 ZZ).
        stride: distance of the pairs of a ring.
        final_rotations: whether rotations follow the last entanglers.

    With k rotations and E pairs: n k (L + 1) parameters (n k L without final rotations), L E more for 'rzz'; L E
    two-qubit gates.

    Raises:
        CircuitError: for an unknown name or a number out of range.
    """
    names = _rotations(rotations)
    edges = pairs(n_qubits, entanglement, stride)
    _at_least("layers", layers, 0)
    numbers = count()
    ops: list[Op] = []
    for _ in range(layers):
        ops += [op(name, q, angles=[theta(next(numbers))]) for name in names for q in range(n_qubits)]
        ops += [_entangle(entangler, p, q, numbers) for p, q in edges]
    inside = len(ops)
    if final_rotations:
        ops += [op(name, q, angles=[theta(next(numbers))]) for name in names for q in range(n_qubits)]
    _known("entangler", entangler, ENTANGLERS)
    return Circuit(n_qubits, next(numbers), 0, tuple(ops)).layered(_equal_layers(layers, inside))


def reuploading(
    n_qubits: int,
    layers: int,
    n_features: int,
    rotations: Rotations = ("ry", "rz"),
    *,
    entanglement: str = "ring",
    entangler: str = "rzz",
    stride: int = 1,
    final_rotations: Rotations = ("ry",),
) -> Circuit:
    """Data re-uploading: `layers` times [R(w x_j + b) for every rotation on every qubit, entanglers], then final ones.

    Every rotation has its own weight w and bias b, in this order; j runs through 0..n_features-1 again and again in
    time order (all qubits of the first rotation, then all of the second). See Perez-Salinas et al., Quantum 4, 226.

    Args:
        n_qubits: n.
        layers: L, 0 or more.
        n_features: D, number of data columns.
        rotations: as in `hardware_efficient`.
        entanglement: the same.
        entangler: the same.
        stride: the same.
        final_rotations: rotations at the end; () for none.

    With k rotations, f final ones and E pairs: 2 n (k L + f) parameters, L E more for 'rzz'; L E two-qubit gates. So 6
    qubits give 132 parameters with 4 layers and an RZZ ring (24 two-qubit gates), or with 5 layers and a CZ ring (30).

    Raises:
        CircuitError: for an unknown name or a number out of range.
    """
    names, final = _rotations(rotations), _rotations(final_rotations) if final_rotations else ()
    edges = pairs(n_qubits, entanglement, stride)
    _at_least("layers", layers, 0)
    _at_least("n_features", n_features, 1)
    numbers, uploads = count(), count()

    def loaded() -> Angle:
        weight, bias = theta(next(numbers)), theta(next(numbers))
        return weight * x(next(uploads) % n_features) + bias

    ops: list[Op] = []
    for _ in range(layers):
        ops += [op(name, q, angles=[loaded()]) for name in names for q in range(n_qubits)]
        ops += [_entangle(entangler, p, q, numbers) for p, q in edges]
    inside = len(ops)
    ops += [op(name, q, angles=[loaded()]) for name in final for q in range(n_qubits)]
    _known("entangler", entangler, ENTANGLERS)
    return Circuit(n_qubits, next(numbers), n_features, tuple(ops)).layered(_equal_layers(layers, inside))


def so4_block(p: int, q: int, first_param: int = 0) -> tuple[Op, ...]:
    """RY(t0) on p, RY(t1) on q, exp(-i t2/2 Y_p X_q), exp(-i t3/2 X_p Y_q): 4 parameters, 2 two-qubit gates.

    The last two commute and cost 2 CNOT together; they turn the planes (00, 11) and (01, 10) of the pair, so real
    amplitudes stay real. Parameters 0 give the identity.
    """
    t = [theta(first_param + k) for k in range(4)]
    return (
        op("ry", p, angles=[t[0]]),
        op("ry", q, angles=[t[1]]),
        rotation("YX", t[2], p, q),
        rotation("XY", t[3], p, q),
    )


def so4_layers(
    n_qubits: int,
    layers: int | None = None,
    *,
    blocks: int | None = None,
    measured: Sequence[int] | None = None,
    final_rotations: bool = True,
) -> Circuit:
    """SO(4) blocks along the matchings of `round_robin`, the last layer on the last, then RY on the measured qubits.

    A block that cannot influence the measured qubits is left out; `blocks` trims the first layer to reach that number.
    A shallower circuit keeps the last layers, which is `so4_layers` with fewer of them.

    Args:
        n_qubits: n, 2 or more.
        layers: number of layers; None for as many as `blocks` needs.
        blocks: number of blocks; None for all of `layers`.
        measured: qubits that will be measured; None for all.
        final_rotations: whether RY on every measured qubit ends the circuit.

    With b blocks and m measured qubits: 4 b + m parameters, 2 b two-qubit gates. 5 qubits, 25 blocks and measured 0..3
    give 104 parameters; 6 qubits and 104 blocks give 422.

    Raises:
        CircuitError: without `layers` and `blocks`, for numbers out of range, or for `blocks` that do not fit the
            layers.
    """
    _at_least("n_qubits", n_qubits, 2)
    last = _measured(n_qubits, measured)
    behind = _cone(n_qubits, layers, blocks, last)
    chosen = [pair for layer in reversed(behind) for pair in layer]
    ops: list[Op] = []
    for k, (p, q) in enumerate(chosen):
        ops += so4_block(p, q, 4 * k)
    first, blocked = 4 * len(chosen), len(ops)
    if final_rotations:
        ops += [op("ry", q, angles=[theta(first + k)]) for k, q in enumerate(last)]
    ends = [blocked, *(blocked - 4 * count for count in accumulate(len(layer) for layer in behind))]
    circuit = Circuit(n_qubits, first + len(last) * final_rotations, 0, tuple(ops))
    return circuit.layered(zip(ends[1:], ends, strict=False))


def pairs(n_qubits: int, entanglement: str, stride: int = 1) -> list[tuple[int, int]]:
    """The pairs of one layer, each at most once (a pair and its reverse are the same).

    'linear': (q, q + 1), n - 1 pairs. 'ring': (q, q + stride mod n), n pairs (1 for n = 2, n/2 where stride = n/2).
    'all_to_all': p < q, n (n - 1) / 2 pairs. One qubit has no pairs.

    Raises:
        CircuitError: for another name or a stride out of 1..n-1.
    """
    _at_least("n_qubits", n_qubits, 1)
    _known("entanglement", entanglement, ENTANGLEMENTS)
    if stride != 1 and (entanglement != "ring" or not 1 <= stride < n_qubits):
        msg = f"expected stride 1, or 1..{n_qubits - 1} for the entanglement 'ring', got {stride} for {entanglement!r}"
        raise CircuitError(msg)
    if entanglement == "linear":
        return [(q, q + 1) for q in range(n_qubits - 1)]
    if entanglement == "all_to_all":
        return list(combinations(range(n_qubits), 2))
    once: dict[frozenset[int], tuple[int, int]] = {}
    for q in range(n_qubits if n_qubits > 1 else 0):
        once.setdefault(frozenset((q, (q + stride) % n_qubits)), (q, (q + stride) % n_qubits))
    return list(once.values())


def round_robin(n_qubits: int) -> list[list[tuple[int, int]]]:
    """Matchings that together hold every pair once (circle method).

    n - 1 matchings of n/2 pairs for even n, n of (n - 1)/2 pairs for odd n.
    """
    rounds = n_qubits - 1 + n_qubits % 2
    matchings = []
    for r in range(rounds):
        matching = [(r, n_qubits - 1)] if n_qubits % 2 == 0 else []
        matching += [((r - k) % rounds, (r + k) % rounds) for k in range(1, (rounds + 1) // 2)]
        matchings.append(sorted((min(pair), max(pair)) for pair in matching))
    return matchings


def _cone(
    n_qubits: int, layers: int | None, blocks: int | None, measured: Sequence[int]
) -> list[list[tuple[int, int]]]:
    """The blocks by layers, the last layer first: they share a qubit with the measured ones or with a later block."""
    if layers is None and blocks is None:
        msg = "expected layers, blocks or both, got neither; so4_layers(5, blocks=25), for example"
        raise CircuitError(msg)
    _at_least("layers", 0 if layers is None else layers, 0)
    _at_least("blocks", 0 if blocks is None else blocks, 0)
    matchings = round_robin(n_qubits)
    cone = set(measured)
    chosen: list[list[tuple[int, int]]] = []
    before = found = 0  # blocks behind the first layer, and all
    for k in count() if layers is None else range(layers):
        if layers is None and found >= (blocks or 0):
            break
        kept = [pair for pair in matchings[-1 - k % len(matchings)] if cone & set(pair)]
        before, found = found, found + len(kept)
        chosen.append(kept)
        cone.update(*kept)
    if blocks is not None and not (before < blocks <= found or blocks == found):
        msg = f"expected {before + 1}..{found} blocks for {layers} layers, got {blocks}; leave out `layers`"
        raise CircuitError(msg)
    if blocks is not None and blocks < found:
        chosen[-1] = chosen[-1][found - blocks :]  # the last ones of the first layer stay
    return [layer for layer in chosen if layer]


def _equal_layers(layers: int, ops: int) -> list[tuple[int, int]]:
    """The first `ops` operations in equal parts, in time order."""
    size = ops // layers if layers else 0
    return [(k * size, (k + 1) * size) for k in range(layers)]


def _measured(n_qubits: int, measured: Sequence[int] | None) -> tuple[int, ...]:
    qubits = tuple(range(n_qubits)) if measured is None else tuple(measured)
    if not qubits or len(set(qubits)) != len(qubits) or not all(0 <= q < n_qubits for q in qubits):
        msg = f"expected one or more different measured qubits in 0..{n_qubits - 1}, got {qubits}"
        raise CircuitError(msg)
    return qubits


def _entangle(entangler: str, p: int, q: int, numbers: count[int]) -> Op:
    _known("entangler", entangler, ENTANGLERS)
    if entangler == "rzz":
        return rotation("ZZ", theta(next(numbers)), p, q)
    return cnot(p, q) if entangler == "cnot" else cz(p, q)


def _rotations(rotations: Rotations) -> tuple[str, ...]:
    names = ROT if rotations == "rot" else (rotations,) if isinstance(rotations, str) else tuple(rotations)
    if not names:
        msg = "expected one rotation or more, got none; ('ry',), for example"
        raise CircuitError(msg)
    for name in names:
        _known("rotation", name, (*AXES, "rot"))
        if name == "rot":
            msg = f"expected 'rot' alone (it means RZ, RY, RZ), got it in {names}"
            raise CircuitError(msg)
    return names


def _known(what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        msg = f"expected {what} to be one of {', '.join(known)}, got {name!r}{suggestion(name, known)}"
        raise CircuitError(msg)


def _at_least(what: str, value: int, least: int) -> None:
    if value < least:
        msg = f"expected {what} of {least} or more, got {value}"
        raise CircuitError(msg)
