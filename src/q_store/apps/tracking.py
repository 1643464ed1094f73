"""Trackers of a run: opened before its training, told what the run is and what was measured, also long after it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from q_store.apps.history import EVENTS, Entry, History, current
from q_store.apps.progress import plain
from q_store.apps.run_folder import CIRCUIT, CONFIG, CONFUSION, CURVE, RESULT, RunFolder
from q_store.apps.shelf import folder_of
from q_store.apps.underway import underway
from q_store.errors import ConfigError, RunError
from q_store.events import KINDS, RunDescribed, RunMeasured
from q_store.events.aside import Timed
from q_store.files import write_text
from q_store.trackers import MLflow, TensorBoard, Tracker
from q_store.trackers.choice import MLFLOW, Chosen, chosen
from q_store.trackers.mlflow import address
from q_store.trackers.tracker import hidden

TRACKED = "tracked.json"
"""Which run of which MLflow is that of this folder: one that goes on goes on there too."""
REPORT = "report.html"
SENT = (CONFIG, RESULT, REPORT, CIRCUIT, CONFUSION, CURVE)
"""Files of a run folder that MLflow gets, those that there are."""
PATHS = frozenset({"data", "pool"})
"""What was asked for by the path of a file: only its name goes elsewhere."""
PRIVATE = frozenset({"url", "settings"})
"""What does not go elsewhere: an address may hold a password; settings are told as they were resolved."""


@contextmanager
def tracked(
    folder: RunFolder, wanted: Sequence[Chosen], console: Console, *, again: bool = False
) -> Iterator[list[Tracker]]:
    """The trackers of the run in `folder`, open while the block lasts; says where they write.

    They know what was told of it before; where all of that is told `again`, MLflow gets a new run.

    Raises as `Chosen.opened`.
    """
    if not wanted:
        yield []
        return

    before = [] if again else _told(folder)
    with ExitStack() as stack:
        trackers = []
        for each in wanted:
            later = "" if again else f"; later: q-store track {folder.path} --to {hidden(each.text)}"

            def tell(text: str, later: str = later) -> None:
                with suppress(OSError, ValueError):  # nobody reads any more
                    console.print(Text(f"tracker {text}{later}"), soft_wrap=True)

            tracker = stack.enter_context(_opened(folder, each, tell, {} if again else _notes(folder)))
            tracker.recall(event for _, event in before)
            plain(console, f"tracking: {_where(tracker)}")
            trackers.append(tracker)
        try:
            yield trackers
        finally:
            with underway("telling trackers what is left", console=console):
                stack.close()


def track(run: Path, wanted: Sequence[str], store: Path | None) -> None:
    """`q-store track`: tell trackers a run that was, from what is in its folder.

    Raises RunError for a folder without events; others as `tracked`.
    """
    trackers = [chosen(each) for each in wanted]
    folder = RunFolder.find(folder_of(run, store))
    console = Console()
    told = _told(folder)
    if not told:
        raise RunError(f"expected a run with {EVENTS} at {folder.path}, got none; give a run that q-store train made")
    if not any(isinstance(event, RunDescribed) for _, event in told):  # an earlier version told nothing of it
        told.insert(0, (told[0][0], described(folder, folder.config)))
    if folder.finished and not any(isinstance(event, RunMeasured) for _, event in told):
        told.append((told[-1][0], measured(folder.result)))
    with tracked(folder, trackers, console, again=True) as opened:
        for tracker in opened:
            with underway(f"telling {tracker.name}", "events", len(told)) as tell:
                for done in tracker.replay(told):
                    tell(done)
    for tracker in opened:
        if tracker.failure:
            raise ConfigError(f"expected {tracker.name} to take the run, got: it {tracker.failure}")
    plain(console, f"{folder.path}: {len(told):,} events told")


def described(folder: RunFolder, config: Mapping[str, Any]) -> RunDescribed:
    """What the config of a run says, without keys and paths."""
    asked, resolved = config.get("request", {}), config.get("resolved", {})
    asked = {name: Path(str(value)).name if name in PATHS else value for name, value in asked.items()}
    settings = {f"settings.{name}": value for name, value in resolved.get("settings", {}).items()}
    rows = {f"rows.{name}": value for name, value in resolved.get("rows", {}).items()}
    parameters = {name: value for name, value in asked.items() if name not in PRIVATE} | settings | rows
    machine = config.get("machine", {})
    tags = {
        "q_store.version": config.get("q_store"),
        "q_store.seed": asked.get("seed"),
        "q_store.place": " ".join(str(asked[name]) for name in ("backend", "target", "noise") if asked.get(name)),
        "q_store.run": config.get("run"),
        "q_store.data_sha256": resolved.get("data_sha256"),
        "q_store.system": machine.get("system"),
        **{f"q_store.version.{name}": value for name, value in machine.get("versions", {}).items()},
    }
    return RunDescribed(folder.path.resolve().name, _texts(parameters), _texts(tags))


def measured(result: Mapping[str, Any]) -> RunMeasured:
    """What the result of a run says, as far as it is numbers."""
    accuracy, interval = result.get("accuracy") or {}, result.get("test_interval") or (None, None)
    control, remote = result.get("classical_control") or {}, result.get("remote") or {}
    figures = {
        **{f"{part}_accuracy": accuracy.get(part) for part in ("test", "validation", "train")},
        "test_low": interval[0],
        "test_high": interval[1],
        "control_accuracy": control.get("test_accuracy"),
        "control_parameters": control.get("parameters"),
        "remote_accuracy": remote.get("test_accuracy"),
        "parameters": sum((result.get("parameters") or {}).values()) or None,
        "seconds": (result.get("seconds") or {}).get("total"),
    }
    return RunMeasured({name: float(value) for name, value in figures.items() if isinstance(value, int | float)})


def _told(folder: RunFolder) -> list[Timed]:
    """What was told of a run, without what was done again."""
    entries = current(History(folder.path).read())
    return [(entry.time, _event(entry)) for entry in entries]


def _event(entry: Entry) -> Any:
    kind = KINDS[entry.kind]
    known = kind.__dataclass_fields__  # type: ignore[attr-defined]  # all of them are such classes
    values = {name: value for name, value in entry.values.items() if name in known}  # a later version may tell more
    return kind(**values)


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Without what is not there."""
    return {name: str(value) for name, value in values.items() if value not in {None, ""}}


