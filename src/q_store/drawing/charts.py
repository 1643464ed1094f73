"""Charts as SVG strings that stand alone: light or dark, readable on a phone, told apart without colour."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from q_store.drawing.markup import text
from q_store.drawing.palette import DARK, LIGHT

WIDTH, HEIGHT = 420, 270
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 50, 40
STYLE = (
    f".qs{{{LIGHT.chart};font-family:system-ui,sans-serif}}@media(prefers-color-scheme:dark){{.qs{{{DARK.chart}}}}}"
    ".qs text{fill:var(--ink);font-size:13px}.qs .t{font-weight:600;font-size:14px}"
    ".qs .s{fill:var(--soft);font-size:12px}"
    ".qs .m{text-anchor:middle}.qs .e{text-anchor:end}.qs .g{stroke:var(--grid);fill:none}"
    ".qs .l{fill:none;stroke-width:2;stroke-linejoin:round}"
    + "".join(f".qs .k{k}{{stroke:var(--c{k})}}.qs .f{k}{{fill:var(--c{k})}}" for k in range(6))
)
DASHES = ("", "6 4", "2 3", "8 3 2 3")
MARKED = 40
"""Up to so many points are marked."""

MOST = 1024
"""Points of a line; of more, neighbours become one."""
LARGEST = 1e100
"""Values beyond are no more drawn than infinite ones."""


@dataclass(frozen=True, slots=True)
class Series:
    """A line; a value of None, or one that is not finite, leaves a gap. `band`: half its height at each point."""

    label: str
    points: Sequence[tuple[float, float | None]]
    band: Sequence[float | None] = ()

    @property
    def known(self) -> list[tuple[float, float]]:
        """The points that can be drawn."""
        return [(x, y) for x, y in self.points if _finite(x) and y is not None and _finite(y)]


def lines(title: str, series: Sequence[Series], across: str, unit: str = "") -> str:
    """Values over `across`; an empty string where there is nothing to draw."""
    drawn = [each for each in series if each.known]
    if not drawn:
        return ""
    xs = [x for each in drawn for x, _ in each.known]
    ys = [y for each in drawn for _, y in each.known]
    ticks = marks(min(ys), max(ys))
    legend, down = _legend([each.label for each in drawn])
    box = _Box(min(xs), max(xs), ticks[0], ticks[-1], top=TOP + down, height=HEIGHT + down)
    body = [*legend, *_grid(box, ticks, unit), *_foot(box, across)]
    for k, each in enumerate(drawn):
        body += _line(box, each, k % len(DASHES))
    ends = "; ".join(f"{each.label}: last {number(each.known[-1][1])}{unit}" for each in drawn)
    return _svg(title, body, box.height, ends)


def intervals(title: str, rows: Sequence[tuple[str, float, tuple[float, float] | None]]) -> str:
    """Shares, each with its interval where it has one: a mark on a line, the figures beside."""
    if not rows:
        return ""
    ends = [end for _, share, interval in rows for end in (interval or (share, share))]
    ticks = marks(100 * min(ends), min(100.0, 100 * max(ends)))
    high, low = 58 + 46 * len(rows), ticks[0]
    box = _Box(low, max(ticks[-1], low + 1), 0, 1, left=16, bottom=32, height=high)
    body = []
    for tick in ticks:
        x = box.x(tick)
        body.append(f'<path class="g" d="M{x:.1f} 36V{high - 30}"/>')
        body.append(f'<text class="s m" x="{x:.1f}" y="{high - 14}">{number(tick)} %</text>')
    for k, (label, share, interval) in enumerate(rows):
        y, colour = 68 + 46 * k, min(k, 3)
        figures = f"{100 * share:.1f} %"
        if interval is not None:
            ends_at = box.x(100 * interval[0]), box.x(100 * interval[1])
            body.append(f'<path class="l k{colour}" d="M{ends_at[0]:.1f} {y}H{ends_at[1]:.1f}"/>')
            figures += f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"
        body.append(_point(box.x(100 * share), y, colour, 5.5))
        body.append(f'<text x="16" y="{y - 14}">{text(label)}: {figures}</text>')
    told = "; ".join(f"{label}: {100 * share:.1f} %" for label, share, _ in rows)
    return _svg(title, body, high, told)


def stacks(title: str, rows: Sequence[tuple[str, Mapping[str, float]]], unit: str = "s") -> str:
    """A bar each, of parts one behind the other, all on one scale."""
    most = max((math.fsum(parts.values()) for _, parts in rows), default=0.0)
    if most <= 0:
        return ""
    names = list(dict.fromkeys(name for _, parts in rows for name, value in parts.items() if value > 0))
    legend, top = _blocks(names)
    body = list(legend)
    for k, (label, parts) in enumerate(rows):
        y, x = top + 46 * k, 16.0
        whole = math.fsum(parts.values())
        body.append(f'<text x="16" y="{y + 14}">{text(label)}: {number(whole)} {unit}</text>')
        for name, value in parts.items():
            if value > 0:
                wide = (WIDTH - 32) * value / most
                told = f"{text(name)}: {number(value)} {unit}"
                body.append(
                    f'<rect class="f{names.index(name) % 6}" x="{x:.1f}" y="{y + 20}" width="{wide:.1f}" height="16">'
                    f"<title>{told}</title></rect>"
                )
                x += wide
    shares = "; ".join(f"{label}: {number(math.fsum(parts.values()))} {unit}" for label, parts in rows)
    return _svg(title, body, top + 46 * len(rows) + 8, shares)


def grid(title: str, counts: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """counts[true, predicted] with their numbers; colours are shares of the true class."""
    size = len(counts)
    if not size:
        return ""
    longest = min(12, max(len(name) for name in names))
    left, top = 20 + 7 * longest, 64 + 6 * longest
    cell = (WIDTH - left - 8 - 3 * longest) / size  # names above lean to the right
    small = min(13.0, max(7.0, 0.42 * cell))
    body = ['<text class="s" x="16" y="42">true class in the row, predicted in the column</text>']
    for k, name in enumerate(names):
        short = name if len(name) <= longest else f"{name[: longest - 1]}…"
        middle = top + (k + 0.5) * cell
        body.append(f'<text class="s e" x="{left - 6}" y="{middle + 4:.1f}">{text(short)}</text>')
        x = left + (k + 0.5) * cell
        body.append(f'<text class="s" transform="translate({x + 4:.1f} {top - 6})rotate(-50)">{text(short)}</text>')
    for i, row in enumerate(counts):
        whole = max(1, sum(row))
        for j, count in enumerate(row):
            x, y, share = left + j * cell, top + i * cell, count / whole
            body.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{cell - 1:.1f}" height="{cell - 1:.1f}" '
                f'style="fill:rgba(var(--cell),{0.04 + 0.6 * share:.3f})"/>'
            )
            if count:
                weight = ";font-weight:700" * (i == j)
                body.append(
                    f'<text class="m" x="{x + cell / 2:.1f}" y="{y + cell / 2 + small / 3:.1f}" '
                    f'style="font-size:{small:.1f}px{weight}">{count}</text>'
                )
    right = sum(row[k] for k, row in enumerate(counts))
    return _svg(title, body, math.ceil(top + size * cell + 8), f"{right} of {sum(map(sum, counts))} right")


def marks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that enclose low..high, evenly apart."""
    size = max(abs(low), abs(high))
    span = high - low if high - low > 1e-9 * size else size or 1.0
    rough = max(span, 1 / LARGEST) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(k for k in (1, 2, 5, 10) if k * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def number(value: float) -> str:
    """Short: `0.0042`, `12.5`, `12,000`."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def thinned(points: Sequence[tuple[float, float | None]], most: int) -> list[tuple[float, float | None]]:
    """At most so many points: each the mean of neighbours that are known, at the last of them."""
    size = math.ceil(len(points) / most)
    if size < 2:
        return list(points)
    return [_mean(points[start : start + size]) for start in range(0, len(points), size)]


def _mean(points: Sequence[tuple[float, float | None]]) -> tuple[float, float | None]:
    known = [y for _, y in points if y is not None and _finite(y)]
    return points[-1][0], math.fsum(known) / len(known) if known else None


@dataclass(frozen=True, slots=True)
class _Box:
    """Where values lie in the picture."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    left: float = LEFT
    top: float = TOP
    bottom: float = BOTTOM
    height: float = HEIGHT

    def x(self, value: float) -> float:
        wide = WIDTH - self.left - RIGHT - (10 if self.left < LEFT else 0)
        if self.x_high == self.x_low:
            return self.left + wide / 2
        return self.left + wide * (value - self.x_low) / (self.x_high - self.x_low)

    def y(self, value: float) -> float:
        high = self.height - self.top - self.bottom
        return self.top + high * (self.y_high - value) / (self.y_high - self.y_low)


def _grid(box: _Box, ticks: Iterable[float], unit: str) -> Iterable[str]:
    for tick in ticks:
        y = box.y(tick)
        yield f'<path class="g" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text class="s e" x="{LEFT - 6}" y="{y + 4:.1f}">{number(tick)}{unit}</text>'


def _foot(box: _Box, across: str) -> Iterable[str]:
    whole = marks(box.x_low, box.x_high, 6)
    for tick in whole:
        if box.x_low <= tick <= box.x_high and tick == int(tick):
            said = number(tick)
            x = min(box.x(tick), WIDTH - 4 - 3.8 * len(said))
            yield f'<text class="s m" x="{x:.1f}" y="{box.height - BOTTOM + 17:g}">{said}</text>'
    yield f'<text class="s e" x="{WIDTH - RIGHT}" y="{box.height - 6:g}">{text(across)}</text>'


def _line(box: _Box, each: Series, k: int) -> Iterable[str]:
    path, pen = [], "M"
    for x, y in each.points:
        if y is None or not (_finite(x) and _finite(y)):
            pen = "M"
            continue
        path.append(f"{pen}{box.x(x):.1f} {box.y(y):.1f}")
        pen = "L"
    yield from _bands(box, each, k)
    dash = f' stroke-dasharray="{DASHES[k]}"' if DASHES[k] else ""
    yield f'<path class="l k{k}"{dash} d="{"".join(path)}"/>'
    if len(each.known) <= MARKED:
        for x, y in each.known:
            yield _point(box.x(x), box.y(y), k, 3)


def _bands(box: _Box, each: Series, k: int) -> Iterable[str]:
    for (x, y), half in zip(each.points, each.band, strict=False):
        if y is not None and half is not None and _finite(y) and _finite(half):
            ends = box.y(min(box.y_high, y + half)), box.y(max(box.y_low, y - half))
            yield f'<path class="k{k}" opacity=".35" d="M{box.x(x):.1f} {ends[0]:.1f}V{ends[1]:.1f}"/>'


def _point(x: float, y: float, k: int, size: float) -> str:
    """A mark of its own form for each line."""
    if k == 1:
        return f'<rect class="f1" x="{x - size:.1f}" y="{y - size:.1f}" width="{2 * size:g}" height="{2 * size:g}"/>'
    if k == 2:
        s = size * 1.3
        return f'<path class="f2" d="M{x:.1f} {y - s:.1f}l{s:.1f} {s:.1f}l{-s:.1f} {s:.1f}l{-s:.1f} {-s:.1f}z"/>'
    return f'<circle class="f{k}" cx="{x:.1f}" cy="{y:.1f}" r="{size:g}"/>'


def _legend(labels: Sequence[str]) -> tuple[list[str], int]:
    """A piece of each line with its name, in as many rows as it takes; and how far the rest moves down for them."""
    parts, x, y = [], 16.0, 36
    for k, label in enumerate(labels):
        own = k % len(DASHES)
        dash = f' stroke-dasharray="{DASHES[own]}"' if DASHES[own] else ""
        wide = 42 + 6.6 * len(label)
        if x > 16 and x + wide - 15 > WIDTH:
            x, y = 16.0, y + 17
        parts.append(f'<path class="l k{own}"{dash} d="M{x:.0f} {y}h22"/>')
        parts.append(f'<text class="s" x="{x + 27:.0f}" y="{y + 4}">{text(label)}</text>')
        x += wide
    return parts, y - 36


def _blocks(names: Sequence[str]) -> tuple[list[str], int]:
    """A legend of blocks in as many rows as it takes, and where it ends."""
    parts, x, y = [], 16.0, 34
    for k, name in enumerate(names):
        wide = 32 + 6.8 * len(name)
        if x > 16 and x + wide > WIDTH:
            x, y = 16.0, y + 20
        parts.append(f'<rect class="f{k % 6}" x="{x:.0f}" y="{y}" width="12" height="12"/>')
        parts.append(f'<text class="s" x="{x + 17:.0f}" y="{y + 11}">{text(name)}</text>')
        x += wide
    return parts, y + 24


def _svg(title: str, body: Iterable[str], height: float, told: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="qs" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" '
        f'height="{height:g}" role="img" aria-label="{text(title)}. {text(told)}"><style>{STYLE}</style>'
        f'<text class="t" x="16" y="20">{text(title)}</text>{"".join(body)}</svg>'
    )


def _finite(value: float) -> bool:
    return isinstance(value, int | float) and abs(value) < LARGEST
