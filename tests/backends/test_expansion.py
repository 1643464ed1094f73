"""A backend that answers with distributions gives the outcomes of the local engine, whatever the order or the gaps."""

import numpy as np
import pytest

from q_store.backends.base import Missing
from q_store.backends.distributions import Distributions, join
from q_store.backends.expansion import Expansion, expand
from q_store.backends.local import LocalBackend
from q_store.backends.local.sampling import sample
from q_store.circuits import Circuit, Marginal, Observables, PauliSum, op, pauliexp, rx, ry, theta, x, z
from q_store.errors import CapabilityError, InputError
from q_store.jobs import Job, Outcome, Output, Status

ENGINE = LocalBackend(threads=1, precision="float64")
CIRCUIT = Circuit.build(
    3, [rx(theta(0) * x(0), 0), ry(theta(1), 1), op("x", 2, controls=[1]), pauliexp([("YX", 0.4)], theta(2), 0, 2)]
)
MEASURED = Observables.of(z(0), PauliSum.of((0.5, "XX", (0, 1)), (0.3, "", ()), (2.0, "YZ", (1, 2))), Marginal((2, 0)))
RNG = np.random.default_rng(7)
DATA, PARAMS = RNG.normal(size=(3, 1)), RNG.normal(size=(2, 3))


def draw(probabilities, shots, seed):
    return sample(probabilities, shots, seed, 1)


def answered(expansion: Expansion) -> Distributions:
    """Probabilities of every circuit, from the engine."""
    inner, parts = expansion.inner, []
    for setting in expansion.plan.settings:
        job = Job(setting.circuit, inner.data, inner.params, output=Output.PROBABILITIES, pairs=inner.pairs)
        parts.append(ENGINE.run(job).values)
    return Distributions.from_dense(np.concatenate(parts))


def remote(job: Job, gaps=None) -> Outcome:
    expansion = expand(job, "a service")
    return expansion.outcome(answered(expansion), gaps or {}, sampled=False, sample=draw)


@pytest.mark.parametrize("shots", [None, 200])
@pytest.mark.parametrize("output", [Output.EXPECTATION, Output.PROBABILITIES, Output.SHIFTED, Output.COUNTS])
def test_outcomes_are_those_of_the_local_engine(output, shots):
    if output is Output.COUNTS and shots is None:
        return
    measured = MEASURED if output in {Output.EXPECTATION, Output.SHIFTED} else ()
    job = Job(CIRCUIT, DATA, PARAMS, measured, output, shots=shots, seed=5)
    ours, local = remote(job), ENGINE.run(job)
    for name in ("values", "variances", "counts"):
        mine, theirs = getattr(ours, name), getattr(local, name)
        assert (mine is None) == (theirs is None), name
        if theirs is not None:
            assert mine.shape == theirs.shape
            np.testing.assert_allclose(mine, theirs, atol=1e-12, rtol=0)


def test_a_missing_circuit_blanks_its_row_and_no_other():
    job = Job(CIRCUIT, DATA, PARAMS, MEASURED, Output.EXPECTATION, shots=50, seed=1)
    expansion = expand(job, "a service")
    groups = len(expansion.plan.settings)
    assert groups > 1
    whole = expansion.outcome(answered(expansion), {}, sampled=False, sample=draw)
    number = (groups - 1) * job.rows + 4
    full = answered(expansion)
    kept = np.delete(np.arange(expansion.size), number)
    parts = [(np.array([k]), full.rows(k, k + 1)) for k in kept[::-1].tolist()]
    gap = {number: Missing(Status.UNCERTAIN, "lost"), 4: Missing(Status.FAILED, "broke")}
    got = expansion.outcome(join(parts, expansion.size, 3), gap, sampled=False, sample=draw)
    assert got.status == {4: Status.UNCERTAIN}
    assert got.error == {4: "lost"}
    assert np.isnan(got.values[4]).all()
    rest = [0, 1, 2, 3, 5]
    np.testing.assert_array_equal(got.values[rest], whole.values[rest])


def test_sampled_frequencies_come_back_as_they_are():
    job = Job(CIRCUIT, DATA[:1], PARAMS[:1], (), Output.COUNTS, shots=1000)
    frequencies = Distributions.of([{0: 0.1234, 5: 0.6, 7: 0.2766}], 3)
    counts = expand(job, "a service").outcome(frequencies, {}, sampled=True, sample=draw).counts
    assert counts.tolist() == [[123, 0, 0, 0, 0, 600, 0, 277]]


def test_mitigated_frequencies_round_to_the_shots():
    job = Job(CIRCUIT, DATA[:1], PARAMS[:1], (), Output.COUNTS, shots=7)
    frequencies = Distributions.of([{0: 1 / 3, 1: 1 / 3, 2: 1 / 3}], 3)
    counts = expand(job, "a service").outcome(frequencies, {}, sampled=True, sample=draw).counts
    assert counts.sum() == 7
    assert counts.max() == 3


def test_many_qubits_stay_sparse():
    n = 30
    circuit = Circuit.build(n, [op("h", 0), op("x", n - 1)])
    wide = PauliSum.of((1.0, "Z", (0,)), (1.0, "Z", (n - 1,)))
    frequencies = Distributions.of([{1 + 2 ** (n - 1): 0.25, 2 ** (n - 1): 0.75}], n)
    value = expand(Job(circuit, observables=[wide], shots=400), "a service").outcome(
        frequencies, {}, sampled=True, sample=draw
    )
    assert value.values == pytest.approx(np.array([[-0.5]]))
    exact = Job(circuit, output=Output.COUNTS, shots=4)
    drawn = expand(exact, "a service").outcome(frequencies, {}, sampled=False, sample=draw)
    assert sum(drawn.counts[0].values()) == 4
    assert set(drawn.counts[0]) <= {2 ** (n - 1), 1 + 2 ** (n - 1)}


@pytest.mark.parametrize("output", [Output.STATE, Output.VJP, Output.JACOBIAN, Output.METRIC])
def test_what_needs_the_state_is_refused(output):
    more = {"pullback": np.cos} if output is Output.VJP else {}
    with pytest.raises(CapabilityError, match="local backend"):
        expand(Job(CIRCUIT, DATA, PARAMS, MEASURED, output, **more), "a service")


def test_what_would_not_fit_is_refused():
    with pytest.raises(CapabilityError, match="at most 16 qubits"):
        expand(Job(Circuit.build(17, []), output=Output.PROBABILITIES), "a service")
    with pytest.raises(InputError, match="shots"):
        expand(Job(CIRCUIT, DATA, PARAMS, output=Output.COUNTS), "a service")


def test_flips_invert_measured_bits():
    rows = Distributions.of([{0: 0.5, 3: 0.5}, {1: 1.0}], 2).flipped(np.array([1, 2]))
    assert rows.dense().tolist() == [[0, 0.5, 0.5, 0], [0, 0, 0, 1]]
