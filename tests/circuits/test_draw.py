"""A drawing holds every operation once, in its column and on its wires."""

import xml.etree.ElementTree as ET

import pytest
import strategies
from hypothesis import given

from q_store.circuits.angle import theta, x
from q_store.circuits.circuit import Circuit, cnot, cz, op, pauliexp, prepare, ry
from q_store.circuits.draw import columns, svg

SVG = "{http://www.w3.org/2000/svg}"


def drawn(circuit, **options):
    return ET.fromstring(svg(circuit, **options))  # noqa: S314  # our own


def titles(picture):
    return [title.text for title in picture.iterfind(f"{SVG}g/{SVG}title")]


def texts(picture):
    return [element.text for element in picture.iter(f"{SVG}text")]


@given(strategies.circuits())
def test_every_operation_is_drawn_once_in_time_order(circuit):
    placed = columns(circuit)
    assert [each.op for each in placed] == list(circuit.ops)
    taken = {}
    for each in placed:
        for wire in range(min(each.op.wires), max(each.op.wires) + 1):
            assert taken.get(wire, -1) < each.column
            taken[wire] = each.column
    assert len(titles(drawn(circuit))) == len(circuit.ops)


def test_gates_have_their_forms():
    circuit = Circuit.build(
        3,
        [
            prepare(3), ry(theta(0) * x(9) + theta(1), 0), cnot(0, 1), cz(0, 2), op("swap", 0, 2),
            pauliexp([("XY", 0.5)], theta(2), 1, 2), op("rz", 1, angles=[3.141592653589793]),
        ],
    )  # fmt: skip
    picture = drawn(circuit)
    assert [text for text in texts(picture) if text in {"data", "RY", "X", "Y", "RZ", "π"}] == [
        "data", "RY", "X", "Y", "RZ", "π",
    ]  # fmt: skip
    assert "θ0x9+θ1" in texts(picture)
    assert [len(picture.findall(f".//{SVG}circle[@class='{kind}']")) for kind in "do"] == [3, 1]
    assert titles(picture)[1] == "ry on 0: theta[0]*x[9] + theta[1]"
    assert titles(picture)[5].startswith("pauliexp [+0.5 XY] on 1, 2")


def test_long_circuits_go_on_below_and_end_with_a_word():
    circuit = Circuit.build(1, [ry(theta(k), 0) for k in range(30)])
    heights = [float(drawn(circuit, across=across).get("height")) for across in (30, 10)]
    assert heights[1] == pytest.approx(3 * heights[0])
    cut = drawn(circuit, most=20)
    assert len(titles(cut)) == 20
    assert "and 10 operations behind these" in texts(cut)


def test_labels_have_room():
    plain, long = (Circuit.build(1, [ry(angle, 0)] * 2) for angle in (theta(0), theta(100) * x(20) + theta(101)))
    assert float(drawn(long).get("width")) > float(drawn(plain).get("width"))


def test_a_circuit_of_nothing_is_wires():
    assert [text for text in texts(drawn(Circuit.build(2, []))) if text] == ["q0", "q1"]
