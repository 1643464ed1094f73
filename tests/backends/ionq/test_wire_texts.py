"""Circuits that were written before are not written again, and read the same."""

from __future__ import annotations

import numpy as np
import pytest

from q_store.backends.ionq.wire import template
from q_store.backends.ionq.wire.template import Template
from q_store.backends.ionq.wire.texts import Hits, Texts
from q_store.circuits import Circuit, cnot, ry, theta

CIRCUIT = Circuit.build(2, [ry(theta(0), 0), cnot(0, 1), ry(theta(1), 1)])
OTHER = Circuit.build(2, [ry(theta(0), 0)])
ROWS = np.array([[0.1, 0.2], [0.3, 0.4], [0.1, 0.2], [0.1 + 2 * np.pi, 0.2]])


@pytest.mark.parametrize("circuits", [0, 1, 10])
def test_the_text_is_that_of_the_template_whatever_is_kept(circuits):
    texts = Texts(circuits=circuits)
    for rows in (ROWS, ROWS[::-1], ROWS):
        assert texts.write(CIRCUIT, rows, native=False) == Template.of(CIRCUIT).write(rows)


def test_equal_circuits_are_written_once_and_counted():
    texts = Texts(circuits=10)
    texts.write(CIRCUIT, ROWS, native=False)
    assert (texts.bound, texts.templates) == (Hits(2, 2), Hits(0, 1))
    texts.write(CIRCUIT, ROWS, native=False)
    assert (texts.bound, texts.templates) == (Hits(6, 2), Hits(1, 1))


def test_what_was_used_last_is_kept():
    texts = Texts(circuits=1)
    texts.write(CIRCUIT, ROWS[:2], native=False)
    texts.write(CIRCUIT, ROWS[1:2], native=False)
    texts.write(CIRCUIT, ROWS[:1], native=False)
    assert texts.bound == Hits(1, 3)
    one = Texts(structures=1)
    for circuit in (CIRCUIT, OTHER, OTHER, CIRCUIT):
        one.write(circuit, np.zeros((1, circuit.n_params)), native=False)
    assert one.templates == Hits(1, 3)


@pytest.mark.parametrize(("structures", "made"), [(0, 3), (64, 1)])
def test_without_the_first_level_every_job_makes_its_template(monkeypatch, structures, made):
    calls = []
    plain = template._qis_text
    monkeypatch.setattr(template, "_qis_text", lambda op: calls.append(op) or plain(op))
    texts = Texts(structures)
    fresh = Circuit.build(2, [ry(theta(0), 0), ry(theta(1) + structures, 1)])
    for _ in range(3):
        texts.write(fresh, ROWS, native=False)
    assert len(calls) == made * len(fresh.ops)
