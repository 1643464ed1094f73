"""A recipe that is broken off anywhere and goes on: its history, page and metrics are those of one that was not."""

from __future__ import annotations

from itertools import count

import pytest
from recipe_tasks import SETTINGS, here, task

from q_store.apps.dashboard.view import View
from q_store.apps.history import History, HistoryWriter, current
from q_store.apps.progress import MetricsWriter
from q_store.apps.run_folder import RunFolder
from q_store.events import Announcer, EpochDone, Looked, ProcessStarted, StepDone
from q_store.training.checkpoint import CheckpointFile
from q_store.training.recipes import Calibrate, Refine, drive_sites

pytestmark = pytest.mark.usefixtures("ends")
RECIPE = Refine(Calibrate(count=8), count=80, looks=2)
FEW = SETTINGS.replaced(epochs=3, finish_iterations=3, batch_size=45)
COUNTED = {kind.__name__ for kind in (StepDone, EpochDone, Looked)}
ALL = 41
"""Events of a whole run, about."""


class Broken(BaseException):
    """The process is gone."""


def go(folder, least=0, breaks=None):
    """One process; `breaks` is behind so many events, where it has not told so many before."""
    times = count(1_790_000_000 + least)
    seen = []

    def counted(event):
        seen.append(event)
        if breaks is not None and len(seen) == breaks:
            raise Broken

    with HistoryWriter(folder.path, clock=lambda: float(next(times)), every=3600) as history:
        history(ProcessStarted("0.1.0"))
        tell = Announcer([history, MetricsWriter(folder), counted])
        checkpoints = CheckpointFile(folder.path / "checkpoints" / "local.npz")
        drive_sites(RECIPE.plan(task(settings=FEW, checkpoints=checkpoints, tell=tell)), here())
    return seen


def counted(folder):
    """What counts of a history, but for times."""
    found = [(e.kind, dict(e.values)) for e in current(History(folder.path).read()) if e.kind in COUNTED]
    return [(kind, {name: value for name, value in values.items() if name != "seconds"}) for kind, values in found]


def shown(folder):
    view = View()
    for entry in History(folder.path).read():
        view.take(entry)
    progress = view.sections()["progress"]
    recipe = {name: value for name, value in view.sections()["recipe"].items() if name not in {"pace", "seconds"}}
    kept = {name: progress[name] for name in ("step", "stage", "circuits", "shots", "status")}
    return view.steps.rows, view.epochs.rows, view.recipe.looks.rows, kept, recipe


def metrics(folder):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in folder.metrics()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = RunFolder.create(tmp_path_factory.mktemp("whole") / "run", {})
    assert len(go(folder)) >= ALL
    yield folder
    folder.close()


@pytest.mark.parametrize("breaks", range(1, ALL, 3))
def test_nothing_is_shown_twice_wherever_it_was_broken_off(whole, tmp_path, breaks):
    folder = RunFolder.create(tmp_path / "run", {})
    with pytest.raises(Broken):
        go(folder, breaks=breaks)
    go(folder, least=1_000)
    folder.close()
    assert counted(folder) == counted(whole)
    assert shown(folder) == shown(whole)
    assert metrics(folder) == metrics(whole)


def test_it_may_be_broken_off_again_and_again(whole, tmp_path):
    folder = RunFolder.create(tmp_path / "run", {})
    for turn, breaks in enumerate((5, 9, 17, 10, 14)):
        with pytest.raises(Broken):
            go(folder, least=1_000 * turn, breaks=breaks)
    go(folder, least=9_000)
    folder.close()
    assert counted(folder) == counted(whole)
    assert shown(folder) == shown(whole)
    assert metrics(folder) == metrics(whole)
