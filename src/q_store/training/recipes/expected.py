"""What the recipes reached in the committed benchmark: benchmarks/results/recipes.json, of which this is an extract."""

from __future__ import annotations

from dataclasses import dataclass

ORIGIN = "benchmarks/results/recipes.json (Fashion-MNIST, 10 classes, 1000 shots, mean of 3 seeds on test images)"
MEASURED: dict[str, dict[int, float]] = {
    "regress": {50: 0.698, 60: 0.7457, 80: 0.7493, 100: 0.7593, 200: 0.789, 370: 0.801, 600: 0.8063},
    "calibrate": {20: 0.7713, 50: 0.7707},
    "spsa": {9000: 0.6983},
    "v34": {15000: 0.6783},
}
"""Accuracy by recipe and circuits of training; a test holds it against the file."""


@dataclass(frozen=True)
class Expectation:
    """An accuracy that was measured.

    Attributes:
        accuracy: on test images. circuits: of training, there. origin: where it stands.
    """

    accuracy: float
    circuits: int
    origin: str = ORIGIN


def expected(recipe: str, circuits: int) -> Expectation | None:
    """What the recipe reached with at most so many circuits; None where no run had as few."""
    found = [each for each in MEASURED.get(recipe, {}) if each <= circuits]
    return Expectation(MEASURED[recipe][max(found)], max(found)) if found else None
