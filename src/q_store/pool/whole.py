"""Which jobs a member runs as a whole, in the caller, instead of slice by slice. Pure, as all that decides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from q_store.jobs import Job, Output
from q_store.pool.members import Member, Needs

_QUICK = 50_000_000
"""Amplitudes that gates touch, and shots that are drawn."""


def at_once(job: Needs, able: Sequence[Member], now: float) -> str | None:
    """Who runs a job as a whole; None: it is shared out in slices.

    What cannot be measured runs as a whole in any case. What can, only where nobody else could help, or where it takes
    less time than to ask those who are not preferred; and only on a member that works and has a free place: else it
    waits with the others until somebody does, and probes find out.

    Args:
        job: what it asks.
        able: who may run it, in order of preference, all else equal.
        now: the time.
    """
    whole = [member for member in able if job.output in member.spec.whole]
    if not whole:
        return None
    first = min(whole, key=_rank) if len(whole) > 1 else whole[0]
    if all(job.output in member.spec.sliced for member in able):
        if not (first.works and first.free(now)):
            return None
        if len(able) > 1 and (_rank(min(able, key=_rank)) < _rank(first) or not job.quick):
            return None
    return first.spec.name


def _rank(member: Member) -> tuple[float, float]:
    return member.spec.rank


def needs_of(job: Job) -> Needs:
    """What a job asks of a member."""
    circuit, shots = job.circuit, 0 if job.shots is None else int(np.max(job.shots))
    circuits = job.rows * (2 * circuit.n_params if job.output is Output.SHIFTED else 1)
    each = len(circuit.ops) * 2**circuit.n_qubits + shots
    return Needs(circuit.n_qubits, job.output, not shots, circuits * each < _QUICK)
