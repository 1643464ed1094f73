"""Charts show what they are given, where it belongs."""

import math
import re
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from q_store.drawing import charts
from q_store.drawing.charts import Series

SVG = "{http://www.w3.org/2000/svg}"
NUMBERS = st.floats(-1e12, 1e12) | st.floats(-1e-20, 1e-20)


def parsed(picture):
    return ET.fromstring(picture)  # noqa: S314  # our own


def line(picture, k=0):
    path = parsed(picture).find(f".//{SVG}path[@class='l k{k}'][last()]")
    found = [path for path in parsed(picture).iter(f"{SVG}path") if path.get("class") == f"l k{k}"][-1]
    assert path is not None
    return found.get("d")


@given(NUMBERS, NUMBERS)
def test_marks_are_round_and_enclose(one, other):
    low, high = sorted((one, other))
    found = charts.marks(low, high)
    slack = 1e-6 * (found[-1] - found[0])
    assert found[0] <= low + slack
    assert found[-1] >= high - slack
    assert found == sorted(set(found))
    assert 2 <= len(found) <= 9


def test_a_line_goes_where_its_values_are():
    d = line(charts.lines("Loss", [Series("a", [(1, 4.0), (2, 2.0), (3, 0.0)])], "step"))
    points = [tuple(map(float, point)) for point in re.findall(r"[ML]([\d.]+) ([\d.]+)", d)]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 - x0 == x2 - x1 > 0
    assert math.isclose(y1 - y0, y2 - y1, abs_tol=0.11)
    assert y0 < y1  # larger values are higher


def test_what_is_not_known_leaves_a_gap():
    d = line(
        charts.lines(
            "Loss", [Series("a", [(1, 4.0), (2, None), (3, math.nan), (4, 1.0), (5, 2.0), (6, 1e300)])], "step"
        )
    )
    assert re.sub(r"[\d. ]+", "", d) == "MML"


def test_nothing_to_draw_is_no_picture():
    assert charts.lines("Loss", [Series("a", [(1, None), (2, math.inf)])], "step") == ""
    assert charts.intervals("Accuracy", []) == ""
    assert charts.stacks("Time", [("run", {"client": 0.0})]) == ""
    assert charts.grid("Confusion", [], []) == ""


def test_lines_differ_without_colour():
    picture = charts.lines("Loss", [Series(str(k), [(1, k), (2, k)]) for k in range(3)], "step")
    dashes = [path.get("stroke-dasharray") for path in parsed(picture).iter(f"{SVG}path") if "l k" in path.get("class")]
    assert len(set(dashes)) == 3


def test_intervals_stand_around_their_value_and_are_told():
    picture = parsed(charts.intervals("Accuracy", [("mine", 0.8, (0.7, 0.85)), ("control", 0.75, None)]))
    (path,) = [path for path in picture.iter(f"{SVG}path") if path.get("class") == "l k0"]
    begin, end = map(float, re.match(r"M([\d.]+) \d+H([\d.]+)", path.get("d")).groups())
    mark = float(picture.find(f".//{SVG}circle").get("cx"))
    assert math.isclose((mark - begin) / (end - begin), 0.1 / 0.15, abs_tol=0.01)
    told = [element.text for element in picture.iter(f"{SVG}text")]
    assert {"mine: 80.0 % (70.0 to 85.0)", "control: 75.0 %"} <= set(told)


def test_stacks_are_as_wide_as_their_parts():
    picture = parsed(charts.stacks("Time", [("run", {"client": 1.0, "network": 3.0}), ("a", {"network": 2.0})]))
    wide = [float(rect.get("width")) for rect in picture.iter(f"{SVG}rect") if rect.get("height") == "16"]
    assert [round(width / wide[0], 2) for width in wide] == [1, 3, 2]
    assert len({rect.get("class") for rect in picture.iter(f"{SVG}rect")}) == 2


def test_a_grid_has_every_count_and_no_zero():
    picture = parsed(charts.grid("Confusion", [[7, 0], [2, 5]], ["cat", "a class of a very long name"]))
    told = [element.text for element in picture.iter(f"{SVG}text")]
    assert [text for text in told if text.isdigit()] == ["7", "2", "5"]
    assert "a class of …" in told
    assert "12 of 14 right" in picture.get("aria-label")


def test_text_is_escaped_and_clean():
    picture = charts.grid("<b>&\ud800\x00", [[1]], ["<script>"])
    assert "<script>" not in picture
    assert parsed(picture).find(f"{SVG}text").text == "<b>&\ufffd\ufffd"
    picture.encode()


def test_names_that_need_room_go_below_each_other_and_push_the_picture_down():
    few, many = (charts.lines("a", [Series(f"a run named {k}", [(0, 1.0)]) for k in range(n)], "x") for n in (2, 4))
    rows = {float(each.get("y")) for each in parsed(many).iter(f"{SVG}text") if each.text.startswith("a run named")}
    assert len(rows) == 2
    assert float(parsed(many).get("height")) == float(parsed(few).get("height")) + max(rows) - min(rows)
    first = [float(p.get("cy")) for p in parsed(many).iter(f"{SVG}circle")]
    assert min(first) > max(rows)


def test_the_last_number_below_stays_within_the_picture():
    picture = parsed(charts.lines("a", [Series("a", [(0, 1.0), (1_000_000, 2.0)])], "circuits"))
    last = [each for each in picture.iter(f"{SVG}text") if each.text == "1,000,000"]
    assert float(last[0].get("x")) + 3.5 * len("1,000,000") < charts.WIDTH
