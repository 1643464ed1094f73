"""Where a configuration runs circuits: the engine here, one service, or a pool of the members that it lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from q_store.apps.legacy.orchestrator import members
from q_store.apps.legacy.settings import client
from q_store.apps.members import crew
from q_store.apps.place import IONQ, Place
from q_store.apps.pool_file import AER, Entry
from q_store.backends.ionq.client import IonQBackend
from q_store.config import MemberConfig, TrainingConfig
from q_store.events import Sink
from q_store.jobs import AnyExecutor
from q_store.models.trained import default_backend
from q_store.pool.membership import Member
from q_store.pool.pool import PATIENCE, Pool
from q_store.store import Store


@dataclass(frozen=True)
class Site:
    """An open place: what runs jobs, the pool where there is one, and the clients in it, by the names of members."""

    executor: AnyExecutor
    pool: Pool | None = None
    clients: dict[str, IonQBackend] | None = None


@contextmanager
def opened(config: TrainingConfig, backend: Any = None, sinks: Sequence[Sink] = ()) -> Iterator[Site]:
    """The place of a configuration, or of a backend that takes its place, for as long as the block lasts.

    `sinks` hear what its pool does; a pool that was handed over has its own. Whoever is in an event loop closes the
    pool in it first (`Pool.aclose`).

    Raises:
        AuthenticationError: for a missing key. ConfigError: for two members that are the same. CapabilityError: for a
            simulator that is not installed.
    """
    if backend is not None:
        yield _given(config, backend, sinks)
        return
    chosen = entries(config)
    if not chosen:
        yield Site(default_backend())
        return
    paid = [entry for entry, _ in chosen if not entry.free]
    with ExitStack() as open_things:
        found = open_things.enter_context(
            crew([each for each, _ in chosen], {each.name: more for each, more in chosen})
        )
        store = None
        if paid:  # what is bought must outlive this process
            store = open_things.enter_context(closing(_store(config.training.checkpoint_directory)))
        clients = {each.name: each.backend for each in found.members if isinstance(each.backend, IonQBackend)}
        pool = Pool([_limited(each, config) for each in found.members], store, patience=_patience(config), sinks=sinks)
        yield Site(pool, pool, clients)


def entries(config: TrainingConfig) -> list[tuple[Entry, dict[str, Any]]]:
    """Members as a pool file names them, each with options of its client; none for the engine here alone."""
    backends = config.backends
    if backends.members:
        listed = backends.members
    elif backends.provider == "local" and not backends.several:
        return []
    else:
        listed = (_single(config),)
    return [_entry(each, k, config) for k, each in enumerate(listed)]


def _single(config: TrainingConfig) -> MemberConfig:
    """The member that `quantum_sdk` is."""
    backends = config.backends
    if backends.provider == IONQ:
        return MemberConfig(
            provider="ionq", target=backends.target, api_key=backends.api_key, noise=backends.noise, url=backends.url
        )
    return MemberConfig(provider="local", simulator="qiskit_aer" if backends.provider == AER else "q_store")


def _entry(each: MemberConfig, number: int, config: TrainingConfig) -> tuple[Entry, dict[str, Any]]:
    name = each.name or f"{each.kind}-{number + 1}"
    if each.kind != IONQ:
        aer = each.kind == AER
        return Entry(
            name, each.kind, Place(), device=each.device if aer else None, noise=each.noise if aer else None
        ), {}
    gateset = "native" if config.submission.native else "qis"
    place = Place(IONQ, each.target, gateset, each.noise, each.url).written_out()
    return Entry(name, IONQ, place), {"key": each.api_key, **client(config)}


def _limited(member: Member, config: TrainingConfig) -> Member:
    submission = config.submission
    return replace(member, max_slice=submission.largest, max_in_flight=submission.at_once)


def _patience(config: TrainingConfig) -> float:
    wanted = config.submission.queue_timeout
    return PATIENCE if wanted is None else wanted


def _given(config: TrainingConfig, backend: Any, sinks: Sequence[Sink]) -> Site:
    """A backend that was handed over: as it is where it runs jobs, else as the member of a pool."""
    engine = getattr(getattr(getattr(backend, "member", None), "backend", None), "engine", None)
    if engine is not None or hasattr(backend, "run"):
        return Site(engine or backend)
    if isinstance(backend, Pool):
        return Site(backend, backend)
    found = [_limited(each, config) for each in members([backend])]
    pool = Pool(found, patience=_patience(config), sinks=sinks)
    return Site(pool, pool, {each.name: each.backend for each in found if isinstance(each.backend, IonQBackend)})


def _store(folder: Path) -> Store:
    """The store of a training, beside its checkpoints."""
    folder.mkdir(parents=True, exist_ok=True)
    return Store(folder / "q-store.db")
