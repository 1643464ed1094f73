"""The words at the end of a run: what is said about the control depends on the figures alone."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from q_store.apps import summary

DETAILS = {
    "title": "compact on Fashion-MNIST (bundled), seed 0",
    "test_rows": 1000,
    "unit": "images",
    "outside_share": 0.07,
}
RESULT = {
    "model": "compact",
    "seed": 0,
    "parameters": {"circuit": 104, "readout": 144},
    "two_qubit_gates": {"ansatz": 50, "preparation": 30},
    "accuracy": {"train": 0.84, "validation": 0.831, "test": 0.829},
    "test_interval": [0.806, 0.852],
    "classical_control": {"kind": "mlp", "parameters": 243, "test_accuracy": 0.824},
    "seconds": {"data": 0.4, "compile": 0.9, "train": 8.1, "evaluate": 0.5, "total": 12.3},
    "samples_per_second": 52310.3,
    "remote": None,
    "run": "runs/my run",
}


def shown(**changes):
    console = Console(file=io.StringIO(), width=80)
    summary.show(console, {**RESULT, **changes}, DETAILS)
    return console.file.getvalue()


def words(text):
    return " ".join(text.split())


def control(accuracy):
    return {"classical_control": {"kind": "logistic", "parameters": 243, "test_accuracy": accuracy}}


def test_the_whole_summary():
    text = words(shown())
    for part in (
        "82.9 % (95 % interval 80.6 to 85.2 %, 1,000 images kept for this)",
        "82.4 % (neural network with 243 parameters, same features, trained to convergence)",
        "248: 104 in the circuit, 144 in the readout (unsupervised preprocessing (SVD) is not counted, alike for ours",
        "50 in the trained circuit, 30 to load the data exactly",
        "12.3 s from the command to here: data 0.4, compile 0.9, train 8.1, evaluate 0.5, start-up and control 2.4;",
        "52,310 images/s",
        "not on quantum hardware",
        "q-store evaluate 'runs/my run' --shots 1000",
        "q-store train wide",
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ("accuracy", "verdict"),
    [
        (0.824, "Level with a good classical model"),
        (0.851, "Level with a good classical model"),
        (0.86, "The classical model of the same size is better, by 3.1 points"),
        (0.80, "2.9 points above the classical control on this test part; a claim would need other seeds"),
    ],
)
def test_the_verdict_follows_the_interval(accuracy, verdict):
    assert verdict in words(shown(**control(accuracy)))


def test_without_a_control_nothing_is_claimed():
    text = words(shown(classical_control=None))
    assert "skipped (--no-control)" in text
    assert "nothing is said about classical models" in text


def test_a_model_that_loads_nothing_says_so():
    assert "24 in the trained circuit, none to load" in words(shown(two_qubit_gates={"ansatz": 24, "preparation": 0}))
    assert "q-store train lean " in words(shown(model="wide"))
