"""Recipes on a small problem: what they reach, what they buy, that they can be broken off."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pool.pools import Site, opened, run_virtual
from recipe_tasks import FEW, OBJECTIVE, SETTINGS, here, rows, task

from q_store.backends.local import LocalBackend
from q_store.circuits import Observables, PauliSum, encoders, z
from q_store.circuits.templates import hardware_efficient, reuploading
from q_store.errors import CapabilityError, ConfigError
from q_store.jobs import Capabilities, Output
from q_store.pool.pool import Pool
from q_store.training import CrossEntropy, LinearReadout, Objective
from q_store.training.optimisers import Adam
from q_store.training.recipes import (
    RECIPES,
    V34,
    Calibrate,
    Exact,
    Point,
    Refine,
    Regress,
    Sites,
    Spsa,
    Task,
    choose,
    drive_sites,
    drive_sites_async,
    named,
    reached,
)
from q_store.training.recipes.angles import Turning
from q_store.training.recipes.book import Book
from q_store.training.recipes.calibrate import kept_out
from q_store.training.recipes.expected import MEASURED
from q_store.training.recipes.response import learned
from q_store.training.recipes.task import SURE
from q_store.training.rows import Rows

pytestmark = pytest.mark.usefixtures("ends")


@pytest.mark.parametrize("name", FEW)
def test_every_recipe_learns_and_does_the_same_again(name):
    recipe, _ = FEW[name]
    found, again = (drive_sites(recipe.plan(task()), here()) for _ in range(2))
    assert found.accuracy > (0.45 if name == "v34" else 0.75)
    np.testing.assert_array_equal(found.parameters, again.parameters)
    assert (found.curve, found.spent, found.accuracy) == (again.curve, again.spent, again.accuracy)


@pytest.mark.parametrize("name", FEW)
def test_circuits_are_counted_as_they_are_charged(name):
    recipe, training = FEW[name]
    if name in {"spsa", "v34", "refine alone"}:
        recipe, training = replace(recipe, count=80), training and 80
    given = task()
    site = Site("one", seed=1)

    async def go():
        async with Pool([site.member], None) as pool:
            return await drive_sites_async(recipe.plan(given), Sites(pool=pool, local=LocalBackend()))

    found = run_virtual(go())
    assert found.spent.circuits == site.ledger["accepted_circuits"]
    assert found.spent.test == 60
    if training is None:
        assert found.spent.training <= recipe.training(given)
    else:
        assert found.spent.training == training == recipe.training(given)
        assert found.spent.validation == recipe.validation(given)


def test_a_recipe_that_is_broken_off_goes_on_without_buying_again(tmp_path):
    site, recipe = Site("one", seed=1, backend="qpu.aria-1"), Spsa(count=60, looks=2)
    given = task(shots=50)

    class Dies:
        def __init__(self, pool, after):
            self.pool, self.left, self.capabilities = pool, after, pool.capabilities

        async def run_async(self, jobs):
            self.left -= 1
            if self.left < 0:
                raise InterruptedError
            return await self.pool.run_async(jobs)

    def go(name, after):
        async def all_of_it():
            store = opened(tmp_path / f"{name}.db")
            if not any(each.id == "r" for each in store.runs.all()):
                store.runs.start("recipe", {}, run="r")
            try:
                async with Pool([site.member], store, run="r") as pool:
                    return await drive_sites_async(recipe.plan(given), Sites(pool=Dies(pool, after)))
            finally:
                store.close()

        return run_virtual(all_of_it())

    with pytest.raises(InterruptedError):
        go("broken", 3)
    found = go("broken", 10**9)
    assert site.ledger["charged_circuits"] == found.spent.circuits
    whole = go("whole", 10**9)
    np.testing.assert_array_equal(found.parameters, whole.parameters)


def test_an_accuracy_that_is_seen_twice_ends_training():
    found = drive_sites(Regress(most=90).plan(task(accuracy=0.6)), here())
    assert found.reached == found.spent.training == 50
    assert [point.circuits for point in found.curve] == [point.bought for point in found.curve] == [40, 50]
    held_out = drive_sites(Regress(most=90, look="held_out").plan(task(accuracy=0.6)), here())
    assert [(point.circuits, point.bought) for point in held_out.curve] == [(40, None), (50, None)]
    assert held_out.spent.validation == 60
    assert held_out.validation == held_out.curve[-1].accuracy
    never = drive_sites(Spsa(count=80, looks=4).plan(task(accuracy=0.999)), here())
    assert never.reached is None
    assert never.spent.training == 80


def test_calibrate_looks_at_rows_that_its_training_has_not_seen():
    """Labels by lot are learned by heart, and not met elsewhere; a rare class is not kept out as a whole."""
    circuit = encoders.amplitude(5, 32) + hardware_efficient(5, 3, ("ry",), "ring")
    pairs = [z(p, q) for p in range(5) for q in range(p)]
    measured = Observables.of(*Observables.local_z(5).items, *pairs)
    objective = Objective(circuit, measured, LinearReadout(15, 2), CrossEntropy())
    rng = np.random.default_rng(4)

    def by_lot(count):
        x = rng.normal(size=(count, 32))
        labels = rng.integers(0, 2, count)
        return Rows.of(x / np.linalg.norm(x, axis=1, keepdims=True), labels, objective)

    settings = SETTINGS.replaced(finish_iterations=60)
    given = Task(objective, by_lot(80), by_lot(20), by_lot(200), settings=settings, accuracy=0.6, seed=2)
    found = drive_sites(Calibrate(most=64, maps=("none", "diagonal")).plan(given), here())
    assert found.accuracy < 0.6
    assert found.reached is None
    assert {point.bought for point in found.curve} == {10, 15}
    assert found.curve[-1].circuits == 64
    labels = np.repeat([0, 1, 2], [60, 7, 1])
    few = Rows(np.zeros((68, 4)), labels, 68)
    order, unseen = kept_out(replace(task(accuracy=0.6), train=few), 40)
    assert sorted(order) == list(range(68))
    assert sorted(labels[order[:unseen]]) == [0] * 12 + [1]
    assert kept_out(task(), 40)[1] == 0


@pytest.mark.parametrize("name", [*FEW, "refine regress"])
@pytest.mark.parametrize("measured", ["two bases", "no parameters"])
def test_what_is_planned_is_bought_with_other_circuits_too(name, measured):
    """Several measured bases, angles in place of amplitudes, a circuit that only a readout is trained on."""
    circuit = encoders.angle(2) if measured == "no parameters" else encoders.angle(2) + hardware_efficient(2, 1)
    both = Observables.of(z(0), PauliSum.of((1.0, "X", (0,))))
    objective = Objective(circuit, both, LinearReadout(2, 2), CrossEntropy())
    rng = np.random.default_rng(2)
    parts = [Rows.of(rng.normal(size=(count, 2)), np.arange(count) % 2, objective) for count in (60, 15)]
    recipe = Refine(Regress(count=30), count=100, looks=2) if name == "refine regress" else FEW[name][0]
    given = Task(objective, *parts, settings=SETTINGS, shots=20)
    pool = Counting()
    found = drive_sites(recipe.plan(given), Sites(pool=pool, local=LocalBackend()))
    assert found.spent.training == recipe.training(given) or found.recipe == "refine"  # shifts are at most so many
    assert found.spent.training <= recipe.training(given)
    assert found.spent.validation == recipe.validation(given)
    assert (found.spent.circuits, found.spent.shots) == (pool.circuits, pool.shots)


class Counting:
    """The local engine, with its own account."""

    def __init__(self):
        self.backend = LocalBackend()
        self.capabilities = self.backend.capabilities
        self.circuits = self.shots = 0

    def run(self, job):
        circuits = job.rows * len(job.measured.groups())
        self.circuits, self.shots = self.circuits + circuits, self.shots + circuits * job.shots
        return self.backend.run(job)


@pytest.mark.parametrize(("rate", "seen"), [(0.1, 0), (1e-6, None)])
def test_exact_training_has_one_look_at_an_accuracy(rate, seen):
    settings = SETTINGS.replaced(finish_iterations=0, learning_rate=rate, readout_learning_rate=rate)
    given = task(accuracy=0.9, settings=settings)
    choice = choose(given, LocalBackend().capabilities, None)
    assert "so the accuracy asked for cannot matter" in choice.reason
    found = drive_sites(choice.recipe.plan(given), here())
    assert found.reached == seen
    assert (found.validation >= 0.9) == (seen == 0)
    asked = choose(task(circuits=5, accuracy=0.5), LocalBackend().capabilities, None).reason
    assert "the circuits and the accuracy asked for cannot matter" in asked
    assert "cannot matter" not in choose(task(), LocalBackend().capabilities, None).reason


def test_a_regression_does_not_scramble_data_that_parameters_scale():
    """Weights as large as angles turn every row elsewhere, and near rows too."""
    circuit = reuploading(3, 3, 6)
    objective = Objective(circuit, Observables.local_z(3), LinearReadout(3, 2), CrossEntropy(), circuit_scale=0.3)
    rng = np.random.default_rng(8)

    def apart(count):
        y = np.arange(count) % 2
        return Rows.of(rng.normal(size=(count, 6)) + 1.2 * y[:, None], y, objective)

    given = Task(objective, apart(150), apart(30), apart(200), circuits=100, shots=500)
    found = drive_sites(Regress().plan(given), here())
    assert found.accuracy > 0.75
    theta, start = found.parameters[: circuit.n_params], objective.initial(0)[: circuit.n_params]
    same = theta == start
    assert same.any()
    assert not same.all()


def test_an_accuracy_counts_at_the_second_of_two_successive_looks():
    curve = [Point(n, 0, 0.0, a) for n, a in ((1, 0.8), (2, 0.6), (3, 0.7), (4, 0.7), (5, 0.9))]
    assert reached(curve, 0.7) == 4
    assert reached(curve, 0.8) is None
    assert reached(curve, None) is None


def test_what_few_bought_rows_say_counts_less():
    def said(bought):
        return [Point(n, 0, 0.0, 0.8, bought) for n in (1, 2)]

    assert reached(said(20), 0.7) is None
    assert reached(said(200), 0.7) == 2
    # By its definition: the truth p0 that is SURE standard deviations of p0's own binomial below what was seen.
    sure = Point(1, 0, 0.0, 0.8, 60).sure
    assert 0.8 - sure == pytest.approx(SURE * np.sqrt(sure * (1 - sure) / 60))
    assert Point(1, 0, 0.0, 1.0, 10).sure < 1
    assert Point(1, 0, 0.0, 0.0, 10).sure == pytest.approx(0)


def test_a_response_is_learned_from_few_rows_and_predicts_others():
    rng = np.random.default_rng(5)
    u, _ = np.linalg.qr(rng.normal(size=(8, 8)))
    x = np.abs(rng.normal(size=(200, 8)))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    truth = 0.8 * (x @ u) ** 2 + 0.2 / 8
    found = learned(x[:40], truth[:40], 1, seed=0, prior=1e-6).predict(x[40:])
    assert np.abs(found - truth[40:]).max() < 0.02
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_calibration_undoes_what_a_machine_does():
    class Fading:
        """Values of a machine that forgets half of everything."""

        capabilities = LocalBackend().capabilities

        def run(self, job):
            found = LocalBackend().run(job)
            return replace(found, values=0.5 * found.values + 0.1)

    far = Sites(pool=Fading(), local=LocalBackend())
    tuned = drive_sites(Calibrate(count=20).plan(task()), far)
    untuned = drive_sites(Calibrate(count=20, maps=("none",)).plan(task()), far)
    assert tuned.notes["map"] != "none"
    np.testing.assert_allclose(tuned.notes["slopes"], 0.5, atol=0.1)
    assert tuned.accuracy >= untuned.accuracy


def test_errors_of_angles_are_found_and_undone():
    turning = Turning.of(OBJECTIVE, rows(1, 1).data)
    rng = np.random.default_rng(7)
    theta = rng.uniform(-1, 1, turning.size)
    truth = rng.normal(0, 0.1, turning.objective.circuit.n_params - turning.size)

    def near(steps):
        return drive_sites(Book(task()).near(steps), here())

    few, others = (turning.data(OBJECTIVE, rows(count, seed).data) for count, seed in ((20, 1), (30, 2)))
    far = 0.6 * near(turning.values(theta, truth, few))
    found = near(turning.learned(theta, few, far, 1e-4))
    exact = near(turning.values(theta, truth, others))
    wrong = np.abs(near(turning.values(theta, found, others)) - exact).max()
    assert wrong < 0.1 * np.abs(near(turning.values(theta, 0 * truth, others)) - exact).max()
    own = truth.copy()
    own[: -turning.size] = 0  # of the parameters alone, which are the last angles: nothing is left
    undone = near(turning.values(theta + turning.undo @ own, own, others))
    np.testing.assert_allclose(undone, near(turning.values(theta, 0 * own, others)), atol=1e-6)


def test_calibration_finds_a_machine_that_turns_too_far():
    site = Site("one", seed=3, depolarising=0.2, angle_error=0.15)

    async def go():
        async with Pool([site.member], None) as pool:
            given = replace(task(shots=None), test=None)
            return await drive_sites_async(Calibrate(count=20).plan(given), Sites(pool=pool, local=LocalBackend()))

    found = run_virtual(go())
    assert found.notes["map"] == "angles"
    assert found.validation >= found.notes["ideal_validation"] - 0.05
    assert found.spent.training == 20


def test_options_act():
    few = {"count": 80, "looks": 1}
    base = drive_sites(Spsa(**few).plan(task()), here()).parameters
    for change in (
        {"rate": 0.1},
        {"readout_rate": 0.1},
        {"perturbation": 0.3},
        {"batch": 5},
        {"beta2": 0.9},
        {"scale": 1},
        {"average": None},
    ):
        assert not np.array_equal(drive_sites(Spsa(**few, **change).plan(task()), here()).parameters, base), change
    for change in ({"seed": 1}, {"shots": 100}, {"circuits": 40}):
        assert not np.array_equal(drive_sites(Spsa(**few).plan(task(**change)), here()).parameters, base), change
    assert drive_sites(Regress(fits=("direct",)).plan(task(circuits=30)), here()).notes["fit"] == "direct"
    assert drive_sites(Regress(fits=("response",), ranks=(2,)).plan(task(circuits=30)), here()).notes["rank"] == 2


@pytest.mark.parametrize(("average", "power"), [(None, None), (0.0, 0), (3.0, 3)])
def test_spsa_ends_at_an_average_of_its_iterates(monkeypatch, average, power):
    """That of eta = 3 weighs iterate t by t (t + 1) (t + 2)."""
    iterates, step = [], Adam.step

    def recording(self, vector, *more):
        step(self, vector, *more)
        iterates.append(vector.copy())

    monkeypatch.setattr(Adam, "step", recording)
    found = drive_sites(Spsa(count=200, looks=1, average=average).plan(task()), here()).parameters
    t = np.arange(1, 11)
    weights = t == 10 if power is None else np.prod([t + k for k in range(power)], axis=0) * np.ones(10)
    np.testing.assert_allclose(found, np.average(iterates, axis=0, weights=weights), atol=1e-12)


def test_v34_begins_near_zero_and_its_readout_keeps_its_rate():
    early, late = (V34().rates(OBJECTIVE, progress) for progress in (0.0, 0.9))
    n = OBJECTIVE.circuit.n_params
    assert set(early[n:]) == set(late[n:]) == {0.03}
    np.testing.assert_array_equal(late[:n], Spsa().rates(OBJECTIVE, 0.9)[:n])
    assert V34().scale < Spsa().scale
    assert V34().average is None


def test_a_refinement_never_ends_worse_than_it_began():
    found = drive_sites(Refine(Calibrate(), count=60, rate=3.0, looks=3).plan(task()), here())
    assert found.notes["gain"] >= 0
    assert found.where.endswith("then refined remotely")


def ideal(**more):
    return Capabilities("here", frozenset(Output), 20, **more)


SAMPLING = Capabilities("far", frozenset({Output.EXPECTATION}), 20, exact=False, noise_id="aria-1")


@pytest.mark.parametrize(
    ("local", "pool", "name", "why"),
    [
        (ideal(), None, "exact", "nothing is to run elsewhere"),
        (ideal(), ideal(shots_matter=False), "exact", "ideal simulator"),
        (ideal(), SAMPLING, "calibrate", "learn how it distorts"),
        (None, SAMPLING, "regress", "cannot be simulated here"),
        (replace(ideal(), max_qubits=1), SAMPLING, "regress", "cannot be simulated here"),
        (replace(ideal(), exact=False), SAMPLING, "regress", "cannot be simulated here"),
    ],
)
def test_auto_chooses_by_what_there_is_and_says_why(local, pool, name, why):
    found = choose(task(), local, pool)
    assert found.recipe.name == name
    assert why in found.sentence
    assert found.sentence.startswith(f"{name}: ")
    assert found.circuits[2] == 60


def test_auto_without_anybody_says_what_is_missing():
    with pytest.raises(CapabilityError, match="give a pool"):
        choose(task(), None, None)


def test_auto_takes_steps_where_there_are_too_many_probabilities():
    wide = Objective(encoders.angle(13), Observables.local_z(13), LinearReadout(13, 3), CrossEntropy())
    x, y = np.zeros((6, 13)), np.arange(6) % 3
    given = Task(wide, Rows.of(x, y, wide), Rows.of(x, y, wide))
    assert choose(given, None, SAMPLING).recipe.name == "spsa"
    with pytest.raises(ConfigError, match="at most 12 qubits"):
        next(Regress().plan(given))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: named("regres"), "did you mean 'regress'"),
        (lambda: task(circuits=0), "1 circuit or more"),
        (lambda: task(accuracy=70), "0.7 is 70 %"),
        (lambda: Regress(fits=("ridge",)), "fits out of"),
        (lambda: Calibrate(maps=("all",)), "maps out of"),
        (lambda: Regress(look="test"), "bought or held_out"),
        (lambda: Refine(method="spasa"), "spsa"),
        (lambda: next(Regress().plan(task(circuits=5))), "at least 20 circuits"),
        (lambda: next(Spsa().plan(task(circuits=5))), "at least 20 circuits"),
        (lambda: Spsa(average=-1), "average of 0 or more"),
        (lambda: next(Calibrate().plan(task(circuits=2))), "at least 4 circuits"),
        (lambda: next(Refine().plan(task(circuits=2))), "at least 20 circuits"),
        (lambda: drive_sites(Regress().plan(task()), Sites(local=LocalBackend())), "a pool"),
        (lambda: drive_sites(Exact().plan(task()), Sites(pool=LocalBackend())), "an exact simulation"),
    ],
)
def test_bad_input_is_one_clear_line(make, said):
    with pytest.raises(ConfigError, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_every_recipe_has_its_name():
    assert [recipe.name for recipe in RECIPES.values()] == list(RECIPES)


def test_what_is_expected_is_what_the_benchmark_found():
    found = json.loads((Path(__file__).parents[3] / "benchmarks/results/recipes.json").read_text())["parts"]
    for name, by_count in MEASURED.items():
        for count, accuracy in by_count.items():
            kind = {"calibrate": f"calibrate-shots-{count}", "v34": "v34"}.get(name, f"{name}-{count}")
            assert accuracy == pytest.approx(np.mean([row["test"] for row in found[kind]]), abs=1e-4)
