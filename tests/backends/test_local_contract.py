"""The local backend keeps the contract of every backend, in both precisions; a backend that does not is caught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from q_store.backends.contract import BackendContract
from q_store.backends.local import LocalBackend
from q_store.jobs import Output


class TestSingle(BackendContract):
    tolerance = 1e-5

    def backend(self):
        return LocalBackend(threads=1)


class TestDouble(BackendContract):
    tolerance = 1e-10

    def backend(self):
        return LocalBackend(threads=2, precision="float64")


class Broken:
    """The local backend with one thing spoilt."""

    def __init__(self, spoil, capabilities=None):
        self.inner = LocalBackend(threads=1, precision="float64")
        self.capabilities = capabilities or self.inner.capabilities
        self.spoil = spoil

    def run(self, job):
        return self.spoil(job, self.inner.run(job))


def nudged(name, output):
    """An outcome with one entry of one field moved a little."""

    def spoil(job, outcome):
        if job.output is not output:
            return outcome
        found = getattr(outcome, name).copy()
        found.reshape(-1)[-1] += 3e-5
        return replace(outcome, **{name: found})

    return spoil


def reversed_rows(_, outcome):
    if not isinstance(outcome.values, np.ndarray):
        return outcome
    return replace(outcome, values=outcome.values[::-1])


def lost_shot(_, outcome):
    if outcome.counts is None:
        return outcome
    counts = outcome.counts.copy()
    counts[0, counts[0].argmax()] -= 1
    return replace(outcome, counts=counts)


def boastful(_, outcome):
    return outcome if outcome.variances is None else replace(outcome, variances=outcome.variances / 400)


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (nudged("values", Output.EXPECTATION), "test_expectations_are_those_of_the_oracle"),
        (nudged("values", Output.PROBABILITIES), "test_probabilities_are_those_of_the_oracle"),
        (nudged("values", Output.STATE), "test_states_are_those_of_the_oracle_with_their_phase"),
        (nudged("values", Output.SHIFTED), "test_shifted_values_are_values_at_shifted_parameters"),
        (nudged("gradient", Output.VJP), "test_gradients_are_those_of_the_oracle"),
        (nudged("jacobian", Output.JACOBIAN), "test_jacobians_are_those_of_the_oracle"),
        (nudged("values", Output.METRIC), "test_fisher_information_is_that_of_the_oracle"),
        (reversed_rows, "test_rows_come_in_the_order_asked"),
        (lost_shot, "test_counts_are_drawn_from_the_probabilities"),
        (lost_shot, "test_shots_may_differ_by_row"),
        (boastful, "test_sampled_values_are_unbiased_with_honest_errors"),
    ],
)
def test_the_contract_catches_a_wrong_answer(spoil, check):
    contract = BackendContract()
    contract.backend = lambda: Broken(lambda _, outcome: outcome)
    getattr(contract, check)()
    contract.backend = lambda: Broken(spoil)
    with pytest.raises(AssertionError):
        getattr(contract, check)()


def test_the_contract_catches_dishonest_capabilities():
    honest = LocalBackend().capabilities
    contract = BackendContract()
    contract.backend = lambda: Broken(lambda _, o: o, replace(honest, outputs=honest.outputs - {Output.STATE}))
    with pytest.raises(AssertionError):
        contract.test_every_claimed_output_runs_and_no_other()
    contract.backend = lambda: Broken(lambda _, o: o, replace(honest, max_qubits=5))
    with pytest.raises(AssertionError):
        contract.test_too_many_qubits_are_refused()
    with pytest.raises(NotImplementedError, match="override backend"):
        BackendContract().backend()
