"""What was accepted and what was charged, kept small enough for millions of circuits."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
ODD = np.uint64(0x9E3779B97F4A7C15)


def digest(*parts: object) -> int:
    """64 bits of a hash of the parts' texts."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def row_digests(prefix: str, rows: npt.NDArray[Any]) -> Hashes:
    """[S], 64 bits of a hash of the prefix and each of rows[S, A]."""
    start = hashlib.blake2b(prefix.encode(), digest_size=8)
    out = bytearray()
    for row in np.ascontiguousarray(rows):
        each = start.copy()
        each.update(row)
        out += each.digest()
    return np.frombuffer(bytes(out), dtype=np.uint64)


def distinguish(contents: Hashes) -> Hashes:
    """The hashes, with equal ones told apart by their rank: a job may hold a circuit more than once on purpose."""
    order = np.argsort(contents, kind="stable")
    ordered = contents[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    place = np.arange(len(contents))
    rank = np.empty(len(contents), dtype=np.uint64)
    rank[order] = place - np.maximum.accumulate(np.where(first, place, 0))
    return contents + rank * ODD


class Repeats:
    """Counts hashes that were seen before. Eight bytes a hash: sorted arrays, merged now and then."""

    def __init__(self) -> None:
        self._seen: Hashes = np.zeros(0, dtype=np.uint64)
        self._new: list[Hashes] = []
        self._waiting = 0
        self._count = 0

    def add(self, hashes: Hashes) -> None:
        """See them."""
        self._new.append(hashes)
        self._waiting += len(hashes)
        if self._waiting > max(65_536, len(self._seen) // 4):
            self._merge()

    @property
    def count(self) -> int:
        """How many of all hashes added were not the first of their kind."""
        self._merge()
        return self._count

    def _merge(self) -> None:
        if not self._waiting:
            return
        everything = np.concatenate([self._seen, *self._new])
        everything.sort(kind="stable")
        first = np.concatenate([[True], everything[1:] != everything[:-1]])
        self._count += len(everything) - int(first.sum())
        self._seen, self._new, self._waiting = everything[first], [], 0


@dataclass(slots=True)
class Ledger:
    """Sums over everything since the start; nothing is ever taken out.

    Attributes:
        jobs, circuits: accepted, children not counted as jobs.
        charged: circuits that completed; those of simulators count, and cost nothing.
        usd: charges.
        events: how many calls came, by fault that hit them, and how many jobs and children were hit.
    """

    jobs: int = 0
    circuits: int = 0
    charged: int = 0
    usd: float = 0.0
    events: Counter[str] = field(default_factory=Counter)
    _contents: Repeats = field(default_factory=Repeats)
    _sent: Repeats = field(default_factory=Repeats)

    def accept(self, circuits: int) -> None:
        """A job was accepted."""
        self.jobs += 1
        self.circuits += circuits

    def charge(self, contents: Hashes, fingerprint: int, usd: float) -> None:
        """Circuits of a job completed.

        Args:
            contents: what was run, where and how often, a hash for each circuit.
            fingerprint: hash of the job's name and metadata.
            usd: their price.
        """
        self.charged += len(contents)
        self.usd += usd
        self._contents.add(contents)
        self._sent.add((contents ^ np.uint64(fingerprint)) * ODD)

    def note(self, *events: str) -> None:
        """Count events."""
        self.events.update(events)

    def summary(self, jobs: Iterable[dict[str, Any]] | None = None) -> dict[str, Any]:
        """The ledger as JSON.

        `circuits_charged_twice` counts charged circuits whose content (gates, angles, backend, shots) was charged in an
        earlier job already; `circuits_charged_twice_by_fingerprint` those of jobs with the same name and metadata too:
        the same job sent again. Copies within one job are meant and not counted.
        """
        out: dict[str, Any] = {
            "accepted_jobs": self.jobs,
            "accepted_circuits": self.circuits,
            "charged_circuits": self.charged,
            "charges_usd": round(self.usd, 9),
            "circuits_charged_twice": self._contents.count,
            "circuits_charged_twice_by_fingerprint": self._sent.count,
            "events": dict(sorted(self.events.items())),
        }
        if jobs is not None:
            out["jobs"] = list(jobs)
        return out
