"""`q-store compare`: runs side by side, what sets them apart, and whether the difference is more than chance."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from q_store.apps.again import address
from q_store.apps.pages import save
from q_store.apps.pictures import HELD_OUT, by_circuits, percent
from q_store.apps.progress import clock_time, plain
from q_store.apps.reading import WRONG, Reading, distorted, figure, read
from q_store.apps.request import FASHION
from q_store.apps.tested import hits
from q_store.apps.underway import underway
from q_store.drawing import markup as html
from q_store.drawing.charts import Series, intervals, lines, number
from q_store.errors import ConfigError
from q_store.intervals import difference, paired_difference

KEYS = (
    "run", "finished", "model", "seed", "data_sha256", "test_accuracy", "test_interval", "difference",
    "difference_interval", "paired", "remote_accuracy", "remote_interval", "control_accuracy", "parameters",
    "two_qubit_gates", "circuits", "shots", "cost", "currency", "seconds", "options",
)  # fmt: skip
"""Of each object that `compare --json` prints."""
TITLES = ("run", "test, % (95 %)", "control, %", "parameters", "2-qubit", "circuits", "time")
FEW = 4
"""Curves in one picture."""
PAIRED = "Intervals of differences are those of pairs (Newcombe 1998, method 10): the models met the same test rows."
APART = (
    "Intervals of differences are those of independent samples, as which test rows were right is not known of all "
    "runs (Newcombe 1998, method 10); models that met the same rows err together, so they are rather too wide."
)
BEYOND = "Another seed is another run."
Z = NormalDist().inv_cdf(0.975)


def compare(runs: Sequence[Path], out: Path | None, store: Path | None, *, as_json: bool) -> None:
    """Run the command.

    Raises ConfigError for fewer than two runs and RunError for one that is not there, damaged or of another version.
    """
    if len(runs) < 2:
        raise ConfigError(f"expected two runs or more, got {len(runs)}; one alone: q-store report RUN")
    readings = []
    with underway("reading", "runs", len(runs)) as tell:
        for run in runs:
            readings.append(read(run, store))
            tell(len(readings))
    rows = figures(readings)
    names = named(readings)
    console = Console(stderr=as_json)
    console.print(_table(TITLES, [_cells(name, row) for name, row in zip(names, rows, strict=True)]))
    apart = differences(rows)
    if apart:
        console.print()
        console.print(_table(("run", *apart), _apart(names, rows, apart)))
    for line in remarks(readings, rows):
        plain(console, html.clean(line))
    if out is not None:
        save(out, _page(readings, names, rows))
        plain(console, f"{out}: the comparison")
    if as_json:
        print(json.dumps(rows), flush=True)  # noqa: T201


def figures(readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """What `--json` prints: an object of `KEYS` for each run. Raises RunError where a result is not one."""
    found: list[dict[str, Any]] = []
    for each in readings:
        try:
            row = _figures(each)
            _cells("", row)  # says so here where something is no figure
        except WRONG as error:
            raise distorted(each.folder.path, error) from error
        found.append({**row, **_held_against(readings[0], found[0], each, row)} if found else row)
    return [{name: row.get(name) for name in KEYS} for row in found]


def _held_against(base: Reading, first: Mapping[str, Any], run: Reading, other: Mapping[str, Any]) -> dict[str, Any]:
    """Test accuracy of `other` less that of `first`, its 95 % interval, and whether that is one of pairs.

    Empty for other data: nothing follows from those.
    """
    p, q = first["test_accuracy"], other["test_accuracy"]
    if p is None or q is None or first["data_sha256"] is None or first["data_sha256"] != other["data_sha256"]:
        return {}
    counts = pairs(_hits(base, p), _hits(run, q))
    if counts is None:
        low, high = difference((p, *first["test_interval"]), (q, *other["test_interval"]))
    else:
        low, high = paired_difference(*counts, Z)
    return {"difference": q - p, "difference_interval": [low, high], "paired": counts is not None}


def _hits(run: Reading, accuracy: float) -> NDArray[np.bool_] | None:
    """Which test rows were right, where that is what the accuracy says."""
    found = hits(run.tested or {})
    return found if found is not None and abs(found.mean() - accuracy) < 0.5 / len(found) else None


def pairs(one: NDArray[np.bool_] | None, other: NDArray[np.bool_] | None) -> tuple[int, int, int, int] | None:
    """How many rows both, only one, only the other, and neither had right; None where that is not known."""
    if one is None or other is None or len(one) != len(other):
        return None
    both, neither = int((one & other).sum()), int((~one & ~other).sum())
    return both, int(one.sum()) - both, int(other.sum()) - both, neither


def differences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Options that are not the same in all runs."""
    names = dict.fromkeys(name for row in rows for name in row["options"])
    return [name for name in names if len({json.dumps(row["options"].get(name)) for row in rows}) > 1]


