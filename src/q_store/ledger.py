"""Where the time of a run went: job lives in, shares of the wall time out. Pure.

A life is a chain of moments, each a share of what lies before the next:

    begun -> written              client      choosing circuits, planning, writing them down as the service takes them
    written -> sent               rest        tries that were refused or throttled, and the waits between them
    sent -> accepted there        network
    accepted there -> started     queue       by the service's clock
    started -> finished           execution   by the service's clock
    finished -> asked             poll        until somebody looked
    asked -> fetched              network     the look that showed it, and the results
    fetched -> merged             client      (and on to `ended`)

Where the service says nothing of queue and execution, all between is `rest`. Its clock is put on ours as NTP does: it
accepted a job after we sent it and before we had its answer; the offset is in the middle of what all jobs of a backend
leave.

At every moment each job on its way counts alike: of n jobs each has 1/n of it; one that nobody waits for any more, as
another was faster, has none. When there is none, the time is `rest` while circuits wait all the same (for a member that
pauses, for others to bring them) or the run is held, else `client`. So the shares of a run sum to its wall time, those
of its steps and of its backends (with this machine as one) as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

SHARES = ("client", "network", "queue", "execution", "poll", "rest")
HERE = "this machine"
"""The backend of what is no remote job's."""
BEFORE, AFTER = "before", "after"
"""Names of what is before the first step, and after the last."""
_OURS = (("begun", "client"), ("written", "rest"), ("sent", "network"))
_BEHIND = (("asked", "network"), ("fetched", "client"))


class Told(Protocol):
    """An event with its time, as `apps.history.Entry` has it."""

    @property
    def time(self) -> float:
        """Seconds since 1970."""

    @property
    def kind(self) -> str:
        """Name of the event's class."""

    @property
    def values(self) -> Mapping[str, Any]:
        """Its fields."""


@dataclass(frozen=True, slots=True)
class Life:
    """A remote job: its member, times by our clock and by the service's (see `events.JobEnded`), and what it cost.

    `until`: when nobody waited for it any more, where that was before its end.
    """

    member: str
    times: Mapping[str, float]
    provider: Mapping[str, float] = field(default_factory=dict)
    state: str = "done"
    circuits: int = 0
    answered: int = 0
    shots_paid: int = 0
    cost: float = 0.0
    currency: str = ""
    until: float = math.inf


