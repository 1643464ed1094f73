"""A PNG shows what its SVG shows."""

import re
import struct
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread

from q_store.circuits.circuit import Circuit
from q_store.circuits.draw import svg
from q_store.drawing import charts, raster
from q_store.drawing.charts import Series, grid, intervals, lines, stacks
from q_store.drawing.raster import png
from q_store.models import zoo

BLUE, ORANGE = (0x1F, 0x5F, 0xBF), (0xB8, 0x50, 0x0B)
TEXT = st.text(max_size=20)


def pixels(picture, tmp_path):
    """[height, width, 3] of the painted picture, 0..255."""
    file = tmp_path / "picture.png"
    file.write_bytes(png(picture))
    return np.round(255 * imread(file)[..., :3]).astype(int)


def around(image, x, y, size=2):
    """Pixels around a place in units of the picture."""
    row, column = round(raster.SCALE * y), round(raster.SCALE * x)
    return image[row - size : row + size + 1, column - size : column + size + 1].reshape(-1, 3)


def near(image, x, y, colour):
    return np.abs(around(image, x, y) - colour).max(axis=1).min() < 8


def size(content):
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", content[16:24])


def test_a_line_passes_where_the_svg_has_its_points(tmp_path):
    picture = lines("Loss", [Series("a", [(k, (k % 7) ** 2) for k in range(60)])], "step")
    image = pixels(picture, tmp_path)
    d = re.findall(r'class="l k0" d="([^"]+)"', picture)[-1]
    places = [tuple(map(float, each)) for each in re.findall(r"[ML]([\d.]+) ([\d.]+)", d)]
    assert len(places) == 60
    assert all(near(image, x, y, BLUE) for x, y in places)
    assert not near(image, places[0][0], places[0][1] - 30, BLUE)


def test_bars_reach_as_far_as_in_the_svg(tmp_path):
    picture = stacks("Time", [("run", {"client": 3.0, "network": 1.0})])
    image = pixels(picture, tmp_path)
    found = re.findall(r'class="f(\d)" x="([\d.]+)" y="(\d+)" width="([\d.]+)" height="16"', picture)
    for k, x, y, wide in found:
        colour = (BLUE, ORANGE)[int(k)]
        for inside in (float(x) + 2, float(x) + float(wide) - 2):
            assert near(image, inside, float(y) + 8, colour)
        assert not near(image, float(x) + float(wide) + 3, float(y) + 8, colour)


def test_cells_are_as_dark_as_their_share(tmp_path):
    image = pixels(grid("Confusion", [[9, 1], [0, 10]], ["a", "b"]), tmp_path)
    picture = grid("Confusion", [[9, 1], [0, 10]], ["a", "b"])
    cells = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)".*?,([\d.]+)\)"', picture)
    for x, y, wide, alpha in cells:
        corner = image[round(2 * float(y)) + 6, round(2 * (float(x) + float(wide))) - 6]
        expected = [255 + float(alpha) * (colour - 255) for colour in (31, 95, 191)]
        assert np.abs(corner - expected).max() < 3


def test_a_circuit_has_a_box_where_the_svg_has_one(tmp_path):
    picture = svg(zoo.definition("lean").circuit)
    image = pixels(picture, tmp_path)
    boxes = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="(\d+)" height="([\d.]+)" rx="4"/>', picture)
    assert len(boxes) > 50
    for x, y, wide, high in boxes:
        for edge in ((float(x), float(y) + float(high) / 2), (float(x) + float(wide), float(y) + float(high) / 2)):
            assert near(image, *edge, BLUE)


def test_its_size_is_that_of_the_svg_and_bounded():
    assert size(png(lines("a", [Series("a", [(0, 1.0)])], "step"))) == (2 * charts.WIDTH, 2 * charts.HEIGHT)
    long = Circuit(30, ops=zoo.definition("lean").circuit.ops[:1], n_params=132, n_features=24)
    tall = svg(long).replace('height="1226"', 'height="12260"')
    assert max(size(png(tall))) == raster.LARGEST


@settings(max_examples=25, deadline=None)
@given(TEXT, TEXT, st.floats(allow_nan=True, allow_infinity=True))
def test_no_text_and_no_value_breaks_it(title, label, value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for picture in (
            lines(title, [Series(label, [(0, 1.0), (1, value)])], label),
            intervals(title, [(label, 0.5, (0.4, 0.6))]),
            stacks(title, [(label, {label: 1.0})]),
            grid(title, [[1]], [label]),
        ):
            assert size(png(picture))[0] > 0


def test_an_element_that_is_not_ours_is_refused():
    with pytest.raises(ValueError, match="ellipse"):
        png('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><ellipse/></svg>')
