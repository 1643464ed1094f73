"""The moments of a run, shared out: who is on the way in each window, and whether circuits wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from q_store.ledger.parts import HERE, Span, Told
from q_store.ledger.windows import Window

Cell = dict[tuple[str, str], float]
"""Seconds by backend and share."""


def waits_of(told: Sequence[Told]) -> list[Span]:
    """While circuits wait to be answered, or the run is held."""
    asked: dict[int, float] = {}
    held: float | None = None
    spans: list[Span] = []
    for each in told:
        if each.kind == "CircuitsKnown" and each.values["lacking"]:
            asked[each.values["job"]] = each.values["at"]
        elif each.kind == "CircuitsDone" and each.values["job"] in asked:
            spans.append(Span(asked.pop(each.values["job"]), each.values["at"], HERE, "rest"))
        elif each.kind == "RunHeld":
            held = each.time
        elif each.kind == "RunReleased" and held is not None:
            spans.append(Span(held, each.time, HERE, "rest"))
            held = None
    return spans


def sweep(
    windows: Sequence[Window],
    spans: Sequence[Span],
    waits: Sequence[Span],
    cells: Sequence[Cell],
) -> None:
    """Share out every moment of the windows: what ends goes before what begins at the same time."""
    turns: list[tuple[float, int, _Turn]] = []
    for k, own in enumerate(windows):
        if own.end > own.begin:
            turns += [(own.begin, 2, _Turn(window=k)), (own.end, 0, _Turn(window=-1))]
    for span in spans:
        turns += [(span.begin, 1, _Turn(begins=span)), (span.end, 1, _Turn(ends=span))]
    for span in waits:
        turns += [(span.begin, 1, _Turn(waits=1)), (span.end, 1, _Turn(waits=-1))]
    turns.sort(key=lambda turn: turn[:2])
    active: dict[int, Span] = {}
    waiting, window, last = 0, -1, 0.0
    for at, _, turn in turns:
        if window >= 0 and at > last:
            _share_out(at - last, active.values(), cells[window], waits=waiting > 0)
        last, waiting = at, waiting + turn.waits
        window = window if turn.window is None else turn.window
        if turn.begins is not None:
            active[id(turn.begins)] = turn.begins
        active.pop(id(turn.ends), None)


@dataclass(frozen=True, slots=True)
class _Turn:
    """What changes at a moment."""

    window: int | None = None
    begins: Span | None = None
    ends: Span | None = None
    waits: int = 0


def _share_out(seconds: float, active: Iterable[Span], cell: Cell, *, waits: bool) -> None:
    """A moment: first what ran in this process, the rest of it to the jobs on their way, alike."""
    spans = list(active)
    here = [span for span in spans if span.weight < 1.0]
    away = [span for span in spans if span.weight == 1.0]
    left = seconds
    for span in here:
        used = min(left, span.weight * seconds)
        cell[span.member, span.share] = cell.get((span.member, span.share), 0.0) + used
        left -= used
    shared = away or [Span(0.0, 0.0, HERE, "rest" if waits and not here else "client")]
    for span in shared:
        cell[span.member, span.share] = cell.get((span.member, span.share), 0.0) + left / len(shared)
