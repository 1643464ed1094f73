"""Our own SVG pictures as PNG, painted by Matplotlib: light, on white.

It knows what `charts` and `circuits.draw` write, and nothing more: `line`, `path` (M, L, H, V, Z), `rect`, `circle`,
`text` and `g`, and rules of style for a tag or a class. So a PNG shows what its SVG shows: nothing is drawn twice.
"""

from __future__ import annotations

import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path

SCALE = 2.0
"""Pixels of a unit."""
LARGEST = 8_000
"""Pixels of a side; of larger pictures a unit gets fewer."""
SVG = "{http://www.w3.org/2000/svg}"
UNPAINTED = {f"{SVG}style", f"{SVG}title"}
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_DARK = re.compile(r"@media.*?\}\}", re.DOTALL)
_STEP = re.compile(r"([MLHVZ])([^MLHVZ]*)", re.IGNORECASE)
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")
_MOVED = re.compile(r"translate\((\S+) (\S+)\)rotate\((\S+)\)")
_ANCHORS = {"start": "left", "middle": "center", "end": "right"}
Style = dict[str, str]
Rules = Mapping[str, Style]


def png(svg: str) -> bytes:
    """The picture. Raises ValueError for an element that no picture of ours has."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    root = ET.fromstring(svg)  # noqa: S314  # our own
    wide, high = float(root.attrib["width"]), float(root.attrib["height"])
    dots = 72 * min(SCALE, LARGEST / max(wide, high))  # a unit is a point, so that sizes of text and lines are theirs
    figure = Figure(figsize=(wide / 72, high / 72), dpi=dots, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, wide), ylim=(high, 0))
    axes.set_axis_off()
    rules = _rules("".join(each.text or "" for each in root.iter(f"{SVG}style")))
    for order, element in enumerate(root.iter()):
        if element.tag not in UNPAINTED:
            _paint(axes, element, _style(element, rules), order)
    file = BytesIO()
    canvas: Any = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # an empty box stands for it
        canvas.print_png(file)
    return file.getvalue()


def _rules(sheet: str) -> Rules:
    """Declarations by tag or by `.class`, variables filled in; those of dark screens are left out."""
    found: dict[str, Style] = {}
    for selectors, body in _RULE.findall(_DARK.sub("", sheet)):
        for selector in selectors.split(","):
            last = selector.split()[-1]
            found.setdefault(last, {}).update(_declared(body))
    variables = {name: value for style in found.values() for name, value in style.items() if name.startswith("--")}
    return {
        selector: {name: _filled(value, variables) for name, value in style.items()}
        for selector, style in found.items()
    }


def _declared(body: str) -> Style:
    return {name.strip(): value.strip() for name, _, value in (each.partition(":") for each in body.split(";")) if name}


def _filled(value: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"var\((--[\w-]+)\)", lambda found: variables[found[1]], value)


def _style(element: ET.Element, rules: Rules) -> Style:
    """Of an element: presentation attributes, rules of its tag, of its classes, and its own, in this order."""
    own = {name: _filled(value, _variables(rules)) for name, value in _declared(element.get("style", "")).items()}
    tag = element.tag.removeprefix(SVG)
    classes = [rules.get(f".{name}", {}) for name in element.get("class", "").split()]
    found = dict(element.attrib)
    for each in (rules.get(tag, {}), *classes, own):
        found.update(each)
    return found


def _variables(rules: Rules) -> Style:
    return {name: value for style in rules.values() for name, value in style.items() if name.startswith("--")}


def _paint(axes: Axes, element: ET.Element, style: Style, order: int) -> None:
    tag = element.tag.removeprefix(SVG)
    if tag in {"svg", "g"}:
        return
    if tag == "text":
        _write(axes, element, style, order)
        return
    from matplotlib.patches import Circle, FancyBboxPatch, Patch, PathPatch, Rectangle

    at = {name: float(element.get(name, 0)) for name in ("x", "y", "width", "height", "rx", "cx", "cy", "r")}
    patch: Patch
    if tag == "circle":
        patch = Circle((at["cx"], at["cy"]), at["r"])
    elif tag == "rect" and at["rx"]:
        box = f"round,pad=0,rounding_size={at['rx']}"
        patch = FancyBboxPatch((at["x"], at["y"]), at["width"], at["height"], boxstyle=box)
    elif tag == "rect":
        patch = Rectangle((at["x"], at["y"]), at["width"], at["height"])
    elif tag in {"path", "line"}:
        ends = [element.get(name) for name in ("x1", "y1", "x2", "y2")]
        patch = PathPatch(_path(element.get("d") or "M{} {}L{} {}".format(*ends)))
    else:
        raise ValueError(f"expected an element of our own pictures, got {tag!r}; teach it to raster.py")
    patch.set(**_ink(style), zorder=order, clip_on=False)
    axes.add_artist(patch)


def _ink(style: Style) -> dict[str, Any]:
    """Fill and stroke as Matplotlib's names."""
    dashes = [float(each) for each in style.get("stroke-dasharray", "").split()]
    stroke = style.get("stroke", "none")
    return {
        "facecolor": _colour(style.get("fill", "#000")),
        "edgecolor": _colour(stroke),
        "linewidth": 0.0 if stroke == "none" else float(style.get("stroke-width", 1)),
        "linestyle": (0, [each / float(style.get("stroke-width", 1)) for each in dashes]) if dashes else "solid",
        "capstyle": "butt",
        "alpha": float(style["opacity"]) if "opacity" in style else None,
    }


def _colour(value: str) -> Any:
    if value.startswith("rgba("):
        red, green, blue, alpha = map(float, _NUMBER.findall(value))
        return (red / 255, green / 255, blue / 255, alpha)
    return value


def _write(axes: Axes, element: ET.Element, style: Style, order: int) -> None:
    x, y, turn = float(element.get("x", 0)), float(element.get("y", 0)), 0.0
    moved = _MOVED.fullmatch(element.get("transform", ""))
    if moved:
        x, y, turn = (float(each) for each in moved.groups())
    axes.text(
        x,
        y,
        " ".join((element.text or "").split()),
        color=style.get("fill", "#000"),
        fontsize=float(style["font-size"].removesuffix("px")),
        fontweight="bold" if int(style.get("font-weight", 400)) > 500 else "normal",
        ha=_ANCHORS[style.get("text-anchor", "start")],
        va="baseline",
        rotation=-turn,
        rotation_mode="anchor",
        parse_math=False,
        zorder=order,
    )


def _path(d: str) -> Path:
    from matplotlib.path import Path

    x = y = 0.0
    points: list[tuple[float, float]] = []
    codes: list[Any] = []
    for letter, rest in _STEP.findall(d):
        numbers = [float(each) for each in _NUMBER.findall(rest)]
        own = letter.upper()
        back = (x, y) if letter.islower() else (0.0, 0.0)
        if own == "H":
            x = back[0] + numbers[0]
        elif own == "V":
            y = back[1] + numbers[0]
        elif own != "Z":
            x, y = back[0] + numbers[0], back[1] + numbers[1]
        points.append((x, y))
        codes.append({"M": Path.MOVETO, "Z": Path.CLOSEPOLY}.get(own, Path.LINETO))
    return Path(points, codes)
