"""What a request is refused with."""

from __future__ import annotations

import reprlib
from typing import Any

_TITLES = {400: "Bad Request", 413: "Payload Too Large"}


class WireError(Exception):
    """A request that cannot be served.

    Attributes:
        status: HTTP status, 400 or 413.
        error: its title.
        reason: what was expected, what was got and the remedy.
        keys: fields of the request that are at fault, e.g. `input.circuits[2].circuit[0].targets`; the first is the
            place that the message names.
        code: the failure code of a job that fails for it, such as UnsupportedGate, TooManyControls, NotEnoughQubits or
            InvalidInput; None for a request that makes no job.
    """

    def __init__(self, reason: str, *keys: str, status: int = 400, code: str | None = None) -> None:
        super().__init__(reason, *keys)
        self.status = status
        self.error = _TITLES[status]
        self.reason = reason
        self.keys = list(keys)
        self.code = code

    def __str__(self) -> str:
        return self.message

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"{self.keys[0]}: {self.reason}" if self.keys and self.keys[0] else self.reason

    def under(self, place: str) -> WireError:
        """The same refusal, its keys below a place of the request."""
        keys = (f"{place}.{key}" if key else place for key in self.keys)
        return WireError(self.reason, *keys, status=self.status, code=self.code)

    def body(self) -> dict[str, Any]:
        """The body of the reply."""
        out: dict[str, Any] = {"statusCode": self.status, "error": self.error, "message": self.message}
        if self.keys:
            out["validation"] = {"keys": self.keys, "source": "payload"}
        return out


def invalid(key: str, expected: str, got: Any, code: str | None = "InvalidInput") -> WireError:
    """A field that is not what it should be."""
    return WireError(f"expected {expected}, got {reprlib.repr(got)}", key, code=code)
