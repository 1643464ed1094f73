"""Exact outputs: values, states, and gradients by the adjoint method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends.local.engine import Engine, unblock
from q_store.backends.local.program import Strings
from q_store.backends.local.programs import own_rows, row_sets, slices
from q_store.backends.local.unitary import UnitaryFirst, pays
from q_store.errors import ShapeError
from q_store.jobs import Job

Floats = npt.NDArray[Any]


def values(engine: Engine, job: Job, *, alone: bool = False) -> Floats:
    """Values [R, M]; with `alone` every row by itself: to the last bit independent of the rows beside it."""
    out = np.empty((job.rows, engine.width), dtype=engine.dtype)
    sets = [(own_rows(job, engine), True, slice(None))] if alone else row_sets(job, engine)
    for rows, own, place in sets:
        whole = len(rows) == len(out)
        part = out if whole else np.empty((len(rows), engine.width), dtype=engine.dtype)
        if not own and pays(engine, len(rows)):
            UnitaryFirst(engine, rows).values(part)
        else:
            for piece in slices(engine, len(rows), lanes=own):
                chosen = rows.part(piece)
                engine.forward(engine.angles(chosen, lanes=own), chosen, part[piece], keep=False)
        if not whole:
            out[place] = part
    return _weighted(engine, out)


def states(engine: Engine, job: Job) -> Floats:
    """Amplitudes [R, 2^n]."""
    out = np.empty((job.rows, engine.dim), dtype=np.result_type(engine.dtype, np.complex64))
    for rows, own, place in row_sets(job, engine):
        part = np.empty((len(rows), engine.dim), dtype=out.dtype)
        for piece in slices(engine, len(rows), lanes=own):
            chosen = rows.part(piece)
            re, im = engine.forward(engine.angles(chosen, lanes=own), chosen, None, keep=True)
            part.real[piece] = unblock(re, len(chosen), engine.dim)
            part.imag[piece] = unblock(im, len(chosen), engine.dim)
        out[place] = part
    return out


def vjp(engine: Engine, job: Job) -> tuple[Floats, Floats]:
    """Values [R, M], and the gradient [K, P] for the cotangents that the job's pullback makes of them."""
    sets = row_sets(job, engine)
    gradient = np.zeros(job.params.shape)
    rows, own, _ = sets[0]
    if len(sets) == 1 and not own and pays(engine, len(rows)):
        out = np.empty((job.rows, engine.width), dtype=engine.dtype)
        UnitaryFirst(engine, rows).vjp(out, _pullback(job), gradient)
        return out, gradient
    if len(sets) == 1 and len(slices(engine, len(rows), lanes=own)) == 1:
        # the usual batch: the states of the forward pass are still there for the backward pass
        raw = np.empty((job.rows, engine.width), dtype=engine.dtype)
        angles = engine.angles(rows, lanes=own)
        kept = engine.forward(angles, rows, raw, keep=True)
        out = _weighted(engine, raw)
        cotangents = _unweighted(engine, _pullback(job)(out))
        engine.backward(angles, rows, kept, cotangents, gradient)
        return out, gradient
    out = values(engine, job)
    cotangents = _unweighted(engine, _pullback(job)(out))
    for rows, own, place in sets:
        for piece in slices(engine, len(rows), lanes=own):
            chosen = rows.part(piece)
            angles = engine.angles(chosen, lanes=own)
            kept = engine.forward(angles, chosen, None, keep=True)
            pulled = np.ascontiguousarray(cotangents[place][piece])
            engine.backward(angles, chosen, kept, pulled, gradient)
    return out, gradient


def _weighted(engine: Engine, raw: Floats) -> Floats:
    readout = engine.program.readout
    if isinstance(readout, Strings):
        return np.asarray(readout.constant + raw @ readout.weights, dtype=engine.dtype)
    return raw


def _unweighted(engine: Engine, cotangents: Floats) -> Floats:
    readout = engine.program.readout
    if isinstance(readout, Strings):
        cotangents = cotangents @ readout.weights.T
    return np.ascontiguousarray(cotangents, dtype=engine.dtype)


def _pullback(job: Job) -> Callable[[Floats], Floats]:
    def checked(out: Floats) -> Floats:
        cotangents = np.asarray(job.pullback(out)) if job.pullback else out
        if cotangents.shape != out.shape:
            got = list(cotangents.shape)
            msg = f"expected cotangents of the values' shape {list(out.shape)} from the pullback, got {got}"
            raise ShapeError(msg)
        return cotangents

    return checked