@dataclass(frozen=True, slots=True)
class Span:
    """A share of somebody's time: `weight` of each second between begin and end."""

    begin: float
    end: float
    member: str
    share: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a run.

    Attributes:
        name: of the backend, or the number of the step. seconds: of each of `SHARES`.
        began: seconds since 1970; None for a backend.
    """

    name: str
    seconds: Mapping[str, float]
    began: float | None = None

    @property
    def wall(self) -> float:
        """The sum."""
        return math.fsum(self.seconds.values())


@dataclass(frozen=True, slots=True)
class Sum:
    """What the jobs of a backend took, each for itself, however many ran at a time; `seconds` by share."""

    member: str
    jobs: int
    failed: int
    circuits: int
    shots: int
    cost: float
    currency: str
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Ledger:
    """Of a run: the whole, by backend, by step, and sums of jobs.

    Steps are named by their numbers, `finish 3` in the stage of that name; `before` the first and `after` the last.
    """

    run: Part
    backends: Sequence[Part]
    steps: Sequence[Part]
    jobs: Sequence[Sum]

    def body(self, *, steps: bool = False) -> dict[str, Any]:
        """As JSON."""

        def part(each: Part) -> dict[str, Any]:
            return {"seconds": round(each.wall, 6), **{name: round(s, 6) for name, s in each.seconds.items()}}

        body: dict[str, Any] = part(self.run)
        body["backends"] = {each.name: part(each) for each in self.backends}
        body["jobs"] = {
            each.member: {
                "jobs": each.jobs,
                "failed": each.failed,
                "circuits": each.circuits,
                "shots": each.shots,
                "cost": each.cost,
                "currency": each.currency,
                **{name: round(s, 6) for name, s in each.seconds.items()},
            }
            for each in self.jobs
        }
        if steps:
            body["steps"] = [{"step": each.name, "began": each.began, **part(each)} for each in self.steps]
        return body


def ledger(entries: Iterable[Told]) -> Ledger:
    """The ledger of a run from its events, in order."""
    told = list(entries)
    lives = _lives(told)
    spans, sums = _spans(lives)
    spans += [_local(each.values) for each in told if each.kind == "JobsRun"]
    windows, waits = _windows(told), _waits(told)
    cells: list[dict[tuple[str, str], float]] = [{} for _ in windows]
    _sweep(windows, spans, waits, cells)
    backends: dict[str, dict[str, float]] = {}
    for cell in cells:
        for (member, share), seconds in cell.items():
            own = backends.setdefault(member, dict.fromkeys(SHARES, 0.0))
            own[share] += seconds
    steps = [Part(name, _by_share(cell), begin) for (name, begin, _), cell in zip(windows, cells, strict=True)]
    whole = {share: math.fsum(own[share] for own in backends.values()) for share in SHARES}
    names = sorted(backends, key=lambda name: (name == HERE, name))
    return Ledger(Part("run", whole), [Part(name, backends[name]) for name in names], steps, sums)


def life(values: Mapping[str, Any]) -> Life:
    """The life that a `JobEnded` tells of."""
    names = ("member", "state", "circuits", "answered", "shots_paid", "cost", "currency")
    times, provider = _times(values["times"]), _times(values["provider"])
    return Life(times=times, provider=provider, **{name: values[name] for name in names if name in values})


def _times(values: Mapping[str, Any]) -> dict[str, float]:
    """Those that are times."""
    return {str(n): float(at) for n, at in values.items() if isinstance(at, int | float) and math.isfinite(at)}


def _lives(told: Sequence[Told]) -> list[Life]:
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
    end = max(each.times.get("ended", 0.0), each.times.get("merged", 0.0), marks[-1][0] if marks else 0.0)
    return _end_to_end(each.member, marks, end)


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


def _spans(lives: Sequence[Life]) -> tuple[list[Span], list[Sum]]:
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


def _local(values: Mapping[str, Any]) -> Span:
    """Whole jobs in this process: so much of their time was in the backend."""
    begin, end = values["began"], values["ended"]
    weight = min(1.0, values["seconds"] / (end - begin)) if end > begin else 0.0
    return Span(begin, end, values["member"], "execution", weight)


def _windows(told: Sequence[Told]) -> list[tuple[str, float, float]]:
    """(name, begin, end) of the steps and of what is between them, one behind the other; processes apart."""
    windows: list[tuple[str, float, float]] = []
    begin: float | None = None
    last, stage = 0.0, ""
    for each in told:
        if begin is None or each.kind == "ProcessStarted":
            if begin is not None and last > begin:
                windows.append((AFTER, begin, last))
            begin = each.time
        last = max(each.time, begin)
        if each.kind == "RunStarted" and last > begin:
            windows.append((BEFORE, begin, last))
            begin = last
        if each.kind == "StageStarted":
            stage = "finish " if each.values["stage"] == "finish" else ""
        if each.kind == "StepDone":
            windows.append((f"{stage}{each.values['step']}", begin, last))
            begin = last
    if begin is not None and last > begin:
        windows.append((AFTER, begin, last))
    return windows


def _waits(told: Sequence[Told]) -> list[Span]:
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


def _sweep(
    windows: Sequence[tuple[str, float, float]],
    spans: Sequence[Span],
    waits: Sequence[Span],
    cells: Sequence[dict[tuple[str, str], float]],
) -> None:
    """Share out every moment of the windows: what ends goes before what begins at the same time."""
    turns: list[tuple[float, int, _Turn]] = []
    for k, (_, begin, end) in enumerate(windows):
        if end > begin:
            turns += [(begin, 2, _Turn(window=k)), (end, 0, _Turn(window=-1))]
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


def _share_out(seconds: float, active: Iterable[Span], cell: dict[tuple[str, str], float], *, waits: bool) -> None:
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


def _by_share(cell: Mapping[tuple[str, str], float]) -> dict[str, float]:
    seconds = dict.fromkeys(SHARES, 0.0)
    for (_, share), own in cell.items():
        seconds[share] += own
    return seconds