def remarks(readings: Sequence[Reading], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a reader has to know of the figures."""
    said = [f"{each.name}: {remark}" for each in readings for remark in each.remarks]
    if len({row["data_sha256"] for row in rows} - {None}) > 1:
        said.append("The data are not the same: accuracies of different data are not compared.")
    names = named(readings)
    known = [(name, row) for name, row in zip(names, rows, strict=True) if row["difference"] is not None]
    said += [_against(name, names[0], row) for name, row in known]
    return [*said, *about_intervals([row for _, row in known])]


def about_intervals(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the intervals of differences are; `rows` have one."""
    return [f"{PAIRED if all(row['paired'] for row in rows) else APART} {BEYOND}"] if rows else []


def _figures(run: Reading) -> dict[str, Any]:
    result = run.result
    remote, control = result.get("remote"), result.get("classical_control")
    progress = run.view.sections()["progress"]
    spent = (
        remote
        or _simulated(result.get("recipe"))
        or {"circuits": progress["circuits"], "shots_total": progress["shots"]}
    )
    jobs = run.ledger.jobs if run.ledger else []
    return {
        "run": str(run.folder.path),
        "finished": run.done,
        "model": run.request.get("model"),
        "seed": run.request.get("seed"),
        "data_sha256": _text(run.resolved.get("data_sha256")),
        "test_accuracy": float(result["accuracy"]["test"]) if result else None,
        "test_interval": _ends(result["test_interval"]) if result else None,
        "remote_accuracy": None if remote is None else float(remote["test_accuracy"]),
        "remote_interval": None if remote is None else _ends(remote["test_interval"]),
        "control_accuracy": None if control is None else float(control["test_accuracy"]),
        "parameters": _sum(result, "parameters"),
        "two_qubit_gates": _sum(result, "two_qubit_gates"),
        "circuits": spent["circuits"],
        "shots": spent["shots_total"],
        "cost": round(sum(job.cost for job in jobs), 9) if remote is None else remote["cost"],
        "currency": next((job.currency for job in jobs if job.currency), ""),
        "seconds": float(result["seconds"]["total"]) if result else None,
        "options": _options(run.request),
    }


def _simulated(recipe: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Circuits and shots of a recipe that ran on this machine as if they had been bought."""
    return (
        None if recipe is None else {"circuits": sum(recipe["circuits"].values()), "shots_total": recipe["shots_total"]}
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _ends(interval: Sequence[float]) -> list[float]:
    low, high = interval
    return [float(low), float(high)]


def _sum(result: Mapping[str, Any], name: str) -> int | None:
    return int(sum(result[name].values())) if result else None


def _options(request: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for, settings among the others; files by their names."""
    settings = request.get("settings")
    flat = {**request, **(settings if isinstance(settings, Mapping) else {})}
    flat.pop("settings", None)
    for name in ("data", "pool"):
        if name in flat and flat[name] not in FASHION:
            flat[name] = Path(str(flat[name])).name
    if flat.get("url"):
        flat["url"] = address(str(flat["url"]))
    return {name: value for name, value in flat.items() if value is not None}


def named(readings: Sequence[Reading]) -> list[str]:
    """Names that tell the runs apart."""
    names = [each.name for each in readings]
    return [
        name if names.count(name) == 1 else f"{each.folder.path.resolve().parent.name}/{name} ({k})"
        for k, (name, each) in enumerate(zip(names, readings, strict=True), 1)
    ]


def _cells(name: str, row: Mapping[str, Any]) -> list[str]:
    return [
        name,
        measured(row["test_accuracy"], row["test_interval"]),
        _percent(row["control_accuracy"]),
        *("-" if row[key] is None else f"{row[key]:,}" for key in ("parameters", "two_qubit_gates", "circuits")),
        "-" if row["seconds"] is None else clock_time(row["seconds"]),
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def measured(share: float | None, ends: Sequence[float] | None) -> str:
    """A share with its interval, in percent."""
    return "-" if share is None or ends is None else f"{_percent(share)} ({_percent(ends[0])} to {_percent(ends[1])})"


def _against(name: str, first: str, row: Mapping[str, Any]) -> str:
    low, high = row["difference_interval"]
    verdict = "within" if low <= 0 <= high else "more than"
    points = f"{100 * row['difference']:+.1f} points against {first}"
    return f"{name}: {points} (95 % interval {100 * low:+.1f} to {100 * high:+.1f}), {verdict} the statistical error."


def _apart(names: Sequence[str], rows: Sequence[Mapping[str, Any]], apart: Sequence[str]) -> list[list[str]]:
    return [[name, *(shown(row["options"].get(key)) for key in apart)] for name, row in zip(names, rows, strict=True)]


def shown(value: Any) -> str:
    """An option's value."""
    if isinstance(value, float):
        return number(value)
    return "-" if value is None else str(value)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for k, title in enumerate(titles):
        table.add_column(Text(html.clean(title)), justify="right" if k else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(html.clean(cell)) for cell in row))
    return table


def _page(readings: Sequence[Reading], names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    body = [f"<h1>{html.text(f'{len(rows)} runs side by side')}</h1>"]
    body += [html.paragraph(line) for line in remarks(readings, rows)]
    body.append(html.table(TITLES, [_cells(name, row) for name, row in zip(names, rows, strict=True)], "Figures"))
    body.append(html.figures(filter(None, _pictures(readings, names, rows))))
    apart = differences(rows)
    if apart:
        body.append(html.heading("What sets them apart"))
        body.append(html.table(("run", *apart), _apart(names, rows, apart), "Options that differ"))
    return html.page("Runs side by side", body)


def _pictures(readings: Sequence[Reading], names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    known = [
        (name, row["test_accuracy"], (row["test_interval"][0], row["test_interval"][1]))
        for name, row in zip(names, rows, strict=True)
        if row["test_accuracy"] is not None
    ]
    yield intervals("Accuracy on the test part, 95 % intervals", known)
    told = [(_short(name), run) for name, run in zip(names, readings, strict=True)]
    trained = [_curve(name, run) for name, run in told if not run.request.get("recipe")]
    bought = [_bought(name, run) for name, run in told] if any(map(by_circuits, readings)) else []
    for start in range(0, len(readings), FEW):
        yield lines("Validation accuracy", trained[start : start + FEW], "epoch", " %")
        yield lines("Accuracy by circuits of training", bought[start : start + FEW], "circuits", " %")


def _curve(name: str, run: Reading) -> Series:
    return Series(
        name, percent([(float(k), figure(row.get("validation_accuracy"))) for k, row in enumerate(run.epochs, 1)])
    )


def _bought(name: str, run: Reading) -> Series:
    """By circuits; on held-out rows where a recipe looked at several."""
    found = run.looks.get(HELD_OUT) or next(iter(run.looks.values()), [])
    return Series(name, percent(found))


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"
