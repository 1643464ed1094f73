"""Where events lie on curves."""

from __future__ import annotations

from tests.trackers.stories import STORY, epoch, job, step

from q_store.events import EpochDone, Looked, RecipeStarted, RunStarted, StageStarted
from q_store.trackers.series import Series


def points(events):
    series = Series()
    return [point for point in map(series.take, events) if point is not None]


def curve(events, name):
    return [(point.step, point.values[name]) for point in points(events) if name in point.values]


def test_steps_of_the_finish_are_counted_on():
    assert curve(STORY, "step/loss") == [(1, 2.0), (2, 1.5), (3, 1.25), (4, 1.0), (5, 0.75), (6, 0.5)]
    assert curve(STORY, "step/gradient_norm")[0] == (1, 4.0)
    assert curve(STORY, "step/depth") == [(1, 3.0)]
    assert curve(STORY, "step/shots_each") == [(1, 100.0)]
    assert curve(STORY, "step/gradient_error") == [(3, 0.5)]
    assert curve(STORY, "total/circuits")[-3:] == [(5, 10.0), (6, 20.0), (6, 60.0)]


def test_the_finish_is_one_epoch_more():
    assert curve(STORY, "epoch/train_loss") == [(1, 0.5), (2, 0.25), (3, 0.25)]
    assert curve(STORY, "epoch/validation_accuracy") == [(1, 0.25), (2, 0.5), (3, 0.5)]
    assert curve(STORY, "epoch/train_accuracy") == [(1, 0.125)]


def test_costs_add_up_at_the_step_where_they_arose():
    assert curve(STORY, "total/cost_USD") == [(1, 0.25), (3, 0.75)]
    assert curve(STORY, "total/shots_paid") == [(1, 1000.0), (3, 2000.0)]
    assert not points([job(0.0).__class__("s", 1, "local", 1, None, "done", "", {}, {})])


def test_every_number_of_an_epoch_is_on_a_curve():
    given = EpochDone(1, "epochs", *[0.5] * 3, 0.1, 1, 1, 1.0, 3, 0.5, 0.5, 0.5)
    (point,) = points([given])
    names = set(EpochDone.__dataclass_fields__) - {"epoch", "stage", "circuits", "shots", "seconds"}
    assert {f"epoch/{name}" for name in names} == set(point.values)


def test_decisions_are_texts_and_what_was_measured_is_final():
    assert [(p.step, p.text) for p in points(STORY) if "moved" in p.text] == [
        (2, "7 circuits moved from a to b: it is slow")
    ]
    assert (6, "trained: completed after 2 epochs") in [(point.step, point.text) for point in points(STORY)]
    assert curve(STORY, "final/test_accuracy") == [(6, 0.75)]


def test_a_run_that_goes_on_says_what_comes_again():
    again = [RunStarted(3, 4, 20, 10, 2, 4, 3), StageStarted("epochs"), step(4, 0.5, 2), epoch(2)]
    assert [(p.step, p.again) for p in points(again) if p.again] == [(4, True)]
    assert curve(again, "step/loss") == [(4, 0.5)]
    assert curve(again, "epoch/train_loss") == [(2, 0.25)]


def test_stages_of_a_recipe_are_counted_on_and_looks_lie_at_their_circuits():
    local = [StageStarted("local training"), RunStarted(3, 4, 20, 0, 1, 2), StageStarted("epochs"), step(1, 2.0)]
    look = Looked(40, 4000, 1.5, 0.5, 10, "held_out", 0.5)
    refined = [StageStarted("refining"), step(1, 1.0), StageStarted("looking"), look]
    events = [RecipeStarted("refine", 3, 4, 20, 10, 50, 10, 10), *local, *refined, StageStarted("refining")]
    events.append(step(2, 0.5))
    assert curve(events, "step/loss") == [(1, 2.0), (2, 1.0), (3, 0.5)]
    assert curve(events, "look/held_out_accuracy") == [(40, 0.5)]
    assert curve(events, "look/cost") == [(40, 1.5)]
    assert [p.step for p in points([*events, *events]) if p.again] == [1, 1, 2, 1]


def test_a_finish_that_was_broken_off_comes_again_and_the_epochs_do_not():
    told = STORY[2:-4]
    again = [RunStarted(3, 4, 20, 10, 2, 4, 4), StageStarted("finish"), step(1, 0.75, 2)]
    assert [p.step for p in points([*told, *again]) if p.again] == [1, 5]
    assert curve([*told, *again], "step/loss")[-1] == (5, 0.75)
