"""From the entries of a pool to its members: backends with their keys, prices and noise domains."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from q_store.apps import remote
from q_store.apps.place import IONQ, LOCAL
from q_store.apps.pool_file import AER, Entry
from q_store.apps.remote import Remote
from q_store.backends.ionq.client import IonQBackend
from q_store.backends.ionq.settings import IonQSettings
from q_store.errors import AuthenticationError, BackendError, ConfigError
from q_store.pool.membership import FREE, Member, Price
from q_store.store import Domain
from q_store.waiting import wait

_OPTIONS = ("priority", "max_slice", "max_in_flight", "max_age")
_GATES, _SHOTS = (40, 20), 1000
"""Of a typical circuit, to find a price where the service names none for gates."""


@dataclass(frozen=True)
class Crew:
    """The members of a pool, and by name the services that some of them are."""

    members: tuple[Member, ...]
    services: dict[str, Remote]


@contextmanager
def crew(entries: Sequence[Entry], more: Mapping[str, Mapping[str, Any]] | None = None) -> Iterator[Crew]:
    """The members for as long as the block lasts; `more` has options of `IonQSettings` by the name of the entry.

    Raises AuthenticationError for a missing key, ConfigError where two entries are the same, or a price is not known,
    CapabilityError for a simulator that is not installed.
    """
    services: dict[str, Remote] = {}
    clients: dict[str, IonQBackend] = {}
    try:
        for entry in entries:
            if entry.provider == IONQ:
                chosen = _settings(entry, (more or {}).get(entry.name, {}))
                _refuse_twin(entry.name, chosen, services)
                clients[entry.name] = client = IonQBackend(chosen, remote.transport())
                services[entry.name] = Remote(entry.place, chosen, client.service)
        yield Crew(tuple(_member(entry, services, clients) for entry in entries), services)
    finally:
        for client in clients.values():
            wait(client.aclose())


def _member(entry: Entry, services: dict[str, Remote], clients: dict[str, IonQBackend]) -> Member:
    given: dict[str, Any] = {name: value for name in _OPTIONS if (value := getattr(entry, name)) is not None}
    if entry.provider == IONQ:
        far, client = services[entry.name], clients[entry.name]
        price = _price(entry, far)
        if price.minimum:
            given.setdefault("max_in_flight", 1)  # every slice costs the minimum: few large ones
        return Member(
            name=entry.name,
            backend=client,
            provider=entry.charges,
            domain=domain(far.settings),
            price=price,
            probe=lambda: _probe(far),
            deadline=far.settings.longest,
            **given,
        )
    return _BUILDERS[entry.provider](entry, given)


def _local(entry: Entry, given: dict[str, Any]) -> Member:
    from q_store.backends.local.service import LocalService
    from q_store.models.trained import default_backend

    engine = default_backend()
    service = LocalService(engine)
    return Member(name=entry.name, backend=service, provider=entry.charges, recorded=False, at_once=engine, **given)


def _aer(entry: Entry, given: dict[str, Any]) -> Member:
    from q_store.backends.aer import AerBackend

    backend = AerBackend(entry.noise, entry.device or "CPU")
    return Member(name=entry.name, backend=backend, provider=entry.charges, recorded=False, **given)


_BUILDERS: dict[str, Callable[[Entry, dict[str, Any]], Member]] = {LOCAL: _local, AER: _aer}


def domain(settings: IonQSettings) -> Domain:
    """Where samples of a service may be shared: never between IonQ's machines and what stands in for them."""
    if settings.is_exact:
        return Domain(settings.noise_id)
    host = urlsplit(settings.url).netloc
    return Domain(settings.noise_id, f"{settings.backend} at {host}", f"gateset {settings.gateset}")


async def _probe(far: Remote) -> None:
    await far.service.backend(far.settings.backend)


def _settings(entry: Entry, more: Mapping[str, Any]) -> IonQSettings:
    key = None
    if entry.key_env is not None:
        key = os.environ.get(entry.key_env)
        if not key:
            raise AuthenticationError(
                f"expected the API key of {entry.name} in the environment variable {entry.key_env}, got none; set it, "
                "or name another one: key_env, key_file"
            )
    return remote.settings(entry.place, entry.key_file, **{"key": key, **more})


def _refuse_twin(name: str, chosen: IonQSettings, services: dict[str, Remote]) -> None:
    own = (chosen.url, chosen.backend, chosen.noise, chosen.gateset, chosen.key.get_secret_value())
    for other, far in services.items():
        theirs = far.settings
        if own == (theirs.url, theirs.backend, theirs.noise, theirs.gateset, theirs.key.get_secret_value()):
            raise ConfigError(
                f"expected members that differ in place or key, got the same key twice for the same target: {other} "
                f"and {name}; leave one out, or give it another key_env or target"
            )


def _price(entry: Entry, far: Remote) -> Price:
    """What the file says, else what the service says of itself: a machine without a price could not be reserved for."""
    if entry.price is not None:
        return entry.price
    if entry.place.free:
        return FREE
    one, two = _GATES
    asked = far.service.estimate(far.settings.backend, qubits=2, one_qubit=one, two_qubit=two, shots=_SHOTS)
    try:
        said = wait(asked)
    except AuthenticationError:
        raise
    except BackendError as error:
        raise type(error)(f"{error}; without the service give the price of {entry.name} in a pool file") from error
    currency = said.unit.upper() or "USD"
    if said.rates is not None:
        return Price(one=said.rates.one, two=said.rates.two, minimum=said.rates.minimum, currency=currency)
    if not said.cost:
        raise ConfigError(
            f"expected the service to say what {entry.name} costs, got nothing; give its price in a pool file, see "
            "docs/pool.md"
        )
    return Price(circuit=said.cost, currency=currency)
