"""Pools with Qiskit's simulator in them, from the command line."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("qiskit_aer")

from q_store.apps import guard
from q_store.apps import train as train_module
from q_store.apps.assemble import assemble
from q_store.apps.clock import Clock
from q_store.apps.place import Place
from q_store.apps.request import Request
from q_store.backends.aer import AerBackend
from q_store.models.model import Model
from q_store.models.trained import default_backend

pytestmark = pytest.mark.filterwarnings("ignore:Aer finds no GPU")
NOISY = '[[member]]\nname = "a"\nprovider = "qiskit_aer"\nnoise = "aria-1"\n'
BESIDE = NOISY.replace('"a"', '"b"') + 'max_slice = 10\ndevice = "GPU"\n'  # which is not there
CLEAN = '[[member]]\nname = "a"\nprovider = "qiskit_aer"\nmax_slice = 10\n'
HERE = '[[member]]\nname = "here"\nprovider = "local"\nmax_slice = 10\n'


@pytest.fixture
def train(q_store, data_file, tmp_path, monkeypatch):
    """Training on a pool with this file; more words follow."""
    monkeypatch.chdir(tmp_path)

    def run(text, *words):
        (tmp_path / "pool.toml").write_text(text, encoding="utf-8")
        few = ("--rows", 2, "--batch-size", 1, "--epochs", 1, "--no-control", "--json")
        return q_store("train", "ring", "--data", data_file, *few, "--pool", "pool.toml", "--out", "run", *words)

    return run


def alone(data_file, executor, noise=None, shots=None):
    """The parameters after the same training on an executor, without a pool."""
    place = Place("ionq", noise=noise, url="http://one.test/v0.4").written_out()
    parts = assemble(
        Request("ring", str(data_file), epochs=1, rows=2, batch_size=1, shots=shots, place=place), Clock(), executor
    )
    parts.model.fit(*parts.part("train"), parts.part("validation"))
    return parts.model.trained.vector


@pytest.fixture(scope="module")
def noisy(data_file):
    """Those of Aer with noise."""
    return alone(data_file, AerBackend("aria-1", workers=0), "aria-1", 30)


def parameters():
    return Model.load("run/model.npz").trained.vector


def test_noise_is_that_of_the_backend(train, noisy):
    answer = train(NOISY, "--shots", 30)
    assert answer.code == 0, answer.err
    np.testing.assert_array_equal(parameters(), noisy)
    far = answer.json["remote"]
    assert (far["circuits"], far["shots_total"], far["cost"]) == (167, 167 * 30, 0.0)
    assert far["noise_id"] == AerBackend("aria-1").capabilities.noise_id


def test_without_noise_it_is_a_peer_of_the_engine_here(train, data_file):
    answer = train(CLEAN + HERE)
    assert answer.code == 0, answer.err
    assert answer.json["remote"]["noise_id"] == "ideal"
    np.testing.assert_allclose(parameters(), alone(data_file, default_backend()), atol=1e-4)


def test_noisy_and_noiseless_members_do_not_mix(train, noisy):
    """One of the two does it all: the first, as nothing else prefers one."""
    answer = train(NOISY + HERE, "--shots", 30)
    assert answer.code == 0, answer.err
    assert answer.json["remote"]["noise_id"] == AerBackend("aria-1").capabilities.noise_id
    np.testing.assert_array_equal(parameters(), noisy)


def test_without_a_gpu_it_is_the_cpu_with_one_warning_and_helps_the_other_one(train, noisy, monkeypatch):
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # put back what `settle` replaces
    monkeypatch.setenv("MPLBACKEND", "agg")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        guard.settle()
        answer = train(NOISY + BESIDE, "--shots", 30)
    assert answer.code == 0, answer.err
    said = [line for line in answer.err.splitlines() if "GPU" in line]
    assert said == ["q-store: warning: Aer finds no GPU here and uses the CPU; a GPU needs the package qiskit-aer-gpu"]
    np.testing.assert_array_equal(parameters(), noisy)


def test_a_run_that_was_broken_off_ends_as_the_unbroken_one(train, noisy, q_store, monkeypatch):
    original = train_module.MetricsWriter.__call__

    def writer(self, event):
        original(self, event)
        if type(event).__name__ == "CheckpointSaved":
            raise KeyboardInterrupt

    monkeypatch.setattr(train_module.MetricsWriter, "__call__", writer)
    assert train(NOISY + BESIDE, "--shots", 30).code == 130
    monkeypatch.setattr(train_module.MetricsWriter, "__call__", original)
    answer = q_store("resume", "run", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["remote"]["circuits"] < 167
    np.testing.assert_array_equal(parameters(), noisy)