def _opened(folder: RunFolder, wanted: Chosen, tell: Callable[[str], None], notes: Mapping[str, str]) -> Tracker:
    artifacts = [folder.path / name for name in SENT]
    run_id = notes.get(hidden(address(wanted.rest))) if wanted.kind == MLFLOW else None
    try:
        tracker = wanted.opened(folder.path, run_id=run_id, artifacts=artifacts, tell=tell)
    except ConfigError:
        if run_id is None:
            raise
        tracker = wanted.opened(folder.path, artifacts=artifacts, tell=tell)  # somebody has deleted that run
    if isinstance(tracker, MLflow):
        with suppress(OSError):  # then it will be another run of MLflow
            write_text(folder.path / TRACKED, json.dumps({**_notes(folder), tracker.uri: tracker.run_id}) + "\n")
    return tracker


def _notes(folder: RunFolder) -> dict[str, str]:
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads((folder.path / TRACKED).read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return {str(name): str(value) for name, value in found.items()}
    return {}


def _where(tracker: Tracker) -> str:
    if isinstance(tracker, TensorBoard):
        return f"curves in {tracker.directory}; see them with: tensorboard --logdir {tracker.directory.parent}"
    if isinstance(tracker, MLflow):
        return f"run {tracker.run_id} of MLflow at {tracker.uri}"
    return f"events to {tracker.name}"
