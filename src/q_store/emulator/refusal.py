"""A call that the service refuses, with the documented error body."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any


class Refusal(Exception):  # noqa: N818 - a reply, not a failure of the emulator
    """Becomes the reply of a call.

    Args:
        status: of HTTP.
        message: what was expected, what was got, the remedy.
        keys: what in the request has bad values.
        source: where they are.
        error: short name of the status; the standard one when empty.
    """

    def __init__(
        self, status: int, message: str, keys: Sequence[str] = (), source: str = "payload", error: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self._body: dict[str, Any] = {
            "statusCode": status,
            "error": error or HTTPStatus(status).phrase,
            "message": message,
        }
        if keys:
            self._body["validation"] = {"keys": list(keys), "source": source}

    @property
    def body(self) -> dict[str, Any]:
        """The reply."""
        return self._body


def no_job(name: str) -> Refusal:
    """For the name of a job that is not there."""
    return Refusal(
        404,
        f"expected the id of a job, got {name!r}; it was never accepted here, was deleted, or has been forgotten after "
        "many newer ones (the live service says the same for a key without access)",
    )
