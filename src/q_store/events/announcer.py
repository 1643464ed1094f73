"""Hands events to those who watch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

from q_store.errors import StorageError, StoreError
from q_store.events.pool import PoolEvent
from q_store.events.recipes import RecipeEvent
from q_store.events.run import RunEvent
from q_store.events.training import TrainingEvent

Event = TrainingEvent | RecipeEvent | PoolEvent | RunEvent
Sink = Callable[[Event], None]


class Announcer:
    """Hands events to sinks in order. A sink that raises is warned about once, dropped, and never stops the run.

    What must be kept and cannot be ends it: StorageError and StoreError pass through, as do KeyboardInterrupt and the
    like. `if announcer:` is false when nobody listens, so that the caller need not even build the event.

    Args:
        sinks: the callables, called in the thread of the run.
    """

    def __init__(self, sinks: Iterable[Sink] = ()) -> None:
        self._sinks = list(sinks)

    def __bool__(self) -> bool:
        return bool(self._sinks)

    def __call__(self, event: Event) -> None:
        """Hand one event to every sink."""
        for sink in tuple(self._sinks):
            try:
                sink(event)
            except (StorageError, StoreError):
                raise
            except Exception as error:  # noqa: BLE001  # a watcher must not end hours of training
                self._sinks.remove(sink)
                name = getattr(sink, "__qualname__", type(sink).__name__)
                warnings.warn(
                    f"the event sink {name} failed on {type(event).__name__} and gets no further events: {error!r}",
                    RuntimeWarning,
                    stacklevel=2,
                )
