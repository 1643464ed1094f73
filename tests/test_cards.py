"""What notebooks show: cards that stand alone, whatever stands in them."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import alone

from q_store.circuits import encoders
from q_store.circuits.templates import hardware_efficient
from q_store.drawing.card import LARGEST, card
from q_store.events import EpochDone
from q_store.models import Model
from q_store.models.features import Scaled
from q_store.training.settings import TrainingSettings
from q_store.training.state import TrainingResult

TEXT = st.text(max_size=30) | st.sampled_from(
    ["</style><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\x1b[31m"]
)


def epoch(number, **changed):
    values = {
        "epoch": number, "stage": "epochs", "train_loss": 2 / number, "validation_loss": 3 / number,
        "validation_accuracy": 1 - 1 / number, "learning_rate": 0.1, "circuits": 10 * number, "shots": 0,
        "seconds": 0.1, "train_accuracy": 0.5,
    }  # fmt: skip
    return EpochDone(**values | changed)


def result(*history, **changed):
    values = {
        "parameters": np.zeros(7), "history": history, "epochs": len(history), "reason": "completed", "best_epoch": 0,
        "circuits": 1234, "shots": 0, "seconds": 5.25,
    }  # fmt: skip
    return TrainingResult(**values | changed)


def rules(markup):
    """Selectors of the card's own style."""
    own = re.search(r"<style>(.*?)</style>", markup, re.DOTALL)[1].replace("@media(prefers-color-scheme:dark)", "")
    return [each.strip() for each in re.findall(r"([^{}]+)\{[^{}]*\}", own)]


@settings(deadline=None)
@given(TEXT, TEXT, TEXT, TEXT)
def test_whatever_stands_in_a_card_is_text(title, name, value, warning):
    found = alone(card(title, [(name, value)], warnings=[warning], soft=value))
    assert set(found.tags) == {"div", "style", "p", "table", "tbody", "tr", "th", "td"}


def test_its_style_touches_nothing_else():
    selectors = ",".join(rules(card("a", []))).split(",")
    assert len(selectors) > 20
    assert all(".qn" in each or each.endswith("td)") for each in selectors), selectors


def test_it_is_light_and_dark_by_the_screen_and_by_the_notebook():
    markup = card("a", [])
    for place in ("@media(prefers-color-scheme:dark)", "[data-jp-theme-light=true]", "[data-jp-theme-light=false]",
                  "body.vscode-dark", "html[theme=dark]"):  # fmt: skip
        assert place in markup


def test_a_large_circuit_is_left_out():
    assert "Circuit" in card("a", [], circuit="<svg></svg>")
    assert "Circuit" not in card("a", [], circuit=f"<svg>{' ' * LARGEST}</svg>")


def test_a_training_shows_its_figures_and_curves():
    found = alone(result(*map(epoch, range(1, 5)), best_epoch=3, shots=77)._repr_html_())
    for expected in ("4, completed", "2 to 0.5", "75.0 %", "best epoch 3", "1,234; 77 shots", "5.2 s"):
        assert expected in found.text
    assert found.tags.count("svg") == 2
    assert "best the finish" in alone(result(epoch(1), epoch(2), best_epoch=3)._repr_html_()).text
    assert "exact" in alone(result(epoch(1))._repr_html_()).text


def test_a_training_without_validation_and_one_without_epochs():
    bare = {"validation_loss": None, "validation_accuracy": None, "train_accuracy": None}
    found = alone(result(epoch(1, **bare))._repr_html_())
    assert "validation accuracy" not in found.text
    assert found.tags.count("svg") == 1
    assert alone(result()._repr_html_()).tags.count("svg") == 0


def test_a_loss_that_is_no_number_is_said():
    found = alone(result(epoch(1), epoch(2, train_loss=float("nan")))._repr_html_())
    assert "The loss is not finite" in found.text
    assert "not finite" not in alone(result(epoch(1))._repr_html_()).text


def test_a_long_training_stays_small():
    alone(result(*map(epoch, range(1, 100_001)))._repr_html_())


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    y = np.array(["<b>red", "green"] * 20)
    x = rng.normal(size=(40, 2)) + (y == "green")[:, None]
    quick = TrainingSettings(epochs=3, batch_size=20)
    return Model(Scaled(), encoders.angle(2) + hardware_efficient(2, 1), settings=quick, name="<i>mine").fit(x, y)


def test_a_model_shows_what_it_is_and_how_it_learned(model, tmp_path):
    found = alone(model._repr_html_())
    for expected in ("<i>mine", "<b>red, green", "Scaled, 2 components", "2 qubits", "3, completed", "in the readout"):
        assert expected in found.text
    assert found.tags.count("svg") == 3
    model.save(tmp_path / "model.npz")
    loaded = alone(Model.load(tmp_path / "model.npz")._repr_html_())
    assert "in the readout" in loaded.text
    assert "as saved, 2 components" in loaded.text
    assert loaded.tags.count("svg") == 1


def test_a_model_before_training_says_so():
    fresh = Model(Scaled(), encoders.angle(2) + hardware_efficient(2, 1))
    assert "not trained" in alone(fresh._repr_html_()).text


def test_a_hundred_classes_are_not_all_named(model):
    many = SimpleNamespace(
        is_trained=True, trained=model.trained, features=model.features, name="many", result=None,
        class_names=[f"class {k}" for k in range(100)], parameters=model.parameters,
    )  # fmt: skip
    from q_store.models.card import html

    found = alone(html(many))
    assert "class 11 and 88 more" in found.text
