"""`q-store train`: make or reopen a run folder, train, measure, compare, write everything down."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from q_store import __version__
from q_store.apps.caps import parse
from q_store.apps.clock import Clock
from q_store.apps.configured import NAMED, configured
from q_store.apps.guard import INTERRUPTED, say
from q_store.apps.machine import machine
from q_store.apps.place import Place, check_place, known, only_remote
from q_store.apps.pool_place import PoolPlace
from q_store.apps.progress import MetricsWriter, busy, display, plain
from q_store.apps.record import Stake, named
from q_store.apps.request import COUNTS, DEFAULT_DATA, Request, Wishes, absolute, check, check_same, folder_name, stored
from q_store.apps.result import DETAILS, published
from q_store.apps.run_folder import CONFIG, RESULT, RUNS, RunFolder, fresh
from q_store.apps.shelf import folder_of
from q_store.errors import BudgetError, ConfigError, PausedError, RunError, StorageError
from q_store.events import Sink
from q_store.pool.settings import BUY, WAIT

if TYPE_CHECKING:  # they load SciPy
    from q_store.apps.assemble import Assembly
    from q_store.apps.far import Far
    from q_store.apps.watching import Watching
    from q_store.trackers.choice import Chosen

DASHBOARD_PORT = 8080


@dataclass(frozen=True, kw_only=True)
class Options(Wishes):
    """The command line of `q-store train`; None is what was not given."""

    model: str | None = None
    data: str | None = None
    seed: int | None = None
    backend: str | None = None
    target: str | None = None
    gateset: str | None = None
    noise: str | None = None
    url: str | None = None
    key_file: Path | None = None
    pool: Path | None = None
    store: Path | None = None
    budget: str | None = None
    lost: str | None = None
    yes: bool = False
    out: Path | None = None
    resume: Path | None = None
    json: bool = False
    control: bool = True
    config: Path | None = None
    words: tuple[str, ...] = ()
    named: Mapping[str, Any] | None = None
    dashboard: bool = False
    port: int | None = None
    track: tuple[str, ...] = ()

    @property
    def page(self) -> int | None:
        """The port of the dashboard; None without one."""
        return (DASHBOARD_PORT if self.port is None else self.port) if self.dashboard else None

    def given(self, kind: type[Request | Place]) -> dict[str, Any]:
        """Those that are fields of `kind` and were given."""
        found = {each.name: getattr(self, each.name, None) for each in fields(kind)}
        return {name: value for name, value in found.items() if value is not None}


def train(options: Options, clock: Clock) -> int:
    """Run the command; the exit code."""
    options = configured(options)
    check({name: getattr(options, name) for name in COUNTS}, options.seed)
    if options.port is not None and not options.dashboard:
        raise ConfigError(f"expected --port only with --dashboard, got --port {options.port}; add --dashboard")
    trackers = _trackers(options)
    console = Console(stderr=options.json)
    folder, request, new = _reopened(options) if options.resume else _started(options)
    try:
        finished = folder.finished
        if not finished:
            from q_store.apps.tracking import measured, tracked
            from q_store.apps.watching import shown, watched

            with (
                _resumable(folder, new=new) as stake,
                shown(folder, options.page, console),
                tracked(folder, trackers, console) as told,
                watched(folder, console, trackers=told) as watching,
            ):
                _run(folder, request, options, clock, console, stake=stake, watching=watching)
                watching.history(measured(folder.result))
        _report(folder, console, as_json=options.json, again=finished)
    except KeyboardInterrupt:  # `_resumable` has said so
        raise SystemExit(INTERRUPTED) from None
    finally:
        folder.close()
    return 0


def _trackers(options: Options) -> list[Chosen]:
    """Those that the options name. Raises ConfigError."""
    if not options.track:
        return []
    from q_store.trackers.choice import chosen

    return [chosen(each) for each in options.track]


def _started(options: Options) -> tuple[RunFolder, Request, bool]:
    """A new folder for what the options ask for."""
    if options.model is None:
        raise ConfigError("expected the name of a model, got none; 'q-store models' lists them: q-store train compact")
    given = {**options.given(Request), "data": absolute(DEFAULT_DATA if options.data is None else options.data)}
    request = Request(**given, place=_place(_asked(options), options))
    known_model(request.model)
    path = options.out or fresh(RUNS, folder_name(request))
    kept = named(options.store) if request.place.remote else {}
    config: dict[str, Any] = {"q_store": __version__, "machine": machine(), "request": request.config(), **kept}
    if options.named:
        config[NAMED] = dict(options.named)
    return RunFolder.create(path, config), request, True


def _asked(options: Options) -> Place | PoolPlace:
    """The place that the options name. Raises ConfigError."""
    if options.pool is None:
        return Place(**options.given(Place))
    for name in (*options.given(Place), *(["key_file"] if options.key_file else [])):
        option = f"--{name.replace('_', '-')}"
        raise ConfigError(f"expected --pool or {option}, got both; the file of the pool says it for each member")
    return PoolPlace.of(str(options.pool.resolve()))


def _reopened(options: Options) -> tuple[RunFolder, Request, bool]:
    """The folder to go on with, which the options must agree with; URL and file of the pool may have moved."""
    path = folder_of(options.resume or RUNS, options.store)
    folder = RunFolder.find(path)
    request = stored(folder.config, str(path / CONFIG), None if options.pool is None else str(options.pool.resolve()))
    given = {**options.given(Request), **options.given(Place), "data": options.data and absolute(options.data)}
    check_same(request, {name: value for name, value in given.items() if name != "url"}, str(path))
    if options.pool is not None and not isinstance(request.place, PoolPlace):
        raise ConfigError(f"expected --pool with the run of a pool, got it with {path}, a run by {request.place.title}")
    if isinstance(request.place, PoolPlace) and (options.url or options.key_file):
        raise ConfigError(f"expected --url and --key-file without a pool, got one with {path}; its file says them")
    if isinstance(request.place, Place):
        moved = replace(request.place, url=options.url or request.place.url)
        request = replace(request, place=_place(moved, options))
    if options.out is not None and options.out.resolve() != path.resolve():
        raise ConfigError(
            f"expected --resume or --out, got both; a run goes on in its own folder: leave out --out {options.out}"
        )
    folder.lock()
    folder.sweep()
    return folder, request, False


def _place(place: Place | PoolPlace, options: Options) -> Place | PoolPlace:
    """The place with its defaults written out, once it and the options around it are known to be usable."""
    if options.budget is not None:
        parse(options.budget)
    if options.lost is not None:
        known("--lost", options.lost, (WAIT, BUY))
    if isinstance(place, PoolPlace):
        return place
    if options.lost is not None:
        raise ConfigError("expected --lost only with --pool, got it without one: there is nobody else to buy from")
    check_place(place)
    if place.remote:
        return place.written_out()
    for name in ("key_file", "yes", "store", "budget"):
        only_remote(name, getattr(options, name))
    return place


def known_model(name: str) -> None:
    """Raise ConfigError when no model has this name."""
    from q_store.models import zoo

    zoo.definition(name)


@contextmanager
def _resumable(folder: RunFolder, *, new: bool) -> Iterator[Stake]:
    """Leave a new folder only when it is worth to go on with; say how to go on."""
    stake = Stake()
    try:
        yield stake
    except BaseException as error:
        if new and not folder.checkpoint.exists() and not stake.held:
            folder.discard()
            if isinstance(error, KeyboardInterrupt):
                say("interrupted before the first checkpoint; nothing is kept")
            raise
        remedy = f"go on with: q-store train --resume {folder.path}"
        if isinstance(error, KeyboardInterrupt):
            say(f"interrupted; {remedy}")
        elif isinstance(error, BudgetError):
            raise BudgetError(f"{error}; what was bought is kept, {remedy} --budget MORE") from error
        elif isinstance(error, StorageError | PausedError):
            raise type(error)(f"{error}; then {remedy}") from error
        raise


def _run(
    folder: RunFolder,
    request: Request,
    options: Options,
    clock: Clock,
    console: Console,
    *,
    stake: Stake,
    watching: Watching,
) -> None:
    if not request.place.remote:
        _through(folder, request, options, clock, console, watching=watching)
        return
    from q_store.apps.far import connected

    with connected(folder, request, options, console, stake, watching=watching) as far:
        _through(folder, request, options, clock, console, watching=watching, far=far)


def _through(
    folder: RunFolder,
    request: Request,
    options: Options,
    clock: Clock,
    console: Console,
    *,
    watching: Watching,
    far: Far | None = None,
) -> None:
    from q_store.apps.assemble import assemble, fetched
    from q_store.apps.measure import measure
    from q_store.apps.tracking import described
    from q_store.circuits.draw import svg

    fetched(request.data)
    with busy(console, f"{request.title}: reading the data, making the engine ready (the first time takes longest)"):
        parts = assemble(request, clock, far.tally if far else None)
    watching.meter(parts.meter)
    config = folder.config
    _check_data(config, parts, folder)
    folder.write_circuit(svg(parts.model.circuit))
    watching.history(described(folder, {**config, "request": request.config(), "resolved": parts.resolved()}))
    if request.recipe is not None:
        _by_recipe(folder, request, options, clock, console, parts=parts, far=far, watching=watching)
        return
    if far:
        from q_store.apps.outlook import announce

        announce(far.crew, request.place, parts, console, yes=options.yes)
    folder.write_config({**config, "request": request.config(), "resolved": parts.resolved()})
    with clock.stage("train"):
        _fit(folder, parts, console, request, [*([] if far is None else [far.sink]), *watching.sinks])
    parts.model.save(folder.model)
    with busy(console, "measuring" + (" and training the classical control" if options.control else "")):
        result = measure(folder, parts, request, clock, far.tally if far else None, control=options.control)
    folder.write_result(result)


def _by_recipe(
    folder: RunFolder,
    request: Request,
    options: Options,
    clock: Clock,
    console: Console,
    *,
    parts: Assembly,
    far: Far | None,
    watching: Watching,
) -> None:
    from q_store.apps import recipes
    from q_store.apps.outlook import accept, price_of_one

    run = recipes.prepared(folder, request, parts, far)
    each = None if far is None else price_of_one(far.crew, parts.model.circuit, run.task.shots)
    caps = None if far is None else far.caps
    recipes.announced(run, caps, each, console, watching.history)
    if far is not None:
        accept(request.place, run.total, each, yes=options.yes)
    folder.write_config({**folder.config, "request": request.config(), "resolved": parts.resolved()})
    result = recipes.trained(
        run, folder, request, parts, clock, control=options.control, console=console, watching=watching
    )
    folder.write_result(result)


def _check_data(config: dict[str, Any], parts: Assembly, folder: RunFolder) -> None:
    before = config.get("resolved", {}).get("data_sha256")
    if before not in (None, parts.data.digest):
        raise RunError(
            f"expected the data that {folder.path} was started with, got other contents of {parts.data.source}; "
            "restore them, or start a new run"
        )


def _fit(folder: RunFolder, parts: Assembly, console: Console, request: Request, sinks: Sequence[Sink]) -> None:
    from q_store.apps.seen import Seen

    metrics = MetricsWriter(folder)
    with display(console, request.model) as shown:
        parts.model.fit(
            *parts.part("train"),
            parts.part("validation"),
            sinks=[metrics, *shown, *sinks],
            checkpoint=folder.checkpoint,
            resume=True,
            validated=Seen(folder.path, parts.data, parts.chosen["validation"]),
        )
    if parts.model.result is not None:
        metrics.complete(parts.model.result.history)


def _report(folder: RunFolder, console: Console, *, as_json: bool, again: bool) -> None:
    from q_store.apps.summary import show

    result = folder.result
    try:
        figures = {**published(result), "run": str(folder.path)}
        if again:
            plain(console, f"{folder.path} is finished already; this is its result.")
        show(console, figures, result[DETAILS])
    except (KeyError, TypeError, ValueError) as error:
        where = folder.path / RESULT
        raise RunError(f"{where}: expected the figures of a run, got a file without {error}; train again") from error
    if as_json:
        print(json.dumps(figures), flush=True)  # noqa: T201  # the one thing on stdout
