"""What a run tells those who watch it: small frozen events, handed to callables.

    Sink = Callable[[Event], None]

Logs, progress bars, run folders and trackers are sinks. Times are seconds; `circuits` and `shots` are running totals
of the run.
"""

from __future__ import annotations

from typing import get_args

from q_store.events.announcer import Announcer, Event, Sink
from q_store.events.clock import moment
from q_store.events.job_sum import JobSum
from q_store.events.pool import (
    BudgetSet,
    CircuitsDone,
    CircuitsKnown,
    Decided,
    JobBuilt,
    JobEnded,
    JobMoved,
    JobsRun,
    MemberChanged,
    PoolBought,
    PoolPaused,
    PoolResumed,
)
from q_store.events.recipes import Looked, RecipeChosen, RecipeStarted
from q_store.events.run import RunDescribed, RunMeasured
from q_store.events.training import (
    CheckpointSaved,
    CircuitChosen,
    EarlyStopped,
    EpochDone,
    ProcessEnded,
    ProcessStarted,
    RunFinished,
    RunHeld,
    RunReleased,
    RunStarted,
    RunStopped,
    StageStarted,
    StepBlocked,
    StepDone,
)

KINDS: dict[str, type] = {kind.__name__: kind for kind in get_args(Event)}
"""All events by name."""

__all__ = [
    "KINDS",
    "Announcer",
    "BudgetSet",
    "CheckpointSaved",
    "CircuitChosen",
    "CircuitsDone",
    "CircuitsKnown",
    "Decided",
    "EarlyStopped",
    "EpochDone",
    "Event",
    "JobBuilt",
    "JobEnded",
    "JobMoved",
    "JobSum",
    "JobsRun",
    "Looked",
    "MemberChanged",
    "PoolBought",
    "PoolPaused",
    "PoolResumed",
    "ProcessEnded",
    "ProcessStarted",
    "RecipeChosen",
    "RecipeStarted",
    "RunDescribed",
    "RunFinished",
    "RunHeld",
    "RunMeasured",
    "RunReleased",
    "RunStarted",
    "RunStopped",
    "Sink",
    "StageStarted",
    "StepBlocked",
    "StepDone",
    "moment",
]
