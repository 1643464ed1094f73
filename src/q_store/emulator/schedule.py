"""Who runs when: circuits of known length in the order of arrival over a fixed number of slots.

The whole future is known when a job arrives, so a booking holds times and no events are needed; only a cancellation
moves times, those of circuits that still wait. Pure: the time is an argument.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
SlotPer = Literal["circuit", "job"]


@dataclass(slots=True, eq=False)
class Booking:
    """The circuits of a job in the queue.

    Attributes:
        starts, ends: [S] seconds; of a canceled circuit meaningless but for `ends` where it was running.
        active: [S], False once canceled.
    """

    starts: Reals
    ends: Reals
    active: Bools

    @classmethod
    def at_once(cls, size: int, now: float) -> Booking:
        """Circuits that need no slot and no time."""
        return cls(np.full(size, float(now)), np.full(size, float(now)), np.ones(size, dtype=bool))


class Schedule:
    """First come, first served.

    Args:
        slots: how many circuits (or jobs) run at a time.
        seconds: a circuit's time.
        per: 'circuit': the circuits of a job spread over the slots; 'job': a job holds one slot and runs its circuits
            one after the other.
    """

    def __init__(self, slots: int, seconds: float, per: SlotPer = "circuit") -> None:
        self._slots = slots
        self._seconds = seconds
        self._per = per
        self._free = [0.0] * slots  # a heap: when each slot is free again
        self._open: list[Booking] = []

    def add(self, size: int, now: float) -> Booking:
        """Book `size` circuits that arrive now."""
        booking = Booking.at_once(size, now)
        self._place(booking, np.arange(size), now)
        if booking.ends.max(initial=now) > now:
            self._open.append(booking)
            if len(self._open) % 64 == 0:
                self._drop_finished(now)
        return booking

    def wait(self, now: float) -> float:
        """Seconds that a circuit that arrives now has to wait."""
        return max(0.0, self._free[0] - now)

    def cancel(self, canceled: Sequence[tuple[Booking, Bools]], now: float) -> None:
        """Take circuits out and move up those that wait behind them.

        Args:
            canceled: bookings with masks[S]; circuits that ended before `now` are not touched.
            now: a running circuit gives its slot back now.
        """
        for booking, mask in canceled:
            gone = mask & booking.active & (booking.ends > now)
            running = gone & (booking.starts <= now)
            booking.ends[running] = now
            booking.active &= ~gone
        self._drop_finished(now)
        self._plan_again(now)

    def _drop_finished(self, now: float) -> None:
        self._open = [each for each in self._open if (each.ends[each.active] > now).any()]

    def _plan_again(self, now: float) -> None:
        busy = [end for each in self._open for end in self._busy(each, now)]
        self._free = busy + [now] * (self._slots - len(busy))
        heapq.heapify(self._free)
        for each in self._open:
            waiting = np.flatnonzero(each.active & (each.starts > now))
            if not len(waiting):
                continue
            if self._per == "job" and self._has_begun(each, now):
                self._move_up(each, waiting, now)
            else:
                self._place(each, waiting, now)

    def _busy(self, booking: Booking, now: float) -> list[float]:
        """When the slots that a booking holds are free; a job that has begun keeps its slot to its end."""
        if self._per == "circuit":
            running = booking.active & (booking.starts <= now) & (booking.ends > now)
            return [float(end) for end in booking.ends[running]]
        if not self._has_begun(booking, now):
            return []
        waiting = booking.active & (booking.starts > now)
        return [self._current_end(booking, now) + self._seconds * int(waiting.sum())]

    @staticmethod
    def _has_begun(booking: Booking, now: float) -> bool:
        return bool(booking.starts.min() <= now)

    @staticmethod
    def _current_end(booking: Booking, now: float) -> float:
        running = booking.active & (booking.starts <= now)
        return float(booking.ends[running].max(initial=now))

    def _move_up(self, booking: Booking, waiting: npt.NDArray[np.intp], now: float) -> None:
        self._in_a_row(booking, waiting, self._current_end(booking, now))

    def _in_a_row(self, booking: Booking, which: npt.NDArray[np.intp], start: float) -> None:
        booking.starts[which] = start + self._seconds * np.arange(len(which))
        booking.ends[which] = booking.starts[which] + self._seconds

    def _place(self, booking: Booking, which: npt.NDArray[np.intp], now: float) -> None:
        if self._per == "job":
            start = max(now, self._free[0])
            self._in_a_row(booking, which, start)
            heapq.heapreplace(self._free, float(booking.ends[which[-1]]))
            return
        free, seconds = self._free, self._seconds
        starts = np.empty(len(which))
        for i in range(len(which)):
            starts[i] = start = max(now, free[0])
            heapq.heapreplace(free, start + seconds)
        booking.starts[which] = starts
        booking.ends[which] = starts + seconds
