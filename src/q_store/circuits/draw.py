"""A circuit as a picture: an SVG string, light or dark as the reader's screen is, that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from q_store.circuits.angle import Angle
from q_store.circuits.circuit import PREPARE, Circuit, Op
from q_store.circuits.gates import PAULIEXP
from q_store.drawing.palette import DARK, LIGHT

ACROSS = 900
"""Units that columns side by side take, about; further ones go below."""
MOST = 240
"""Columns that are drawn."""
WIDE, HIGH, LEFT, BOX, GAP = 46, 40, 34, 28, 26
STYLE = (
    f".qc{{{LIGHT.circuit};font-family:system-ui,sans-serif}}@media(prefers-color-scheme:dark){{.qc{{{DARK.circuit}}}}}"
    ".qc text{fill:var(--ink);font-size:12px;text-anchor:middle}.qc .s{fill:var(--soft);font-size:9.5px}"
    ".qc line,.qc path{stroke:var(--line);fill:none}.qc .j{stroke:var(--edge);stroke-width:1.5}"
    ".qc rect{fill:var(--box);stroke:var(--edge);stroke-width:1.2}.qc .d{fill:var(--edge)}"
    ".qc .o{fill:var(--box);stroke:var(--edge);stroke-width:1.5}"
)
_LETTERS = {"xx": "X", "yy": "Y", "zz": "Z", "ms": "MS", "nzz": "ZZ"}
_NAMES = {"si": "S†", "ti": "T†", "v": "√X", "vi": "√X†"}


@dataclass(frozen=True, slots=True)
class Placed:
    """An operation and its column."""

    op: Op
    column: int


def columns(circuit: Circuit) -> list[Placed]:
    """Every operation as far to the left as it goes; none crosses another one's qubits in its column."""
    free = [0] * circuit.n_qubits
    placed = []
    for op in circuit.ops:
        span = range(min(op.wires), max(op.wires) + 1)
        column = max(free[wire] for wire in span)
        placed.append(Placed(op, column))
        for wire in span:
            free[wire] = column + 1
    return placed


def svg(circuit: Circuit, *, across: int | None = None, most: int = MOST) -> str:
    """The picture: qubit 0 on top, time to the right, `across` columns side by side and the next ones below.

    By default as many columns as 900 units hold.

    θ are parameters and x features, by their indices; of angles with more than two terms the first ones, the whole
    angle is in the element's title. What lies behind `most` columns is left out, and the picture says so.
    """
    placed = columns(circuit)
    total = max((each.column for each in placed), default=-1) + 1
    shown = min(total, most)
    wide = max(WIDE, 8 + 5.6 * max((len(_angles(op)) for op in circuit.ops), default=0))
    across = across or int(ACROSS // wide)
    width = LEFT + max(1, min(across, shown)) * wide + 8
    bands = max(1, math.ceil(shown / across))
    tall = circuit.n_qubits * HIGH + GAP
    left_out = sum(each.column >= most for each in placed)
    height = bands * tall + (16 if left_out else 0)
    body = [part for band in range(bands) for part in _wires(circuit, band * tall, width)]
    for each in placed:
        if each.column < most:
            band, column = divmod(each.column, across)
            body += _drawn(each.op, LEFT + (column + 0.5) * wide, band * tall + HIGH / 2)
    if left_out:
        body.append(_text(width / 2, height - 5, f"and {left_out:,} operations behind these", "s"))
    title = f"Circuit of {circuit.n_qubits} qubits and {len(circuit.ops):,} operations"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="qc" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{title}"><title>{title}</title><style>{STYLE}</style>'
        f"{''.join(body)}</svg>"
    )


def _wires(circuit: Circuit, top: float, width: float) -> Iterable[str]:
    for qubit in range(circuit.n_qubits):
        y = top + qubit * HIGH + HIGH / 2
        yield f'<line x1="{LEFT - 6}" y1="{y:g}" x2="{width:g}" y2="{y:g}"/>'
        yield _text(LEFT - 20, y + 4, f"q{qubit}")


