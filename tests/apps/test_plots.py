"""The two pictures: drawn without a display, whole, and of the right content."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from q_store.apps import plots

PNG = b"\x89PNG\r\n\x1a\n"


def epochs(number, **more):
    return [
        {"epoch": e, "stage": "epochs", "train_loss": 1 / e, "validation_accuracy": 0.8 - 0.3 / e, **more}
        for e in range(1, number + 1)
    ]


FINISH = {"epoch": 9, "stage": "finish", "train_loss": 0.1, "validation_accuracy": 0.81}


@pytest.mark.parametrize("rows", [[], epochs(1), epochs(2), epochs(80), [*epochs(9), FINISH], [FINISH]])
def test_the_curve_is_drawn_from_any_metrics(tmp_path, rows):
    path = tmp_path / "curve.png"
    plots.learning_curve_png(path, rows, "title")
    assert path.read_bytes().startswith(PNG)


def test_a_curve_without_validation_is_drawn(tmp_path):
    plots.learning_curve_png(tmp_path / "curve.png", epochs(3, validation_accuracy=None), "title")
    assert (tmp_path / "curve.png").exists()


def looks(*circuits, on="bought"):
    return [{"look": n, "circuits": c, "accuracy": 0.5 + c / 1000, "on": on} for n, c in enumerate(circuits, 1)]


@pytest.mark.parametrize(
    ("rows", "panels"),
    [
        ([*looks(40, 50), *looks(50, on="held_out")], 1),
        ([*epochs(3), FINISH, *looks(20), *looks(20, on="held_out")], 2),
        (looks(0, on="held_out"), 1),
    ],
)
def test_looks_of_a_recipe_are_drawn_over_circuits(tmp_path, monkeypatch, rows, panels):
    saved, save = [], plots._save
    monkeypatch.setattr(plots, "_save", lambda figure, path: (saved.append(figure), save(figure, path)))
    plots.learning_curve_png(tmp_path / "curve.png", rows, "title")
    assert (tmp_path / "curve.png").read_bytes().startswith(PNG)
    axes = saved[0].axes
    assert len(axes) == panels
    for on in ("bought", "held_out"):
        own = [(row["circuits"], 100 * row["accuracy"]) for row in rows if row.get("on") == on]
        drawn = [line for line in axes[-1].lines if line.get_label() == f"of {on.replace('_', '-')} rows"]
        assert [[tuple(point) for point in line.get_xydata()] for line in drawn] == ([own] if own else [])
    assert axes[-1].get_xlabel() == "circuits of training"


@pytest.mark.parametrize("classes", [2, 10, 40])
def test_the_matrix_is_drawn_for_any_number_of_classes(tmp_path, classes):
    counts = np.zeros((classes, classes), dtype=np.int64)
    counts[0, 1] = 3
    plots.confusion_png(tmp_path / "c.png", counts, [f"class {k}" for k in range(classes)], "title")
    assert (tmp_path / "c.png").read_bytes().startswith(PNG)


def test_the_matrix_shows_counts_and_colours_by_the_true_class(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(plots, "_save", lambda figure, _path: saved.append(figure))
    plots.confusion_png(tmp_path / "c.png", np.array([[8, 2], [0, 5]]), ["cat", "dog"], "title")
    axes = saved[0].axes[0]
    assert {(text.get_position(), text.get_text()) for text in axes.texts} == {
        ((0, 0), "8"),
        ((1, 0), "2"),
        ((1, 1), "5"),
    }
    assert np.allclose(axes.images[0].get_array(), [[0.8, 0.2], [0, 1]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")


def test_matplotlib_is_not_loaded_before_a_picture_is_drawn():
    probe = "import sys, q_store.apps.plots; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize("name", ["a long name " * 20, "日本語", "$\\frac{$", "a\nb"])
def test_any_name_of_a_class_is_drawn(tmp_path, name):
    """Warnings are errors here: of a font without a sign, of a layout that leaves no room."""
    path = tmp_path / "confusion.png"
    plots.confusion_png(path, np.array([[3, 1], [0, 4]]), [name, "b"], "title")
    assert path.read_bytes().startswith(PNG)
