"""A table of one's own: measurements in columns, a word for each row; train, save, load, predict.

Run: python examples/own_data.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from q_store.circuits.templates import reuploading
from q_store.models import Model
from q_store.models.features import Standardised


def table(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Petal and sepal sizes [rows, 4] of three invented flowers, and their names [rows]."""
    rng = np.random.default_rng(seed)
    centres = np.array([[5.0, 3.4, 1.5, 0.2], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.6, 2.0]])
    kind = rng.integers(0, 3, rows)
    return centres[kind] + rng.normal(scale=0.4, size=(rows, 4)), np.array(["dawn", "noon", "dusk"])[kind]


def main() -> None:
    x, y = table(300, seed=0)
    unseen, truth = table(300, seed=1)
    model = Model(Standardised(4, power=1.0), reuploading(n_qubits=2, layers=2, n_features=4), name="flowers")
    model.fit(x, y)
    print(f"parameters {sum(model.parameters)}   accuracy on unseen rows {model.score(unseen, truth):.1%}")
    print(f"measured with 1,000 shots {model.evaluate(unseen, truth, shots=1000).accuracy:.1%}")
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "flowers.npz")
        print("first three:", *Model.load(Path(folder) / "flowers.npz").predict(unseen[:3]))


if __name__ == "__main__":
    main()
