"""The backends of a run, from its events: how each stands, what it did in time, what it was paid."""

from __future__ import annotations

from collections import deque
from typing import Any

from q_store.apps.dashboard.lanes import Lanes
from q_store.apps.history import Entry
from q_store.events.wording import plain
from q_store.ledger import Life, chain, life, offsets

SHOWN = ("health", "rate", "latency", "in_flight", "window", "answered", "failed")
AWAY = frozenset({"paused", "probing", "barred"})
"""Health of a member that gets no jobs."""
FAILING = "failing"
"""Health of one that gets none until its latest call is answered, which may be at once."""
NEAR = 64
"""Jobs of a member by which its clock is put on ours."""
OPEN = 64
"""Jobs on their way that are shown of a member."""
PROVEN = 50
"""Different proofs that are shown."""
_STATE = {"queue": "queued", "execution": "running"}


class Crew:
    """Takes in what a pool tells."""

    def __init__(self) -> None:
        self.lanes = Lanes()
        self._members: dict[str, dict[str, Any]] = {}
        self._open: dict[str, tuple[str, str, float]] = {}
        self._away: dict[str, float] = {}
        """Since when a member does not answer."""
        self._broken: set[str] = set()
        """Those of them that are out of reach: of a call that failed once no trace is left."""
        self._lives: dict[str, deque[Life]] = {}
        self._proofs: dict[str, int] = {}

    def take(self, entry: Entry) -> None:
        """Take in an event."""
        match entry.kind:
            case "MemberChanged":
                self._changed(entry)
            case "JobBuilt":
                self._open[entry.values["slice"]] = (entry.values["member"], "sending", entry.values["at"])
                self._member(entry.values["member"])
            case "JobMoved":
                stage = "queued" if entry.values["stage"] == "accepted" else "running"
                self._open[entry.values["slice"]] = (entry.values["member"], stage, entry.values["at"])
            case "JobEnded":
                self._ended(entry)
            case "JobsRun":
                self._ran(entry)
            case "ProcessStarted" | "ProcessEnded":  # whatever was on its way is another process' now
                self._open.clear()
                self._close_away(entry.time)

    def sections(self) -> dict[str, Any]:
        """As JSON."""
        jobs: dict[str, list[list[Any]]] = {}
        for member, stage, since in self._open.values():
            jobs.setdefault(member, []).append([stage, since])
        members = [
            {"name": name, **own, "jobs": jobs.get(name, [])[:OPEN], "away": self._away.get(name)}
            for name, own in sorted(self._members.items())
        ]
        return {
            "members": members,
            "proofs": [[text, count] for text, count in self._proofs.items()],
        }

    def _member(self, name: str) -> dict[str, Any]:
        return self._members.setdefault(
            name, {"cost": 0.0, "currency": "", "jobs_ended": 0, "jobs_failed": 0, "circuits": 0, "shots_paid": 0}
        )

    def _changed(self, entry: Entry) -> None:
        values, name = entry.values, str(entry.values["member"])
        own = self._member(name)
        own.update({key: values[key] for key in SHOWN})
        own["reason"] = plain(values["reason"])
        at = float(values["at"])
        if values["health"] in AWAY | {FAILING}:
            self._away.setdefault(name, at)
            if values["health"] in AWAY:
                self._broken.add(name)
        else:
            self._back(name, at)

    def _back(self, name: str, at: float) -> None:
        since = self._away.pop(name, at)
        if name in self._broken:
            self._broken.discard(name)
            self.lanes.add(name, "paused", since, max(at, since))

    def _close_away(self, at: float) -> None:
        for name in list(self._away):
            self._back(name, at)

    def _ended(self, entry: Entry) -> None:
        values = entry.values
        self._open.pop(values["slice"], None)
        own, one = self._member(values["member"]), life(values)
        failed = values["state"] in {"failed", "uncertain"} or (values["state"] == "done" and not one.answered)
        own["jobs_ended"] += values["state"] != "left"  # that one ends in another process
        own["jobs_failed"] += failed
        own["circuits"] += one.answered
        own["cost"] += one.cost
        own["shots_paid"] += one.shots_paid
        own["currency"] = one.currency or own["currency"]
        for text in values.get("proof") or ():
            known = plain(text)
            if known in self._proofs or len(self._proofs) < PROVEN:
                self._proofs[known] = self._proofs.get(known, 0) + 1
        near = self._lives.setdefault(one.member, deque(maxlen=NEAR))
        near.append(one)
        for span in chain(one, offsets(near)[-1]):
            if span.share != "rest":  # nothing of it was there
                self.lanes.add(one.member, _STATE.get(span.share, "sending"), span.begin, span.end)
        if failed:
            at = max(one.times.values(), default=entry.time)
            self.lanes.count(one.member, "failed", at)

    def _ran(self, entry: Entry) -> None:
        values = entry.values
        own = self._member(values["member"])
        own["jobs_ended"] += values["jobs"]
        own["circuits"] += values["rows"]
        begin, end = float(values["began"]), float(values["ended"])
        if end > begin:
            weight = min(1.0, values["seconds"] / (end - begin))
            self.lanes.add(values["member"], "running", begin, end, weight)
