"""What recipes tell: what is planned, stages, steps, looks, the end; and nothing of it changes what they do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from recipe_tasks import FEW, OBJECTIVE, here, task

from q_store.events import (
    Announcer,
    EpochDone,
    Looked,
    RecipeStarted,
    RunFinished,
    RunStarted,
    StageStarted,
    StepDone,
)
from q_store.gradients.spsa import SPSA
from q_store.jobs import drive
from q_store.training.recipes import Calibrate, Refine, Regress, Spsa, drive_sites
from q_store.training.recipes.spsa import batch, step_seed

pytestmark = pytest.mark.usefixtures("ends")
OWN = {"training", "refining"}
STAGES = {
    "exact": ["local training", "epochs", "finish", "measuring"],
    "calibrate": ["local training", "epochs", "finish", "buying", "fitting", "looking", "measuring"],
    "regress": ["buying", "fitting", "looking", "measuring"],
    "spsa": ["training", "looking", "training", "looking", "measuring"],
    "v34": ["training", "looking", "training", "looking", "measuring"],
    "refine": ["local training", "epochs", "finish", "buying", "fitting", "looking", "refining", "looking",
               "refining", "looking", "measuring"],
    "refine alone": ["refining", "looking", "refining", "looking", "measuring"],
}  # fmt: skip


def short(name):
    """A recipe of few steps and two looks, but for that within a refinement."""
    recipe, _ = FEW[name]
    return replace(recipe, count=80, looks=2) if name in {"spsa", "v34", "refine alone"} else recipe


def told(recipe, **more):
    found = []
    return found, drive_sites(recipe.plan(task(tell=Announcer([found.append]), **more)), here())


def of(kind, events):
    return [each for each in events if isinstance(each, kind)]


def steps_by_stage(events):
    stage, found = "", []
    for each in events:
        stage = each.stage if isinstance(each, StageStarted) else stage
        if isinstance(each, StepDone):
            found.append((stage, each))
    return found


@pytest.mark.parametrize("name", FEW)
def test_every_recipe_tells_its_plan_its_stages_and_its_end_once(name):
    recipe = short(name)
    events, found = told(recipe)
    (plan,), (end,) = of(RecipeStarted, events), of(RunFinished, events)
    assert (events[0], events[-1]) == (plan, end)
    assert plan.recipe == found.recipe
    assert (plan.training, plan.validation, plan.test) == (recipe.training(task()), recipe.validation(task()), 60)
    assert found.spent.training <= plan.training
    assert found.spent.validation <= plan.validation
    assert (end.circuits, end.shots) == (found.spent.circuits, found.spent.shots)
    assert [each.stage for each in of(StageStarted, events)] == STAGES[name]
    own = [each for stage, each in steps_by_stage(events) if stage in OWN]
    assert [each.step for each in own] == list(range(1, plan.steps + 1))
    local = bool(of(RunStarted, events))
    assert local == (STAGES[name][0] == "local training")
    assert end.epochs == (10 if name in {"exact", "calibrate"} else 0)
    assert len(of(EpochDone, events)) == 11 * local


@pytest.mark.parametrize("name", FEW)
def test_looks_are_told_as_they_are(name):
    events, found = told(short(name))
    looks = of(Looked, events)
    curve = [(p.circuits, p.shots, p.cost, p.accuracy, p.bought or 30, p.sure) for p in found.curve]
    assert set(curve) <= {(e.circuits, e.shots, e.cost, e.accuracy, e.rows, e.sure) for e in looks}
    assert {each.on for each in looks if each.rows == 30} == {"held_out"}
    if name in {"regress", "calibrate"}:  # what held-out rows say at the end decides nothing, but is told
        assert (looks[-1].on, looks[-1].accuracy) == ("held_out", found.validation)
        assert looks[0].on == "bought"
        assert looks[0].sure < looks[0].accuracy


@pytest.mark.parametrize("name", FEW)
def test_telling_changes_nothing(name):
    recipe = short(name)
    _, watched = told(recipe)
    alone = drive_sites(recipe.plan(task()), here())
    np.testing.assert_array_equal(watched.parameters, alone.parameters)
    assert (watched.curve, watched.spent, watched.accuracy) == (alone.curve, alone.spent, alone.accuracy)


def test_a_step_has_the_loss_and_the_gradient_of_its_estimate():
    events, _ = told(Spsa(count=60, looks=1))
    given, first = task(), of(StepDone, events)[0]
    vector = OBJECTIVE.initial(given.seed)
    n = OBJECTIVE.circuit.n_params
    vector[:n] = np.random.default_rng([given.seed, 77]).normal(0.0, 0.6, n)
    rows = given.train.take(batch(given, 0, 10))
    plan = OBJECTIVE.evaluate(vector, *rows, SPSA(0.15), shots=200, seed=step_seed(given.seed, 0))
    asked = drive(plan, here().pool)
    assert first.loss == asked.loss
    assert first.gradient_norm == pytest.approx(np.linalg.norm(asked.gradient), rel=1e-12)
    spread = np.sqrt(asked.gradient[:n] ** 2 @ asked.variance) / np.linalg.norm(asked.gradient)
    assert first.gradient_error == pytest.approx(spread, rel=1e-12)
    assert (first.learning_rate, first.circuits, first.shots, first.shots_each) == (0.03, 20, 4000, 200)
    rates = [each.learning_rate for each in of(StepDone, events)]
    assert rates == pytest.approx([0.03 / (1 + 8 * k / 3) for k in range(3)])
    assert [each.epoch for each in of(StepDone, told(Spsa(count=400, looks=1))[0])][8:11] == [1, 2, 2]


def test_a_refinement_tells_its_own_shots_and_loss():
    events, _ = told(Refine(count=60, looks=1, shots=50))
    own = of(StepDone, events)
    assert [each.shots_each for each in own] == [50] * 3
    assert own[0].loss == pytest.approx(np.log(3), abs=0.3)  # of a readout that begins near zero
    assert all(each.gradient_norm > 0 for each in own)


def test_bases_within_a_refinement_count_their_steps_by_stage():
    events, _ = told(Refine(Spsa(count=40, looks=1), count=60, looks=1))
    assert [(stage, each.step) for stage, each in steps_by_stage(events)] == [
        ("training", 1), ("training", 2), ("refining", 1), ("refining", 2), ("refining", 3),
    ]  # fmt: skip
    circuits = [each.circuits for _, each in steps_by_stage(events)]
    assert circuits == sorted(circuits)
    assert len(of(RecipeStarted, events)) == len(of(RunFinished, events)) == 1


def test_an_accuracy_that_was_seen_is_the_reason_of_the_end():
    events, _ = told(Regress(most=90), accuracy=0.6)
    assert events[-1].reason == "the accuracy asked for was seen"
    assert told(Regress(count=30))[0][-1].reason == "completed"
    assert of(RecipeStarted, events)[0].accuracy == 0.6


def test_a_recipe_that_cannot_begin_tells_nothing():
    found = []
    for recipe in (Regress(), Spsa(), Calibrate(), Refine()):
        with pytest.raises(ValueError, match="at least"):
            next(recipe.plan(task(circuits=2, tell=Announcer([found.append]))))
    assert found == []


def test_a_watcher_that_fails_stops_nothing():
    def fails(event):
        raise ValueError(event)

    with pytest.warns(RuntimeWarning, match="RecipeStarted"):
        found = drive_sites(Regress(count=30).plan(task(tell=Announcer([fails]))), here())
    assert found.spent.training == 30
