"""`q-store train`: make or reopen a run folder, train, measure, compare, write everything down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from q_store import __version__
from q_store.apps.clock import Clock
from q_store.apps.guard import INTERRUPTED, say
from q_store.apps.progress import MetricsWriter, busy, display, plain
from q_store.apps.request import DEFAULT_DATA, Request, absolute, check, check_same, folder_name, stored
from q_store.apps.result import DETAILS, published
from q_store.apps.run_folder import CONFIG, RESULT, RunFolder, fresh
from q_store.errors import ConfigError, RunError, StorageError

if TYPE_CHECKING:  # it loads SciPy
    from q_store.apps.assemble import Assembly

RUNS = Path("runs")
"""Where run folders go that are given no place."""


@dataclass(frozen=True)
class Options:
    """The command line of `q-store train`; None is what was not given."""

    model: str | None = None
    data: str | None = None
    epochs: int | None = None
    seed: int | None = None
    out: Path | None = None
    resume: Path | None = None
    json: bool = False
    control: bool = True


def train(options: Options, clock: Clock) -> int:
    """Run the command; the exit code."""
    check(options.epochs, options.seed)
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
    data = absolute(DEFAULT_DATA if options.data is None else options.data)
    request = Request(options.model, data, options.epochs, options.seed or 0)
    known_model(request.model)
    path = options.out or fresh(RUNS, folder_name(request))
    return RunFolder.create(path, {"q_store": __version__, "request": request.config()}), request, True


def _reopened(options: Options) -> tuple[RunFolder, Request, bool]:
    """The folder to go on with, which the options must agree with."""
    path = options.resume or RUNS
    folder = RunFolder.find(path)
    request = stored(folder.config, str(path / CONFIG))
    given = {
        "model": options.model,
        "data": options.data and absolute(options.data),
        "epochs": options.epochs,
        "seed": options.seed,
    }
    check_same(request, given, str(path))
    if options.out is not None and options.out.resolve() != path.resolve():
        raise ConfigError(
            f"expected --resume or --out, got both; a run goes on in its own folder: leave out --out {options.out}"
        )
    folder.lock()
    folder.sweep()
    return folder, request, False


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
    from q_store.apps.assemble import assemble

    with busy(console, f"{request.title}: reading the data, making the engine ready (the first time takes longest)"):
        parts = assemble(request, clock)
    config = folder.config
    _check_data(config, parts, folder)
    folder.write_config({**config, "resolved": parts.resolved()})
    with clock.stage("train"):
        _fit(folder, parts, console, request)
    parts.model.save(folder.model)
    with busy(console, "measuring" + (" and training the classical control" if options.control else "")):
        from q_store.apps.measure import measure

        result = measure(folder, parts, request, clock, control=options.control)
    folder.write_result(result)


def _check_data(config: dict[str, Any], parts: Assembly, folder: RunFolder) -> None:
    before = config.get("resolved", {}).get("data_sha256")
    if before not in (None, parts.data.digest):
        raise RunError(
            f"expected the data that {folder.path} was started with, got other contents of {parts.data.source}; "
            "restore them, or start a new run"
        )


def _fit(folder: RunFolder, parts: Assembly, console: Console, request: Request) -> None:
    train_part, validation = parts.data.train, parts.data.validation
    metrics = MetricsWriter(folder)
    with display(console, request.model) as shown:
        parts.model.fit(
            parts.encoded["train"],
            train_part.y,
            (parts.encoded["validation"], validation.y),
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
