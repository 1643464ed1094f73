"""The two pictures of a run: the confusion matrix and the learning curve. Matplotlib is imported when one is drawn."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from q_store.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2933", "#66727f", "#e4e7eb"
BLUE, ORANGE = "#2563a8", "#d9730d"
DPI = 150
LONGEST = 20
"""Characters of the name of a class."""
READABLE_CLASSES = 25
"""Up to so many classes every cell carries its number."""


def confusion_png(path: Path, counts: NDArray[np.int64], names: Sequence[str], title: str) -> None:
    """Draw counts[true, predicted]; colours are shares of the true class, numbers are counts."""
    classes = len(counts)
    figure = _figure(max(5.6, 2.6 + 0.56 * min(classes, READABLE_CLASSES)))
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if classes <= READABLE_CLASSES:
        _numbers(axes, counts, shares)
        short = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in names]
        plain = {"parse_math": False}  # a dollar in a name is a dollar
        axes.set_xticks(range(classes), short, rotation=40, ha="right", rotation_mode="anchor", **plain)
        axes.set_yticks(range(classes), short, **plain)
    axes.tick_params(length=0, labelsize=9, colors=INK)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted", color=MUTED)
    axes.set_ylabel("true", color=MUTED)
    bar = figure.colorbar(
        image, cax=axes.inset_axes((1.03, 0, 0.04, 1)), format=lambda share, _: f"{100 * share:.0f} %"
    )
    bar.set_label("share of the true class", color=MUTED)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8, colors=MUTED)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=12)
    _save(figure, path)


def learning_curve_png(path: Path, rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Draw the metrics `rows`: loss and validation accuracy over the epochs, the finish a diamond; looks of a recipe.

    Those are drawn over the circuits of training, in place of the accuracy; without epochs they stand alone.
    """
    looks = [row for row in rows if "look" in row]
    epochs = [row for row in rows if "look" not in row]
    figure = _figure(8.4, 4.2)
    finish = bool(epochs) and epochs[-1].get("stage") == "finish"
    *left, right = figure.subplots(1, 1 if looks and not epochs else 2, squeeze=False)[0]
    for axes in left:
        losses = [_number(row.get("train_loss"), 1) for row in epochs]
        _curve(axes, losses, ORANGE, "loss on the training part", finish=finish)
    if looks:
        _looks(right, looks)
    else:
        shares = [_number(row.get("validation_accuracy"), 100) for row in epochs]
        _curve(right, shares, BLUE, "accuracy on the validation part, %", finish=finish)
        if shares and np.isfinite(shares[-1]):
            _last(right, len(shares), shares[-1])
    figure.suptitle(title, x=0.02, ha="left", color=INK, fontsize=11, fontweight="bold")
    _save(figure, path)


def _looks(axes: Axes, looks: Sequence[Mapping[str, Any]]) -> None:
    """Accuracies of held-out and of bought rows over circuits."""
    for on, colour, label in (("held_out", BLUE, "of held-out rows"), ("bought", ORANGE, "of bought rows")):
        own = [row for row in looks if row.get("on") == on]
        if own:
            shares = [_number(row.get("accuracy"), 100) for row in own]
            axes.plot([row["circuits"] for row in own], shares, color=colour, linewidth=2, marker="o", label=label)
    _last(axes, looks[-1]["circuits"], _number(looks[-1].get("accuracy"), 100))
    axes.set_title("accuracy, %", loc="left", fontsize=9.5, color=MUTED)
    axes.set_xlabel("circuits of training", color=MUTED, fontsize=9)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    _bare(axes)


def _last(axes: Axes, x: float, share: float) -> None:
    """Write the last accuracy at its point."""
    axes.annotate(f"{share:.1f} %", (x, share), xytext=(4, 9), textcoords="offset points",
                  ha="right", color=BLUE, fontsize=10, fontweight="bold")  # fmt: skip
    axes.margins(y=0.12)


def _figure(width: float, height: float | None = None) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    return Figure(figsize=(width, height or 0.88 * width), dpi=DPI, layout=layout, facecolor="white")


def _numbers(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    for row, column in zip(*np.nonzero(counts), strict=True):
        share = shares[row, column]
        text = axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=8.5, in_layout=False)
        text.set_color("white" if share > 0.55 else INK)
        text.set_fontweight("bold" if row == column else "normal")


def _number(value: float | None, scale: float) -> float:
    return float("nan") if value is None else scale * value


def _curve(axes: Axes, values: Sequence[float], colour: str, label: str, *, finish: bool) -> None:
    """One point an epoch, numbered from 1; with `finish` the last value stands apart, one step further."""
    last = len(values) - int(finish)
    epochs = range(1, last + 1)
    axes.plot(epochs, values[:last], color=colour, linewidth=2, marker="o", markersize=3.5 if last < 60 else 0)
    if finish:
        start = max(last - 1, 0)
        axes.plot(range(start + 1, last + 2), values[start:], color=colour, linewidth=1.2, linestyle=":")
        axes.plot([last + 1], values[last:], color=colour, marker="D", markersize=6, linestyle="none")
    axes.set_title(label, loc="left", fontsize=9.5, color=MUTED)
    axes.set_xlabel("epoch (◆ after the full-batch L-BFGS finish)" if finish else "epoch", color=MUTED, fontsize=9)
    _bare(axes)
    axes.set_xlim(0.5, max(last + 1.5, 2.5))


def _bare(axes: Axes) -> None:
    """Ticks at whole numbers, and no more lines than it takes."""
    from matplotlib.ticker import MaxNLocator

    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(length=0, labelsize=8.5, colors=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def _save(figure: Figure, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # an empty box stands for it
        figure.draw_without_rendering()  # the layout of square axes settles in a second pass
        write_whole(path, canvas.print_png)
