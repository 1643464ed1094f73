"""A job on its way through the pool: which circuits are still to be measured, what came, and the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from q_store.backends.base import Missing
from q_store.backends.distributions import Distributions
from q_store.backends.expansion import Expansion
from q_store.backends.local.sampling import sample
from q_store.jobs import Job, Outcome, Status
from q_store.store import EXACT, Measured, Source, pooled

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Paid:
    """What a job was charged, and what the services say that they ran."""

    shots: int = 0
    cost: float = 0.0
    proof: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Lacking:
    """Circuits that are to be measured.

    Attributes:
        numbers: [S], of the expansion.
        shots: [S], still missing; None where the job asks for exact values.
        have: [S], shots that there are.
    """

    numbers: Ints
    shots: Ints | None
    have: Ints

    def take(self, places: Ints) -> Lacking:
        """Some of them."""
        shots = None if self.shots is None else self.shots[places]
        return Lacking(self.numbers[places], shots, self.have[places])


@dataclass(eq=False)
class Work:
    """A job in progress. Only one circuit of those that are the same is measured: the first.

    Attributes:
        job, expansion: as asked. first: [size], for each circuit the one that is measured in its place.
    """

    job: Job
    expansion: Expansion
    first: Ints
    _parts: list[tuple[Ints, Measured]] = field(default_factory=list)
    _gaps: dict[int, Missing] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._have = np.zeros(self.expansion.size, np.int64)
        self._sources = np.zeros(self.expansion.size, np.int64)
        self._names: dict[Source, int] = {Source(NOBODY, ""): 0}
        given = self.expansion.shots
        self._asked: Ints | None = None
        if given is not None:
            asked = np.tile(given, len(self.expansion.plan.settings))
            self._asked = np.zeros(len(asked), np.int64)
            np.maximum.at(self._asked, self.first, asked)

    @property
    def n_qubits(self) -> int:
        """Measured in every circuit."""
        return self.job.circuit.n_qubits

    @property
    def noise_ids(self) -> list[str]:
        """Of what came so far."""
        return list(dict.fromkeys(source.noise_id for source in self._names if source.backend != NOBODY))

    def receive(self, numbers: Ints, measured: Measured, source: Source) -> None:
        """Circuits were measured; rows without an answer are left out, shots are added to those that there are."""
        came = np.flatnonzero(measured.shots != 0)
        if not len(came):
            return
        own, part = numbers[came], measured.take(came)
        self._parts.append((own, part))
        exact = (part.shots == EXACT) | (self._have[own] == EXACT)
        self._have[own] = np.where(exact, EXACT, self._have[own] + part.shots)
        self._sources[own] = self._names.setdefault(source, len(self._names))

    def give_up(self, numbers: Ints, gap: Missing) -> None:
        """Circuits will have no answer; those that were answered all the same keep theirs."""
        for number in numbers[~self.settled[numbers]].tolist():
            self._gaps.setdefault(number, gap)

    @property
    def settled(self) -> Flags:
        """[size], whether a circuit has all that is asked of it."""
        exact = self._have == EXACT
        done: Flags = exact if self._asked is None else exact | (self._have >= self._asked)
        return done

    def lacking(self, among: Ints | None = None) -> Lacking:
        """What is still to be measured; of circuits that were not given up."""
        wanted = self.first == np.arange(len(self.first))
        wanted &= ~self.settled
        wanted[list(self._gaps)] = False
        numbers = np.flatnonzero(wanted) if among is None else among[wanted[among]]
        have = np.maximum(self._have[numbers], 0)
        return Lacking(numbers, None if self._asked is None else self._asked[numbers] - have, have)

    def outcome(self, paid: Paid, seconds: float) -> Outcome:
        """The outcome of the job."""
        measured = pooled(self._parts, self.expansion.size, self.n_qubits)
        own = measured.only(self.settled).take(self.first)
        exact = own.shots == EXACT
        shots = self.expansion.shots
        drawn = 0
        if shots is not None:
            every = np.tile(shots, len(self.expansion.plan.settings))
            drawn = int(every[exact].sum())  # counted like the local engine's
            own = fitted(own, every, self.job.seed)
        return self.expansion.outcome(
            own.distributions,
            self._missing(),
            sampled=~exact,
            sample=lambda probabilities, each, seed: sample(probabilities, each, seed, 1),
            source=self._source(),
            noise_id=", ".join(self.noise_ids),
            shots_paid=paid.shots + drawn,
            cost=paid.cost,
            seconds=seconds,
            proof=paid.proof,
        )

    def _missing(self) -> Mapping[int, Missing]:
        lost = np.flatnonzero(~self.settled[self.first])
        unknown = Missing(Status.FAILED, "no answer")
        return {number: self._gaps.get(int(self.first[number]), unknown) for number in lost.tolist()}

    def _source(self) -> str | tuple[str, ...]:
        """Who measured: one name, or one for each row of the job; several are joined."""
        names = [source.backend for source in self._names]
        own = self._sources[self.first]
        used = np.unique(own)
        if len(used) == 1:
            return names[int(used[0])]
        circuits = own.reshape(len(self.expansion.plan.settings), self.job.rows, self.expansion.each)
        rows = circuits.transpose(1, 0, 2).reshape(self.job.rows, -1)
        return tuple("+".join(dict.fromkeys(names[k] for k in row)) for row in rows.tolist())


def fitted(measured: Measured, asked: Ints, seed: int) -> Measured:
    """With no more shots than asked[S]: others are drawn from without replacement, by (seed, row)."""
    many = np.flatnonzero(measured.counted & (measured.shots > asked))
    if not len(many):
        return measured
    own = measured.distributions
    weight, shots = own.weight.copy(), measured.shots.copy()
    for r in many.tolist():
        entries = slice(own.start[r], own.start[r + 1])
        counts = np.rint(own.weight[entries] * shots[r]).astype(np.int64)
        source = np.random.default_rng([seed & (2**64 - 1), r, len(counts)])
        weight[entries] = source.multivariate_hypergeometric(counts, int(asked[r]), method="marginals") / asked[r]
        shots[r] = asked[r]
    return Measured.of(Distributions(own.n_qubits, own.start, own.state, weight), shots)
