"""The connection of a command to an IonQ-compatible service: settings with the key, and its calls beside jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from q_store.apps.place import Place
from q_store.backends.ionq.client import IonQBackend, Service
from q_store.backends.ionq.client.plan import family_of
from q_store.backends.ionq.settings import IDEAL, IonQSettings
from q_store.circuits.native import Family
from q_store.errors import AuthenticationError, CapabilityError, UnreachableError
from q_store.waiting import wait


@dataclass(frozen=True)
class Remote:
    """An open connection: where, how, and the calls beside jobs."""

    place: Place
    settings: IonQSettings
    service: Service

    @property
    def family(self) -> Family | None:
        """The native gates that are sent; None for general ones."""
        return family_of(self.settings) if self.settings.gateset == "native" else None

    def require(self, n_qubits: int) -> None:
        """See that the target exists and is large enough; nothing is submitted.

        Raises ConfigError for a target that there is not, CapabilityError for one that is too small, and
        UnreachableError.
        """
        found = wait(self.service.backend(self.settings.backend))
        if found.get("status") == "retired":
            raise UnreachableError(f"expected a target that takes jobs, got {self.settings.backend}, which is retired")
        given = found.get("qubits")
        most = min(self.settings.max_qubits, given if isinstance(given, int) else self.settings.max_qubits)
        if n_qubits > most:
            raise CapabilityError(
                f"expected at most the {most} qubits of {self.place.title}, got {n_qubits}; use fewer qubits or "
                "another target, see: q-store backends"
            )


def transport() -> httpx.AsyncBaseTransport | None:
    """What carries requests; None for the network. Tests put an emulator in its place."""
    return None


def settings(place: Place, key_file: Path | None, key: Any = None, **more: Any) -> IonQSettings:
    """The client's settings for a place; the key from a file, or from the environment. Raises AuthenticationError.

    `more` are further options of `IonQSettings`.
    """
    written = place.written_out()
    return IonQSettings.from_environment(
        key=key if key_file is None else _key(key_file),
        url=written.url,
        backend=written.target,
        gateset=written.gateset,
        noise=written.noise or IDEAL,
        **more,
    )


def _key(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        message = f"expected a file with an API key at {path}, got: {reason}; check --key-file"
        raise AuthenticationError(message) from None


@contextmanager
def connected(place: Place, key_file: Path | None) -> Iterator[Remote]:
    """A connection for as long as the block lasts."""
    chosen = settings(place, key_file)
    backend = IonQBackend(chosen, transport())
    try:
        yield Remote(place, chosen, backend.service)
    finally:
        wait(backend.aclose())
