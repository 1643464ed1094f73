"""The events of a small training."""

from q_store.events import (
    CheckpointSaved,
    Decided,
    EpochDone,
    JobEnded,
    ProcessEnded,
    ProcessStarted,
    RunDescribed,
    RunFinished,
    RunMeasured,
    RunStarted,
    StageStarted,
    StepDone,
)


def step(number, loss, epoch=1, **more):
    return StepDone(number, epoch, loss, 2 * loss, 0.01, 10 * number, 1000 * number, 0.1, **more)


def epoch(number, stage="epochs", **more):
    return EpochDone(number, stage, 0.5 / number, 0.6 / number, 0.25 * number, 0.01, 0, 0, 1.0, **more)


def job(cost):
    return JobEnded("s", 1, "ionq", 10, 100, "done", "", {}, {}, 10, 1000, cost, "USD")


STORY = [
    ProcessStarted("0.1.0"),
    RunDescribed("mine", {"model": "compact", "epochs": "2"}, {"q_store.seed": "7"}),
    RunStarted(3, 4, 20, 10, 2, 4),
    StageStarted("epochs"),
    step(1, 2.0, depth=3, shots_each=100),
    job(0.25),
    step(2, 1.5),
    epoch(1, train_accuracy=0.125),
    Decided("moved", "a", 0.0, "it is slow", "b", 7),
    step(3, 1.25, 2, gradient_error=0.5),
    job(0.5),
    step(4, 1.0, 2),
    epoch(2),
    CheckpointSaved("somewhere", 2, 4),
    StageStarted("finish"),
    step(1, 0.75, 2),
    step(2, 0.5, 2),
    epoch(2, "finish"),
    RunFinished(2, "completed", 60, 6000, 3.0),
    RunMeasured({"test_accuracy": 0.75, "control_accuracy": 0.5}),
    ProcessEnded("completed"),
]
