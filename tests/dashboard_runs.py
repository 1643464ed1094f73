"""Folders of runs whose events are written by hand."""

import json
from itertools import count

from q_store.apps.history import HistoryWriter
from q_store.events import ProcessStarted, RunStarted, StageStarted, StepDone


def folder_of_run(path, **request):
    path.mkdir()
    asked = {"model": "compact", "data": "/somewhere/else/mine.csv", "seed": 3, "epochs": 2, **request}
    config = {"format": 1, "q_store": "0.1.0", "request": asked, "store": "/somewhere/else/q.db", "run": "0a1b2c3d"}
    (path / "config.json").write_text(json.dumps(config))
    return path


def step(number, **changed):
    values = {
        "step": number, "epoch": 1 + number // 6, "loss": 2 / number, "gradient_norm": 1.0, "learning_rate": 0.1,
        "circuits": 10 * number, "shots": 1000 * number, "seconds": 0.1 * number,
    }  # fmt: skip
    return StepDone(**values | changed)


def write(folder, *events):
    """Events a second apart, or they would be thinned."""
    clock = count(1_790_000_000.0)
    writer = HistoryWriter(folder, every=3600, clock=lambda: next(clock))
    for event in events:
        writer(event)
    writer.close()


OPENING = (ProcessStarted("0.1.0"), RunStarted(30, 6, 100, 20, 2, 10), StageStarted("epochs"))
