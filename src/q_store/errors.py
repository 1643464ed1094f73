"""The errors of q-store: one tree, every message says what was expected, what was got and the remedy.

QStoreError
├── InputError (also ValueError)       an argument, a file or data that cannot be used
│   ├── ShapeError                     an array of the wrong shape
│   ├── CircuitError                   a circuit, gate or observable that is not well formed
│   │   └── GateError                  a gate that is unknown or cannot be expressed in a target
│   ├── DataError                      a data set that is missing, damaged or unusable
│   └── ConfigError                    an option that is unknown, contradictory or out of range
├── CapabilityError                    a job that this backend cannot run; names one that can
├── BackendError                       a service that refused, failed or cannot be reached
│   ├── AuthenticationError            a key that is missing or that the service does not accept
│   ├── UnreachableError               no connection, or no usable answer in spite of retries
│   │   └── ThrottledError             it answers, and only that there are too many requests
│   ├── IncompleteError                rows without an answer: failed, or perhaps paid and not to be sent again
│   └── PausedError                    no backend works for now; what was received is kept, the run can be resumed
├── BudgetError                        a cap on money, shots, circuits or time leaves no room
├── RunError                           a run folder or checkpoint that is missing, damaged or of another run
├── StoreError                         a store that is damaged, too new, no store, or asked for what does not fit
└── StorageError (also OSError)        the disk refused: full, read-only, no permission
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class QStoreError(Exception):
    """Base of every error that q-store raises on purpose; the command line prints it as one line."""


class InputError(QStoreError, ValueError):
    """An argument that cannot be used."""


class ShapeError(InputError):
    """An array whose shape or type does not fit."""


class CircuitError(InputError):
    """A circuit, gate or observable that is not well formed."""


class GateError(CircuitError):
    """A gate that is unknown, or that a target cannot express."""


class DataError(InputError):
    """A data set that is missing, damaged or unusable."""


class ConfigError(InputError):
    """An option that is unknown, contradictory or out of range."""


class CapabilityError(QStoreError):
    """A job that this backend cannot run."""


class BackendError(QStoreError):
    """A service that refused or failed."""


class AuthenticationError(BackendError):
    """A key that is missing or not accepted."""


class UnreachableError(BackendError):
    """A service that gives no usable answer."""


class ThrottledError(UnreachableError):
    """A service that answers only that there are too many requests; `pause`: seconds that it asks to wait."""

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause


class IncompleteError(BackendError):
    """Rows without an answer."""


class PausedError(BackendError):
    """No backend works for now."""


class BudgetError(QStoreError):
    """A cap on money, shots, circuits or time leaves no room."""


class RunError(QStoreError):
    """A run folder or checkpoint that is missing, damaged, or belongs to another run."""


class StoreError(QStoreError):
    """A store that is damaged, too new or no store at all, or a ticket that is not ours to change."""


class StorageError(QStoreError, OSError):
    """The disk refused to keep something."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest known name, else the list of them."""
    names = sorted(known)
    lower = {each.lower(): each for each in reversed(names)}
    close = get_close_matches(name, names, n=1) or [lower[each] for each in get_close_matches(name.lower(), lower, n=1)]
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names)}"
