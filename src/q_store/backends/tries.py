"""What a backend lets others hear of the tries of its calls, long before it gives a call up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from q_store.errors import QStoreError

Hear = Callable[[QStoreError | None], None]


class Tries:
    """Tells of each try of a call: None where the service answered as it should, else what went wrong.

    A `ThrottledError` is an answer too; after an UnreachableError the call may well be tried again.
    """

    def __init__(self) -> None:
        self._hear: list[Hear] = []

    def listen(self, hear: Hear) -> None:
        """Tell `hear` too, in the event loop of the calls, which wait for it."""
        self._hear.append(hear)

    def forget(self, hear: Hear) -> None:
        """Tell it no more."""
        self._hear.remove(hear)

    def __call__(self, error: QStoreError | None) -> None:
        """A try has ended."""
        for hear in tuple(self._hear):
            hear(error)


@runtime_checkable
class Trying(Protocol):
    """A backend whose calls may take many tries, and that tells of each."""

    @property
    def tries(self) -> Tries:
        """Tells of them."""
