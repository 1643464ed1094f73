"""`q-store report`: one HTML page of a run that stands alone, and its charts as SVG and PNG files beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from q_store import __version__
from q_store.apps import ablation, summary
from q_store.apps.ablation import Ablation
from q_store.apps.again import address, command, unnamed
from q_store.apps.ledger_view import REST, job_lines
from q_store.apps.pages import save, save_pictures
from q_store.apps.pictures import charts, circuit
from q_store.apps.progress import plain
from q_store.apps.reading import WRONG, Reading, distorted, read
from q_store.apps.request import FASHION
from q_store.apps.run_folder import CIRCUIT as DRAWING
from q_store.apps.shelf import when
from q_store.apps.underway import underway
from q_store.circuits.draw import svg
from q_store.circuits.metrics import Metrics
from q_store.drawing import markup as html
from q_store.errors import QStoreError, RunError
from q_store.ledger import SHARES, Part

REPORT = "report.html"
CIRCUIT, ABLATION = "circuit", "ablation"
DECISIONS = 50
"""Decisions that are shown, the last ones."""


def report(
    run: Path, out: Path | None, pictures: Path | None, store: Path | None = None, others: Sequence[Path] = ()
) -> None:
    """Run the command; `others` are the runs of an ablation.

    Raises RunError for a run that is not there, damaged or of another version, ConfigError for a file that is no
    report or for a run held against itself, StorageError when the disk refuses.
    """
    with underway(f"reporting on {run.name}"):
        reading = read(run, store)
        found = ablation.asked(reading, others, store) if others else None
        file, folder = places(reading, out, pictures)
        page, drawn = built(reading, found)
        save(file, page)
        save_pictures(folder, drawn)
    console = Console()
    for remark in [*reading.remarks, *([ablation.keep(reading, found)] if found else [])]:
        if remark:
            plain(console, html.clean(remark))
    plain(console, f"{file}: the report; {len(drawn)} pictures, as SVG and PNG, in {folder}")


def places(run: Reading, out: Path | None, pictures: Path | None) -> tuple[Path, Path]:
    """Where the page goes, and its pictures."""
    file = out or run.folder.path / REPORT
    return file, pictures or file.with_name(f"{file.stem}-charts")


def built(run: Reading, found: Ablation | None = None) -> tuple[str, dict[str, str]]:
    """The page, and its pictures by name. Raises RunError where the result is not one.

    The ablation is the one that is found now, or that an earlier report kept.
    """
    try:
        drawn = charts(run)
        picture, about = _circuit(run)
        sections = [*_top(run), *_figures(run), html.figures(drawn.values()), *about, *_ledger(run), *_spent(run)]
    except WRONG as error:
        raise distorted(run.folder.path, error) from error
    compared, picture_of_it = _ablation(run, found)
    sections += [*compared, *_decisions(run), *_config(run), *_origin(run), *_again(run)]
    pictures = {**drawn, CIRCUIT: picture, ABLATION: picture_of_it}
    return html.page(f"{run.name}: report of a run", sections), {name: each for name, each in pictures.items() if each}


def _top(run: Reading) -> Iterable[str]:
    yield f"<h1>{html.text(run.title)}</h1>"
    at = "" if run.ended is None else f", last event {when(run.ended)}"
    yield html.paragraph(f"Run {run.name}{at}", "soft")
    for remark in run.remarks:
        yield html.paragraph(remark, "warn")


def _figures(run: Reading) -> Iterable[str]:
    if run.result:
        yield html.facts(summary.rows(run.result, run.details), "Result")
        yield html.paragraph(summary.verdict(run.result))
        yield html.paragraph(run.details["honest"])
        return
    rows = so_far(run)
    if rows:
        yield html.facts(rows, "Figures")


def so_far(run: Reading) -> list[tuple[str, str]]:
    """Figures of a run without a result: not finished, or the training of a program."""
    found = run.view.sections()["progress"]
    rows = []
    for name in ("step", "epoch"):
        of = f" of {found[f'{name}s']:,}" if found[f"{name}s"] else ""
        if found[name]:
            rows.append((name, f"{found[name]:,}{of}"))
    for name, title in (("train_accuracy", "training accuracy"), ("validation_accuracy", "validation accuracy")):
        if isinstance(found.get(name), int | float):
            rows.append((title, summary.percent(found[name])))
    return [*rows, *((name, f"{found[name]:,}") for name in ("parameters", "circuits", "shots") if found[name])]


def _circuit(run: Reading) -> tuple[str, list[str]]:
    """The drawing, and the section around it; a model that cannot be read is said there.

    A program keeps no model, and perhaps a drawing: a picture from elsewhere, which is shown as one and not as markup.
    """
    if run.program:
        drawn = run.folder.path / DRAWING
        return "", [html.heading("Circuit"), html.picture(drawn.read_bytes(), "Circuit")] if drawn.is_file() else []
    try:
        own, source = circuit(run)
    except QStoreError as error:
        said = str(error).replace(str(run.folder.path), run.name)
        return "", [html.heading("Circuit"), html.paragraph(f"Not drawn: {said}", "warn")]
    picture = svg(own)
    size = f"{own.n_qubits} qubits, {own.n_params} parameters, {own.n_features} features; {Metrics.of(own)}"
    return picture, [
        html.heading(f"Circuit, {source}"),
        html.paragraph(size, "soft"),
        html.wide(picture, "Circuit"),
        html.paragraph("θ are parameters, x features; each gate's whole angle is in its title. Digest: " + own.digest),
    ]


def _ledger(run: Reading) -> Iterable[str]:
    if run.ledger is None:
        return
    yield html.heading("Time")
    yield html.table(("backend", "seconds", *SHARES), _times([*run.ledger.backends, run.ledger.run]), "Time by backend")
    if run.ledger.stages:
        yield html.table(("stage", "seconds", *SHARES), _times(run.ledger.stages), "Time by stage")
    for line in job_lines(run.ledger):
        yield html.paragraph(line)
    yield html.paragraph(REST, "soft")
    if run.result:
        yield html.paragraph(summary.time_line(run.result, run.details))


def _times(parts: Iterable[Part]) -> Iterable[list[str]]:
    for part in parts:
        yield [part.name, f"{part.wall:,.3f}", *(_cell(part, name) for name in SHARES)]


def _cell(part: Part, name: str) -> str:
    seconds = part.seconds[name]
    return f"{seconds:,.3f} ({100 * seconds / part.wall:.0f} %)" if seconds and part.wall else "-"


def _spent(run: Reading) -> Iterable[str]:
    remote = run.result.get("remote")
    jobs = [] if run.ledger is None else run.ledger.jobs
    if remote is None and not jobs:
        return
    yield html.heading("Circuits and cost")
    if jobs:
        titles = ("backend", "jobs", "in vain", "circuits", "shots", "cost")
        yield html.table(
            titles,
            (
                (
                    j.member,
                    f"{j.jobs:,}",
                    f"{j.failed:,}",
                    f"{j.circuits:,}",
                    f"{j.shots:,}",
                    _money(j.cost, j.currency),
                )
                for j in jobs
            ),
            "Cost by backend",
        )
    if remote is not None:
        yield html.paragraph(f"What this process ran: {summary.remote_line(remote)}.")
        for line in remote["proof"]:
            yield html.paragraph(line, "soft")


def _money(cost: float, currency: str) -> str:
    return f"{cost:,.2f} {currency}".strip() if cost else "-"


def _ablation(run: Reading, found: Ablation | None) -> tuple[list[str], str]:
    """The section, and its picture; one that was kept and cannot be read is said there."""
    try:
        found = found or ablation.kept(run)
    except RunError as error:
        return [html.heading("Ablation"), html.paragraph(f"Not shown: {error}", "warn")], ""
    return ([], "") if found is None else (ablation.section(found), ablation.picture(found))


def _decisions(run: Reading) -> Iterable[str]:
    told = run.view.sections()["decisions"]
    last = told["last"][-DECISIONS:]
    if last:
        yield html.heading("Decisions")
        rows = [(when(each["time"]), each["text"]) for each in last]
        title = f"{told['all']:,} decisions" + (f", the last {len(last)}" if len(last) < told["all"] else "")
        yield html.folded(title, html.facts(rows, "Decisions"))


def _config(run: Reading) -> Iterable[str]:
    yield html.heading("What was asked for")
    asked = {name: value for name, value in run.request.items() if value is not None and name != "settings"}
    yield html.facts([(name, _shown(name, value)) for name, value in asked.items()], "What was asked for")
    settings = run.resolved.get("settings")
    if isinstance(settings, Mapping):
        rows = [(str(name), "-" if value is None else value) for name, value in settings.items()]
        yield html.folded("All settings of the training", html.facts(rows, "Settings"))


def _shown(name: str, value: Any) -> Any:
    """Without paths of this machine and what a URL may hide."""
    if name == "url":
        return address(str(value))
    return Path(str(value)).name if name in {"data", "pool"} and value not in FASHION else value


def _origin(run: Reading) -> Iterable[str]:
    machine = run.config.get("machine")
    machine = machine if isinstance(machine, Mapping) else {}
    versions = machine.get("versions")
    rows: list[tuple[str, object]] = [("q-store", run.config.get("q_store", "not recorded"))]
    if isinstance(versions, Mapping):
        rows += [(str(name), value) for name, value in versions.items() if value]
    rows += [
        (name, machine[key])
        for name, key in (
            ("system", "system"),
            ("processor", "processor"),
            ("cores", "cores"),
            ("memory, GB", "memory_gb"),
        )
        if machine.get(key)
    ]
    if not machine:
        rows.append(("machine", "not recorded by the q-store of the run"))
    rows.append(("seed", run.request.get("seed", "not recorded")))
    if not run.program:
        rows.append(("SHA-256 of the data", run.resolved.get("data_sha256", "not read yet")))
    if run.result:
        rows.append(("SHA-256 of the parameters", run.result.get("parameters_sha256")))
    rows.append(("report by", f"q-store {__version__}"))
    yield html.heading("Versions, seed and machine")
    yield html.facts(rows, "Versions, seed and machine")


def _again(run: Reading) -> Iterable[str]:
    yield html.heading("Do it again")
    if run.program:
        yield html.paragraph(f"This is the training of the program {run.program}: run that again.")
        return
    control = not run.result or run.result.get("classical_control") is not None
    yield html.code(command(run.config, control=control), "Command")
    if run.request.get("data") not in FASHION or run.request.get("pool"):
        yield html.paragraph("Files are named without their folders; the data are those of the SHA-256 above.", "soft")
    rest = unnamed(run.config)
    if rest:
        said = ", ".join(f"{name} = {value}" for name, value in rest.items())
        yield html.paragraph(f"The run was also given, by a file or names of TrainingConfig: {said}.")
