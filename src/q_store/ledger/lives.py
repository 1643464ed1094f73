"""Lives of jobs as chains of shares, on one clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from q_store.ledger.parts import SHARES, Life, Span, Sum, Told

_OURS = (("begun", "client"), ("written", "rest"), ("sent", "network"))
_BEHIND = (("asked", "network"), ("fetched", "client"))


def life(values: Mapping[str, Any]) -> Life:
    """The life that a `JobEnded` tells of."""
    names = ("member", "state", "circuits", "answered", "shots_paid", "cost", "currency")
    times, provider = _times(values["times"]), _times(values["provider"])
    return Life(times=times, provider=provider, **{name: values[name] for name in names if name in values})


def _times(values: Mapping[str, Any]) -> dict[str, float]:
    """Those that are times."""
    return {str(n): float(at) for n, at in values.items() if isinstance(at, int | float) and math.isfinite(at)}


def lives_of(told: Sequence[Told]) -> list[Life]:
    """Of all jobs, each until its circuits were there."""
    done: dict[int, list[float]] = {}
    for each in told:
        if each.kind == "CircuitsDone":
            done.setdefault(each.values["job"], []).append(each.values["at"])
    lives = []
    for each in told:
        if each.kind == "JobEnded":
            one = life(each.values)
            ends = done.get(each.values["job"], [])
            begun = min(one.times.values(), default=0.0)
            lives.append(replace(one, until=next((at for at in ends if at >= begun), math.inf)))
    return lives


def chain(each: Life, offset: float) -> list[Span]:
    """The spans of a life, end to end; `offset` is our clock less the service's."""
    marks = [(each.times[name], share) for name, share in _OURS if name in each.times]
    there = {name: at + offset for name, at in each.provider.items()}
    if "accepted" in each.times:
        accepted = there.get("accepted", each.times["accepted"])
        if "started" not in there:
            marks += [(each.times["accepted"], "rest")]
        elif "finished" in there:
            marks += [(accepted, "queue"), (there["started"], "execution"), (there["finished"], "poll")]
        else:
            marks += [(accepted, "queue"), (there["started"], "rest")]
    elif marks and "sent" in each.times:
        marks[-1] = (marks[-1][0], "rest")  # it never arrived, as far as we know
    marks += [(each.times[name], share) for name, share in _BEHIND if name in each.times]
    return _end_to_end(each.member, marks, max(each.times.values())) if marks else []


def _end_to_end(member: str, marks: Sequence[tuple[float, str]], end: float) -> list[Span]:
    """Spans between marks; one that is before an earlier one (clocks err) counts as at its time."""
    spans, last = [], -math.inf
    times = [last := max(last, min(at, end)) for at, _ in marks]
    for (begin, until), (_, share) in zip(zip(times, [*times[1:], end], strict=True), marks, strict=True):
        if until > begin:
            spans.append(Span(begin, until, member, share))
    return spans


def offsets(lives: Sequence[Life]) -> list[float]:
    """Our clock less the service's, for each life: in the middle of what the jobs of its member so far leave."""
    latest: dict[str, _Bounds] = {}
    own: list[_Bounds | None] = []
    for each in lives:
        at, sent, accepted = each.provider.get("accepted"), each.times.get("sent"), each.times.get("accepted")
        if at is not None and sent is not None and accepted is not None:
            bounds = latest.get(each.member)
            if bounds is None or not bounds.narrowed(sent - at, accepted - at):
                latest[each.member] = _Bounds(sent - at, accepted - at)
        own.append(latest.get(each.member))
    return [0.0 if bounds is None else (bounds.low + bounds.high) / 2 for bounds in own]


@dataclass(slots=True)
class _Bounds:
    """What jobs leave of the distance between two clocks."""

    low: float
    high: float

    def narrowed(self, low: float, high: float) -> bool:
        """Take in one more; False where it contradicts the others, as after one of the clocks was set."""
        low, high = max(self.low, low), min(self.high, high)
        if low > high:
            return False
        self.low, self.high = low, high
        return True


def spans_of(lives: Sequence[Life]) -> tuple[list[Span], list[Sum]]:
    """All spans, and the sums of each member."""
    spans: list[Span] = []
    own: dict[str, list[Life]] = {}
    seconds: dict[str, dict[str, float]] = {}
    for each, offset in zip(lives, offsets(lives), strict=True):
        own.setdefault(each.member, []).append(each)
        total = seconds.setdefault(each.member, dict.fromkeys(SHARES, 0.0))
        for span in chain(each, offset):
            total[span.share] += span.end - span.begin
            if span.begin < each.until:
                spans.append(replace(span, end=min(span.end, each.until)))
    sums = [
        Sum(
            member,
            len(jobs),
            sum(job.state != "done" for job in jobs),
            sum(job.answered for job in jobs),
            sum(job.shots_paid for job in jobs),
            round(math.fsum(job.cost for job in jobs), 9),
            next((job.currency for job in jobs if job.currency), ""),
            seconds[member],
        )
        for member, jobs in own.items()
    ]
    return spans, sums


def local(values: Mapping[str, Any]) -> Span:
    """Whole jobs in this process: so much of their time was in the backend."""
    begin, end = values["began"], values["ended"]
    weight = min(1.0, values["seconds"] / (end - begin)) if end > begin else 0.0
    return Span(begin, end, values["member"], "execution", weight)
