"""Folders of runs whose events are written by hand."""

import json
from itertools import count

from q_store.apps.history import HistoryWriter
from q_store.events import (
    CircuitsDone,
    CircuitsKnown,
    Decided,
    JobBuilt,
    JobEnded,
    JobMoved,
    Looked,
    MemberChanged,
    ProcessStarted,
    RunStarted,
    StageStarted,
    StepDone,
)


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


def write(folder, *events, clock=None):
    """Events a second apart, or they would be thinned."""
    times = count(1_790_000_000.0)
    writer = HistoryWriter(folder, every=3600, clock=clock or (lambda: next(times)))
    for event in events:
        writer(event)
    writer.close()


OPENING = (ProcessStarted("0.1.0"), RunStarted(30, 6, 100, 20, 2, 10), StageStarted("epochs"))

MEMBERS = "aria", "forte", "harmony"


def rounds(first, last):
    """What steps on three backends tell, 16 events each: jobs, how members stand, a decision, a look."""
    for number in range(first, last + 1):
        began = 1_790_000_000.0 + 16 * number
        yield CircuitsKnown(number, 30, 30, began)
        for member in MEMBERS:
            yield JobBuilt(f"{number}{member}", number, member, 10, 100, False, began)
        for member in MEMBERS:
            yield JobMoved(f"{number}{member}", member, "accepted", began + 1, "id")
        for member in MEMBERS:
            ours = {"begun": 0, "built": 0, "written": 0, "sent": 0.5, "accepted": 1.5}
            ours |= {"asked": 6, "seen": 7, "fetched": 7.5, "merged": 8, "ended": 8}
            theirs = {"accepted": 1, "started": 2, "finished": 5}
            times, provider = ({name: began + at for name, at in own.items()} for own in (ours, theirs))
            about = f"{number}{member}", number, member, 10, 100, "done", "", times, provider
            yield JobEnded(*about, 10, 1000, 0.1, "USD", "id", account="ionq")
        yield MemberChanged(MEMBERS[number % 3], began + 8, "working", "", 10.0, 0.1, 1, 4, 0.0, number, 0)
        yield Looked(30 * number, 3000 * number, 0.3 * number, 0.5 + 0.4 * (number % 100) / 100, 50, "held_out", 0.4)
        yield CircuitsDone(number, began + 8)
        yield Decided("moved", "aria", began + 8, "it is slow", "forte", number)
        yield step(number)
