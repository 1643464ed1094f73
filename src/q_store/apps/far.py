"""A training beyond this machine: the pool that runs its circuits, behind it the store, in front of it what counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from q_store.apps.caps import parse
from q_store.apps.members import Crew, crew
from q_store.apps.pool_place import PoolPlace, entries
from q_store.apps.record import Stake, named, recorded
from q_store.apps.request import Request
from q_store.apps.run_folder import RunFolder
from q_store.apps.tally import Tally
from q_store.apps.untold import tell_untold
from q_store.events import Event, PoolBought, PoolPaused, PoolResumed, Sink
from q_store.pool.pool import Pool
from q_store.pool.settings import PoolSettings
from q_store.store import Caps
from q_store.waiting import wait

if TYPE_CHECKING:
    from q_store.apps.train import Options
    from q_store.apps.watching import Watching

ALONE = PoolSettings()
"""How a service decides that is no pool."""


@dataclass(frozen=True)
class Far:
    """What a remote training runs on: who is in the pool, the pool as an executor that counts, what notes events.

    Those in `listeners` hear the pool while they are there.
    """

    crew: Crew
    tally: Tally
    sink: Sink
    caps: Caps | None = None
    listeners: list[Sink] = field(default_factory=list)


@contextmanager
def connected(
    folder: RunFolder, request: Request, options: Options, console: Console, stake: Stake, *, watching: Watching
) -> Iterator[Far]:
    """The pool of a run for as long as the block lasts, with its record in the store, watched.

    Raises as `members.crew` and `record.recorded`.
    """
    place = request.place
    config = {**named(options.store), **folder.config}
    if options.store is not None:
        config["store"] = str(options.store.resolve())
    with (
        crew(entries(place, options.key_file)) as found,
        recorded(folder, config, request.name, request.seed, stake) as record,
    ):
        folder.write_config(config)
        tell_untold(folder.path, record.store, record.run, watching.history)
        listeners: list[Sink] = []
        pool = Pool(
            found.members,
            record.store,
            record.run,
            settings=_settings(request, options),
            budget=_caps(request, options),
            first_job=record.first_job,
            sinks=[_said(console), watching.history, _relay(listeners)],
        )
        watching.budget(_caps(request, options))
        try:
            own = record.sink(lambda: pool.next_job)
            yield Far(found, Tally(pool), own, _caps(request, options).get(None), listeners)
        finally:
            wait(pool.aclose())


def _relay(sinks: list[Sink]) -> Sink:
    """Hands events on to those that are in the list then."""

    def hand_on(event: Event) -> None:
        for sink in tuple(sinks):
            sink(event)

    return hand_on


def _settings(request: Request, options: Options) -> PoolSettings:
    """Of the pool's file, and of the command line, which goes before it."""
    settings = request.place.file.settings if isinstance(request.place, PoolPlace) else ALONE
    return settings if options.lost is None else replace(settings, lost=options.lost)


def _caps(request: Request, options: Options) -> dict[str | None, Caps]:
    """Of the pool's file, and of the command line, which goes before it; what the store has already stays."""
    caps = dict(request.place.file.budget) if isinstance(request.place, PoolPlace) else {}
    return caps if options.budget is None else {**caps, None: parse(options.budget)}


def _said(console: Console) -> Sink:
    """Says on the console that the pool waits, goes on, or buys again; also above a live display."""

    def say(event: Event) -> None:
        if isinstance(event, PoolPaused):
            console.print(Text(f"paused: {event.reason} (at most {event.patience:.0f} s)"), soft_wrap=True)
        if isinstance(event, PoolResumed):
            console.print(Text(f"going on after {event.seconds:.0f} s"), soft_wrap=True)
        if isinstance(event, PoolBought):
            console.print(Text(f"buying {event.circuits} circuits again: {event.reason}"), soft_wrap=True)

    return say
