"""What the compiler takes away: Clifford gates, what cannot be seen, and imaginary parts that are zero."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import circuits

from q_store.backends.local.code import code
from q_store.backends.local.kernels import DIAGONAL, IMAGINARY, REAL, TABLE
from q_store.backends.local.program import (
    Diagonal,
    Strings,
    compile_metric,
    compile_probabilities,
    compile_state,
    compile_values,
)
from q_store.circuits import (
    Circuit,
    Marginal,
    Observables,
    PauliSum,
    cnot,
    cz,
    op,
    prepare,
    rotation,
    rx,
    ry,
    rz,
    theta,
    x,
    z,
)

LAYER = [ry(theta(q), q) for q in range(4)]
CHAIN = [cnot(q, q + 1) for q in range(3)]
ALL_Z = Observables.local_z(4)


def build(*ops, n=4):
    return Circuit.build(n, ops)


def angles_of(program):
    return [str(angle) for angle in program.angles]


def kinds(program, *, lanes=False):
    return code(program, np.float32, lanes=lanes).ops[:, 0].tolist()


@pytest.mark.parametrize("last", [CHAIN, [cz(0, 3)], [op("h", 1), op("s", 2), op("x", 0)], [rz(np.pi / 2, 1)]])
def test_clifford_gates_at_the_end_cost_no_operation(last):
    """Those that turn Z into X need at most one constant rotation a qubit."""
    program = compile_values(build(*LAYER, *last), ALL_Z)
    moving = [a for a in program.angles if not a.is_constant]
    assert len(moving) == 4
    assert program.size <= 4 + sum(gate.gate == "h" for gate in last)


@pytest.mark.parametrize("middle", [CHAIN, [cz(0, 1), cz(2, 3)], [op("swap", 0, 3)], [op("x", 2)]])
def test_a_cnot_chain_between_layers_costs_no_operation(middle):
    second = [ry(theta(4 + q), q) for q in range(4)]
    program = compile_values(build(*LAYER, *middle, *second), ALL_Z)
    assert program.size == 8
    assert compile_metric(build(*LAYER, *middle, *second, *CHAIN)).size == 8
    assert kinds(program).count(REAL) + kinds(program).count(IMAGINARY) == 8


def test_a_last_layer_of_rz_costs_no_operation():
    last = [rz(theta(4 + q), q) for q in range(4)]
    assert compile_values(build(*LAYER, *last), ALL_Z).size == 4
    assert compile_values(build(*LAYER, *last, *CHAIN), ALL_Z).size == 4
    assert compile_probabilities(build(*LAYER, *last)).size == 4
    assert compile_state(build(*LAYER, *last)).size == 8, "phases of a state are seen"
    assert compile_metric(build(*LAYER, *last)).size == 8
    assert compile_values(build(*LAYER, *last), Observables.of(PauliSum.of((1.0, "X", (0,))))).size == 2


def test_what_lies_outside_the_light_cone_is_left_out():
    blocks = [rotation("XX", theta(4 + q), q, q + 1) for q in range(3)]
    assert angles_of(compile_values(build(*LAYER, *blocks), Observables.of(z(0)))) == [
        "theta[0]",
        "theta[1]",
        "theta[4]",
    ]
    assert compile_values(build(*LAYER, *blocks), Observables.of(Marginal((3,)))).size == 3
    assert compile_values(build(*LAYER, *blocks), ALL_Z).size == 7


def test_an_observable_that_is_constant_needs_nothing():
    program = compile_values(build(*LAYER), Observables.of(PauliSum.of((2.0, "I", (0,)))))
    assert program.size == 0
    assert program.readout.dense(16).tolist() == [[2.0]] * 16


def test_real_circuits_are_found():
    """RY and CNOT keep amplitudes real, and so does XY, which has one Y; an RX ends it."""
    real = build(prepare(4), *LAYER, *CHAIN, rotation("XY", theta(4), 0, 1))
    assert compile_probabilities(real).real_prefix == compile_probabilities(real).size == 5
    assert set(kinds(compile_probabilities(real))) == {REAL}
    mixed = compile_probabilities(build(*LAYER, rx(theta(4), 0), *(ry(theta(5 + q), q) for q in range(4))))
    assert (mixed.real_prefix, mixed.size) == (4, 9)
    assert compile_probabilities(build(rx(theta(0), 0), *LAYER)).real_prefix == 0


def test_a_run_of_diagonal_rotations_is_one_table():
    run = [rz(theta(q), q) for q in range(4)] + [rotation("ZZ", theta(4 + q), q, q + 1) for q in range(3)]
    program = compile_values(build(*LAYER, *run, *LAYER, rz(theta(0), 1), *LAYER), ALL_Z)
    table = code(program, np.float32, lanes=False).ops
    assert table[:, 0].tolist().count(TABLE) == 2
    assert table[table[:, 0] == TABLE][0, 3:].tolist() == [4, 7], "first slot, number of slots"
    assert len(table) == 14
    single = kinds(program, lanes=True)
    assert single.count(DIAGONAL) == 8, "rows with angles of their own have no table in common"
    assert TABLE not in single


def test_a_cnot_chain_does_not_break_a_table():
    run = [rz(theta(0), 0), cnot(0, 1), rz(theta(1), 1), cnot(0, 1), rz(theta(2), 0)]
    program = compile_values(build(*LAYER, *run, *LAYER), ALL_Z)
    assert kinds(program).count(TABLE) == 1
    assert program.z[4:7].tolist() == [0b01, 0b11, 0b01]


def test_observables_in_one_basis_are_read_from_probabilities_and_others_as_strings():
    assert isinstance(compile_values(build(*LAYER), ALL_Z).readout, Diagonal)
    assert isinstance(compile_values(build(*LAYER, op("h", 0)), ALL_Z).readout, Diagonal)
    mixed = Observables.of(PauliSum.of((0.5, "X", (0,)), (0.25, "ZZ", (0, 1)), (3.0, "I", (2,))), z(1), Marginal((1,)))
    readout = compile_values(build(*LAYER), mixed).readout
    assert isinstance(readout, Strings)
    masks = {(int(a), int(b)): row.tolist() for a, b, row in zip(readout.x, readout.z, readout.weights, strict=True)}
    assert masks == {(1, 0): [0.5, 0, 0, 0], (0, 3): [0.25, 0, 0, 0], (0, 2): [0, 1, 0.5, -0.5]}
    assert readout.constant.tolist() == [3, 0, 0.5, 0.5]


def test_strings_follow_the_frame_with_their_sign():
    """After CNOT(0, 1), X_0 was X_0 X_1, and after X_0, Z_0 is -Z_0."""
    measured = Observables.of(PauliSum.of((1.0, "X", (0,))), PauliSum.of((1.0, "Z", (1,))))
    readout = compile_values(build(*LAYER, cnot(0, 1), op("x", 1)), measured).readout
    assert [readout.x.tolist(), readout.z.tolist()] == [[0b11, 0], [0, 0b11]]
    assert readout.weights.tolist() == [[1, 0], [0, -1]]


def test_measured_bits_are_permuted_not_computed():
    """A permutation of the basis states at the end is a permutation of the table."""
    readout = compile_probabilities(build(*LAYER, op("x", 0), cnot(1, 2))).readout
    states = np.arange(16)
    flipped = states ^ 1
    moved = flipped ^ ((flipped >> 1 & 1) << 2)
    np.testing.assert_array_equal(readout.dense(16)[states, moved], np.ones(16))
    assert readout.dense(16).sum() == 16


@settings(max_examples=40)
@given(circuit=circuits(prepared=True), lanes=st.booleans())
def test_code_says_what_the_program_says(circuit, lanes):
    program = compile_probabilities(circuit)
    flat = code(program, np.float64, lanes=lanes)
    slots = [slot for _, _, _, first, number in flat.ops.tolist() for slot in range(first, first + number)]
    assert slots == list(range(program.size))
    for kind, xs, zs, slot, _ in flat.ops.tolist():
        assert (kind in {TABLE, DIAGONAL}) == (program.x[slot] == 0)
        if kind in {REAL, IMAGINARY}:
            assert (xs, zs) == (program.x[slot], program.z[slot])
            assert (kind == REAL) == ((xs & zs).bit_count() % 2 == 1)
    assert all(kind == REAL for kind in flat.ops[: flat.real_ops, 0])


def test_data_in_angles_is_kept_symbolic():
    program = compile_values(build(ry(theta(0) * x(1) + 0.5, 0), cnot(0, 1), rx(x(0), 1), n=2), Observables.of(z(1)))
    assert angles_of(program) == ["0.5 + theta[0]*x[1]", "x[0]"]
