"""Figures of a training: kept by step, written as lines of JSON, summed up in a report."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from q_store import __version__
from q_store.apps.history import Entry
from q_store.apps.ledger_view import short
from q_store.apps.legacy.places import Site
from q_store.apps.legacy.results import TrainingMetrics
from q_store.events import (
    CircuitsDone,
    CircuitsKnown,
    EpochDone,
    Event,
    JobEnded,
    JobsRun,
    ProcessEnded,
    ProcessStarted,
    StepDone,
    moment,
)
from q_store.ledger import ledger

LOG = logging.getLogger("q_store")
STEPS_FILE = "steps.jsonl"


@dataclass
class Watcher:
    """Hears the events of a training, and keeps what was asked for.

    Attributes:
        log_interval: steps between two lines in the log. gradients: whether norms are kept. performance: whether steps
            are. folder: where lines of JSON go, if anywhere. epoch_offset: added to epochs, which begin with 0.
        norms: of gradients, before clipping. steps: figures of every step. history: of every epoch.
        told: what the ledger needs; where performance is kept.
    """

    log_interval: int = 10
    gradients: bool = True
    performance: bool = True
    folder: Path | None = None
    norms: list[float] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    history: list[TrainingMetrics] = field(default_factory=list)
    told: list[Entry] = field(default_factory=list)
    _epoch: list[StepDone] = field(default_factory=list)
    _before: tuple[int, int, float] = (0, 0, 0.0)
    _file: TextIO | None = None

    def begin(self, circuits: int = 0, shots: int = 0, seconds: float = 0.0) -> None:
        """Another training, which may go on from a checkpoint with these totals."""
        self._epoch, self._before = [], (circuits, shots, seconds)
        self._keep(ProcessStarted(__version__))
        if self.performance and self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = (self.folder / STEPS_FILE).open("a", encoding="utf-8")

    def end(self) -> None:
        """Close the file."""
        self._keep(ProcessEnded("completed"))
        if self._file is not None:
            self._file.close()
            self._file = None

    def __call__(self, event: Event) -> None:
        """See `events.Sink`."""
        if isinstance(event, StepDone | JobEnded | JobsRun | CircuitsKnown | CircuitsDone):
            self._keep(event)
        if isinstance(event, StepDone):
            self._step(event)
        elif isinstance(event, EpochDone):
            self._close(event)

    def _keep(self, event: Event) -> None:
        if self.performance:
            values = {name: getattr(event, name) for name in type(event).__dataclass_fields__}
            self.told.append(Entry(len(self.told) + 1, moment(), type(event).__name__, values))

    def _step(self, event: StepDone) -> None:
        self._epoch.append(event)
        if self.gradients:
            self.norms.append(event.gradient_norm)
        if self.performance:
            self.steps.append(asdict(event))
            if self._file is not None:
                self._file.write(json.dumps(self.steps[-1]) + "\n")
                self._file.flush()
        if event.step % self.log_interval == 0:
            LOG.info(
                "epoch %d, step %d: loss %.4f, gradient %.4f, %d circuits",
                event.epoch - 1,
                event.step,
                event.loss,
                event.gradient_norm,
                event.circuits,
            )

    def _close(self, event: EpochDone) -> None:
        circuits, shots, seconds = self._before
        steps, taken = self._epoch, event.seconds - seconds
        self.history.append(
            TrainingMetrics(
                epoch=event.epoch - 1,
                loss=event.train_loss,
                accuracy=event.validation_accuracy,
                gradient_norm=sum(each.gradient_norm for each in steps) / max(1, len(steps)),
                learning_rate=event.learning_rate,
                circuit_execution_time_ms=1000 * taken / max(1, len(steps)),
                epoch_time_ms=1000 * taken,
                n_circuit_executions=event.circuits - circuits,
                validation_loss=event.validation_loss,
                shots=event.shots - shots,
            )
        )
        self._before, self._epoch = (event.circuits, event.shots, event.seconds), []


@dataclass
class Usage:
    """What the backends did over all trainings of a trainer.

    Attributes:
        backends: by name: circuits answered and failed. templates, bound: hits and misses of the two levels.
    """

    backends: dict[str, Counter[str]] = field(default_factory=dict)
    templates: Counter[str] = field(default_factory=Counter)
    bound: Counter[str] = field(default_factory=Counter)

    def add(self, site: Site) -> None:
        """Count what a place did; once, at its end."""
        for each in site.pool.standing() if site.pool is not None else ():
            own = self.backends.setdefault(each.name, Counter())
            own.update(answered=each.answered, failed=each.failed)
        for client in (site.clients or {}).values():
            for mine, theirs in ((self.templates, client.texts.templates), (self.bound, client.texts.bound)):
                mine.update(hits=theirs.hits, misses=theirs.misses)

    def lines(self) -> list[str]:
        """For people."""
        out = [
            f"  {name}: {each['answered']} circuits, {each['failed']} failed" for name, each in self.backends.items()
        ]
        for level, counted in (("structures", self.templates), ("bound circuits", self.bound)):
            total = counted["hits"] + counted["misses"]
            if total:
                out.append(f"  cache of {level}: {counted['hits']} hits of {total} ({counted['hits'] / total:.0%})")
        return out


def report(watcher: Watcher, usage: Usage, unfelt: Sequence[str] = ()) -> str:
    """Figures of all trainings, a line each; `unfelt` are names that nothing felt."""
    history, steps = watcher.history, watcher.steps
    circuits = sum(each.n_circuit_executions for each in history)
    seconds = sum(each.epoch_time_ms for each in history) / 1000
    lines = [
        f"epochs: {len(history)}, circuits: {circuits}",
        f"shots: {sum(each.shots for each in history)}, seconds: {seconds:.2f}",
    ]
    if seconds and circuits:
        lines.append(f"circuits a second: {circuits / seconds:.1f}")
    if history:
        lines.append(f"loss: {history[0].loss:.4f} to {history[-1].loss:.4f}")
    if not watcher.performance:
        lines.append("steps: not kept, as enable_performance_tracking is False")
    elif steps:
        lines.append(f"steps: {len(steps)}, the last with a gradient of {steps[-1]['gradient_norm']:.4f}")
    if watcher.told:
        lines += short(ledger(watcher.told))
    if unfelt:
        lines.append(f"without effect where these circuits ran: {', '.join(unfelt)}")
    return "\n".join([*lines, *usage.lines()])
