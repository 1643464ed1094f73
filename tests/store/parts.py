"""Slices, answers and stores for tests: a small circuit, its exact distribution as the service, a clock to set."""

from __future__ import annotations

import numpy as np

from q_store.backends.base import Answer, Slice
from q_store.backends.distributions import Distributions
from q_store.circuits import Circuit, cnot, op, theta
from q_store.store import Amounts, Domain, Intent, Store, keys_of

CIRCUIT = Circuit.build(3, [op("ry", 0, angles=[theta(0)]), cnot(0, 1), op("rz", 2, angles=[theta(1)])])
DOMAIN = Domain("ionq:qpu.aria-1", "qpu.aria-1", "debiasing=false")
SHOTS = 100


class Clock:
    """Seconds that pass when told."""

    def __init__(self, now=1_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


def angles(numbers):
    """Different for different numbers."""
    return np.stack([0.1 + 0.01 * np.asarray(numbers), np.full(len(numbers), -0.5)], axis=1)


def part(fingerprint, numbers=(0, 1, 2), shots=SHOTS, flips=None):
    """A slice of some circuits of a job."""
    numbers = np.asarray(numbers, dtype=np.int64)
    masks = None if flips is None else np.asarray(flips, dtype=np.int64)
    return Slice(CIRCUIT, angles(numbers), numbers, shots, 7, fingerprint, masks)


def counts(rows):
    """Distributions of counts given as one {state: count} a row."""
    return Distributions.of(rows, CIRCUIT.n_qubits)


def answer(rows, missing=None, cost=0.0, sampled=True):
    """What a service says: one {state: count} a circuit."""
    own = counts(rows)
    paid = sum(sum(row.values()) for row in rows)
    return Answer(own, sampled, missing or {}, shots_paid=paid, cost=cost)


def as_counts(measured):
    """The rows as {state: count}."""
    own = measured.distributions
    cuts = own.start.tolist()
    return [
        {int(s): round(w * n) for s, w in zip(own.state[a:b], own.weight[a:b], strict=True)}
        for a, b, n in zip(cuts[:-1], cuts[1:], measured.shots.tolist(), strict=True)
    ]


def begun(store, run="run", job=0):
    """The store, with a run and a job in it."""
    store.runs.start("test", {}, run=run)
    store.journal.begin(run, job, b"what it asks", CIRCUIT.n_qubits)
    return store


def intent(own, *, run="run", job=0, money=1.0, claim=True, keyed=True, provider="ionq", **more):
    """The intent to send a slice."""
    keys = keys_of(own, DOMAIN) if keyed else None
    reserve = Amounts(money, (own.shots or 0) * own.size, own.size)
    return Intent(own, run, job, provider, "aria", DOMAIN, keys, reserve, claim=claim, **more)


def memory(clock=None, **more):
    """A store in memory with a run and a job."""
    return begun(Store(None, clock=clock or Clock(), **more))
