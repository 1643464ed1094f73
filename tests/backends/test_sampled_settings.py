"""The measurement settings of a job are runs of their own: their samples have nothing to do with each other."""

from __future__ import annotations

import numpy as np
import pytest

from q_store.backends.local import LocalBackend
from q_store.circuits import Circuit, Observables, PauliSum, ry
from q_store.jobs import Job


@pytest.mark.parametrize("seed", [0, 7])
def test_settings_have_samples_of_their_own(seed):
    """In RY(pi/4)|0> the settings Z and X have the same distribution; from one stream they would agree in every row."""
    circuit = Circuit.build(1, [ry(np.pi / 4, 0)])
    settings = Observables.of(*(PauliSum.of((1.0, name, (0,))) for name in "ZX"))
    found = LocalBackend().run(Job(circuit, np.zeros((400, 0)), np.zeros(0), settings, shots=100, seed=seed))
    z, x = found.values.T
    assert abs(np.corrcoef(z, x)[0, 1]) < 0.25
    assert np.mean(z == x) < 0.3
    assert z.mean() == pytest.approx(x.mean(), abs=0.03)
