"""Schedules: anything that changes over a run is a callable of the progress in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Callable

from q_store.errors import ConfigError, suggestion

Schedule = Callable[[float], float]


def constant(progress: float) -> float:  # noqa: ARG001
    """1."""
    return 1.0


def cosine(progress: float) -> float:
    """(1 + cos(pi progress)) / 2: from 1 to 0 (Loshchilov and Hutter, arXiv:1608.03983)."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def one_cycle(progress: float, warm_up: float = 0.3, first: float = 0.04, last: float = 4e-6) -> float:
    """From `first` up to 1 at `warm_up`, then down to `last`, both along a half cosine (Smith, arXiv:1803.09820)."""
    if progress < warm_up:
        return 1 + (first - 1) * cosine(progress / warm_up)
    return last + (1 - last) * cosine((progress - warm_up) / (1 - warm_up))


SCHEDULES: dict[str, Schedule] = {"constant": constant, "cosine": cosine, "one_cycle": one_cycle}


def schedule(name: str) -> Schedule:
    """The schedule of this name.

    Raises:
        ConfigError: for an unknown name.
    """
    try:
        return SCHEDULES[name]
    except KeyError:
        msg = f"expected a known schedule, got {name!r}{suggestion(name, SCHEDULES)}"
        raise ConfigError(msg) from None
