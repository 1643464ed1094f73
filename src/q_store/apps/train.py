"""`q-store train`: make or reopen a run folder, train, measure, compare, write everything down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from q_store import __version__
from q_store.apps.clock import Clock
from q_store.apps.guard import INTERRUPTED, say
from q_store.apps.place import Place, check_place, only_remote
from q_store.apps.progress import MetricsWriter, busy, display, plain
from q_store.apps.request import COUNTS, DEFAULT_DATA, Request, absolute, check, check_same, folder_name, stored
from q_store.apps.result import DETAILS, published
from q_store.apps.run_folder import CONFIG, RESULT, RunFolder, fresh
from q_store.errors import ConfigError, RunError, StorageError

if TYPE_CHECKING:  # it loads SciPy
    from q_store.apps.assemble import Assembly
    from q_store.apps.remote import Remote

RUNS = Path("runs")
"""Where run folders go that are given no place."""


@dataclass(frozen=True)
class Options:
    """The command line of `q-store train`; None is what was not given."""

    model: str | None = None
    data: str | None = None
    epochs: int | None = None
    seed: int | None = None
    rows: int | None = None
    batch_size: int | None = None
    shots: int | None = None
    finish: int | None = None
    backend: str | None = None
    target: str | None = None
    gateset: str | None = None
    noise: str | None = None
    url: str | None = None
    key_file: Path | None = None
    yes: bool = False
    out: Path | None = None
    resume: Path | None = None
    json: bool = False
    control: bool = True

    def given(self, kind: type[Request | Place]) -> dict[str, Any]:
        """Those that are fields of `kind` and were given."""
        found = {each.name: getattr(self, each.name, None) for each in fields(kind)}
        return {name: value for name, value in found.items() if value is not None}


def train(options: Options, clock: Clock) -> int:
    """Run the command; the exit code."""
    check({name: getattr(options, name) for name in COUNTS}, options.seed)
    console = Console(stderr=options.json)
    folder, request, new = _reopened(options) if options.resume else _started(options)
    try:
        finished = folder.finished
        if not finished:
            with _resumable(folder, new=new):
                _run(folder, request, options, clock, console)
        _report(folder, console, as_json=options.json, again=finished)
    except KeyboardInterrupt:  # `_resumable` has said so
        raise SystemExit(INTERRUPTED) from None
    finally:
        folder.close()
    return 0


def _started(options: Options) -> tuple[RunFolder, Request, bool]:
    """A new folder for what the options ask for."""
    if options.model is None:
        raise ConfigError("expected the name of a model, got none; 'q-store models' lists them: q-store train compact")
    given = {**options.given(Request), "data": absolute(DEFAULT_DATA if options.data is None else options.data)}
    request = Request(**given, place=_place(Place(**options.given(Place)), options))
    known_model(request.model)
    path = options.out or fresh(RUNS, folder_name(request))
    return RunFolder.create(path, {"q_store": __version__, "request": request.config()}), request, True


def _reopened(options: Options) -> tuple[RunFolder, Request, bool]:
    """The folder to go on with, which the options must agree with; the service may have moved to another URL."""
    path = options.resume or RUNS
    folder = RunFolder.find(path)
    request = stored(folder.config, str(path / CONFIG))
    given = {**options.given(Request), **options.given(Place), "data": options.data and absolute(options.data)}
    check_same(request, {name: value for name, value in given.items() if name != "url"}, str(path))
    request = replace(request, place=_place(replace(request.place, url=options.url or request.place.url), options))
    if options.out is not None and options.out.resolve() != path.resolve():
        raise ConfigError(
            f"expected --resume or --out, got both; a run goes on in its own folder: leave out --out {options.out}"
        )
    folder.lock()
    folder.sweep()
    return folder, request, False


def _place(place: Place, options: Options) -> Place:
    """The place with its defaults written out, once it is known to be usable."""
    check_place(place)
    if place.remote:
        return place.written_out()
    only_remote("key-file", options.key_file)
    only_remote("yes", options.yes)
    return place


def known_model(name: str) -> None:
    """Raise ConfigError when no model has this name."""
    from q_store.models import zoo

    zoo.definition(name)


@contextmanager
def _resumable(folder: RunFolder, *, new: bool) -> Iterator[None]:
    """Leave a new folder only when it is worth to go on with; say how to go on."""
    try:
        yield
    except BaseException as error:
        if new and not folder.checkpoint.exists():
            folder.discard()
            if isinstance(error, KeyboardInterrupt):
                say("interrupted before the first checkpoint; nothing is kept")
            raise
        remedy = f"go on with: q-store train --resume {folder.path}"
        if isinstance(error, KeyboardInterrupt):
            say(f"interrupted; {remedy}")
        elif isinstance(error, StorageError):
            raise StorageError(f"{error}; then {remedy}") from error
        raise


def _run(folder: RunFolder, request: Request, options: Options, clock: Clock, console: Console) -> None:
    if not request.place.remote:
        _through(folder, request, options, clock, console)
        return
    from q_store.apps.remote import connected

    with connected(request.place, options.key_file) as far:
        _through(folder, request, options, clock, console, far=far)


def _through(
    folder: RunFolder, request: Request, options: Options, clock: Clock, console: Console, *, far: Remote | None = None
) -> None:
    from q_store.apps.assemble import assemble
    from q_store.apps.measure import measure

    with busy(console, f"{request.title}: reading the data, making the engine ready (the first time takes longest)"):
        parts = assemble(request, clock, far.tally if far else None)
    config = folder.config
    _check_data(config, parts, folder)
    if far:
        from q_store.apps.outlook import announce

        announce(far, parts, console, yes=options.yes)
    folder.write_config({**config, "request": request.config(), "resolved": parts.resolved()})
    with clock.stage("train"):
        _fit(folder, parts, console, request)
    parts.model.save(folder.model)
    with busy(console, "measuring" + (" and training the classical control" if options.control else "")):
        result = measure(folder, parts, request, clock, far.tally if far else None, control=options.control)
    folder.write_result(result)


def _check_data(config: dict[str, Any], parts: Assembly, folder: RunFolder) -> None:
    before = config.get("resolved", {}).get("data_sha256")
    if before not in (None, parts.data.digest):
        raise RunError(
            f"expected the data that {folder.path} was started with, got other contents of {parts.data.source}; "
            "restore them, or start a new run"
        )


def _fit(folder: RunFolder, parts: Assembly, console: Console, request: Request) -> None:
    metrics = MetricsWriter(folder)
    with display(console, request.model) as shown:
        parts.model.fit(
            *parts.part("train"),
            parts.part("validation"),
            sinks=[metrics, *shown],
            checkpoint=folder.checkpoint,
            resume=True,
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