def _drawn(op: Op, x: float, top: float) -> list[str]:
    ys = {wire: top + wire * HIGH for wire in op.wires}
    title = f"<title>{escape(_told(op))}</title>"
    if op.gate == PREPARE:
        return ["<g>", title, *_prepared(op, x, top), "</g>"]
    parts = []
    if len(ys) > 1:
        parts.append(f'<path class="j" d="M{x:g} {min(ys.values()):g}V{max(ys.values()):g}"/>')
    parts += [_dot(x, ys[wire]) for wire in op.controls]
    if op.controls and op.gate == "x":
        parts += [_plus(x, ys[wire]) for wire in op.qubits]
    elif op.controls and op.gate == "z":
        parts += [_dot(x, ys[wire]) for wire in op.qubits]
    elif op.gate == "swap":
        parts += [_cross(x, ys[wire]) for wire in op.qubits]
    else:
        parts += [_box(x, ys[wire], label) for wire, label in zip(op.qubits, _labels(op), strict=True)]
    if op.angles:
        lowest = max(ys[wire] for wire in op.qubits)
        parts.append(_text(x, lowest + BOX / 2 + 8, _angles(op), "s"))
    return ["<g>", title, *parts, "</g>"]


def _prepared(op: Op, x: float, top: float) -> list[str]:
    first, number = op.columns
    begin, end = top + min(op.qubits) * HIGH - BOX / 2, top + max(op.qubits) * HIGH + BOX / 2
    height = end - begin
    box = f'<rect x="{x - BOX / 2 - 4:g}" y="{begin:g}" width="{BOX + 8}" height="{height:g}" rx="4"/>'
    label = f"x{first}…x{first + number - 1}"
    return [box, _text(x, (begin + end) / 2 + 4, "data"), _text(x, end + 9, label, "s")]


def _labels(op: Op) -> Sequence[str]:
    """What stands in the box on each of the operation's qubits."""
    if op.gate == PAULIEXP:
        if len(op.paulis) == 1:
            return list(op.paulis[0][0])
        return ["Σ"] * len(op.qubits)
    return [_LETTERS.get(op.gate) or _NAMES.get(op.gate, op.gate.upper())] * len(op.qubits)


def _told(op: Op) -> str:
    """The operation in words."""
    name = "c" * len(op.controls) + op.gate
    letters = " ".join(f"{coefficient:+g} {letters}" for letters, coefficient in op.paulis)
    angles = ", ".join(str(angle) for angle in op.angles)
    return (
        f"{name}{f' [{letters}]' if letters else ''} on {', '.join(map(str, op.wires))}{f': {angles}' * bool(angles)}"
    )


def _angles(op: Op) -> str:
    """The first two angles, short."""
    return ", ".join(_short(angle) for angle in op.angles[:2]) + "…" * (len(op.angles) > 2)


def _short(angle: Angle) -> str:
    """At most two terms, coefficients left out where there are parameters or data."""
    if angle.is_constant:
        turns = angle.constant / math.pi
        nice = {1.0: "π", -1.0: "-π", 0.5: "π/2", -0.5: "-π/2", 0.25: "π/4", -0.25: "-π/4"}
        return nice.get(round(turns, 9), f"{angle.constant:.3g}")
    terms = []
    for (parameter, feature), coefficient in angle.terms:
        names = [f"θ{parameter}"] * (parameter >= 0) + [f"x{feature}"] * (feature >= 0)
        terms.append("".join(names) or f"{coefficient:.2g}")
    return "+".join(terms[:2]) + "…" * (len(terms) > 2)


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}"{f" class={kind!r}" if kind else ""}>{escape(text)}</text>'


def _box(x: float, y: float, label: str) -> str:
    half = BOX / 2
    return f'<rect x="{x - half:g}" y="{y - half:g}" width="{BOX}" height="{BOX}" rx="4"/>{_text(x, y + 4, label)}'


def _dot(x: float, y: float) -> str:
    return f'<circle class="d" cx="{x:g}" cy="{y:g}" r="4"/>'


def _plus(x: float, y: float) -> str:
    return (
        f'<circle class="o" cx="{x:g}" cy="{y:g}" r="9"/><path class="j" d="M{x - 9:g} {y:g}h18M{x:g} {y - 9:g}v18"/>'
    )


def _cross(x: float, y: float) -> str:
    return f'<path class="j" d="M{x - 6:g} {y - 6:g}l12 12m0 -12l-12 12"/>'
