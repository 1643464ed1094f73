"""What the parts of a run bring: runs that differ from it in an option or two, held against it.

ablation.json   in the folder of the run: figures of the others, so that later reports of it show them too
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from q_store.apps import compare
from q_store.apps.progress import clock_time
from q_store.apps.reading import WRONG, Reading, read
from q_store.drawing import markup as html
from q_store.drawing.charts import intervals
from q_store.errors import ConfigError, RunError, StorageError
from q_store.files import write_text

FILE, FORMAT = "ablation.json", 1
TITLES = ("what is different", "test, % (95 %)", "points (95 %)", "circuits", "shots", "time", "cost")
SHORT = 34
"""Characters of a name in the picture."""
SAME = "nothing: the same options"


@dataclass(frozen=True)
class Ablation:
    """Of a run: `rows` are those of `compare.figures`, the run itself first, and `names` what they are called."""

    names: Sequence[str]
    rows: Sequence[Mapping[str, Any]]

    def body(self) -> dict[str, Any]:
        """As JSON; folders are left out."""
        runs = [{"name": name, **row, "run": name} for name, row in zip(self.names, self.rows, strict=True)]
        return {"format": FORMAT, "runs": runs}


def asked(base: Reading, others: Sequence[Path], store: Path | None) -> Ablation:
    """Of runs that a user names.

    Raises ConfigError for the run itself, RunError as `read` and `compare.figures`.
    """
    readings = [base, *(read(other, store) for other in others)]
    for other in readings[1:]:
        if other.folder.path.resolve() == base.folder.path.resolve():
            raise ConfigError(f"expected --ablation of another run, got {base.name}, which the report is of")
    return Ablation(compare.named(readings), compare.figures(readings))


def kept(run: Reading) -> Ablation | None:
    """What an earlier report kept. Raises RunError for a file that is none."""
    path = run.folder.path / FILE
    try:
        body = json.loads(path.read_bytes())
        if body["format"] != FORMAT:
            raise ValueError(f"format {body['format']!r}")  # said with the others below
        found = Ablation([str(row["name"]) for row in body["runs"]], body["runs"])
        section(found)  # says so here where something is lacking
    except FileNotFoundError:
        return None
    except (OSError, RecursionError, *WRONG) as error:
        raise RunError(
            f"{FILE}: expected the figures of an ablation in format {FORMAT}, got: {' '.join(repr(error).split())}; "
            "remove the file, or name the runs: --ablation OTHER"
        ) from error
    return found


def keep(run: Reading, found: Ablation) -> str:
    """Write it beside the run; what a user has to know of that."""
    try:
        write_text(run.folder.path / FILE, json.dumps(found.body(), indent=2, ensure_ascii=False) + "\n")
    except StorageError as error:
        return f"the ablation is in this report alone: {error}"
    return ""


def picture(found: Ablation) -> str:
    """Accuracies with their intervals, as SVG."""
    rows = [
        (
            name if len(name) <= SHORT else f"{name[: SHORT - 1]}…",
            row["test_accuracy"],
            (row["test_interval"][0], row["test_interval"][1]),
        )
        for name, row in zip(_changes(found), found.rows, strict=True)
        if row["test_accuracy"] is not None
    ]
    return intervals("Ablation: accuracy on the test part, 95 % intervals", rows)


def section(found: Ablation) -> list[str]:
    """For the page."""
    first, *others = found.rows
    known = [row for row in others if row["difference"] is not None]
    parts = [
        html.heading("Ablation"),
        html.table(TITLES, [_cells(*each) for each in zip(_changes(found), found.rows, strict=True)], "Ablation"),
        *(html.paragraph(line, "soft") for line in compare.about_intervals(known)),
    ]
    if any(row["data_sha256"] != first["data_sha256"] for row in others):
        parts.append(html.paragraph("A run on other data, or on none yet, has no difference.", "soft"))
    drawn = picture(found)
    return [*parts, html.wide(drawn, "Ablation, drawn")] if drawn else parts


def _changes(found: Ablation) -> list[str]:
    """What sets each run apart from the first, in words."""
    first, *others = (row["options"] for row in found.rows)
    said = [f"{found.names[0]}: this run"]
    for name, options in zip(found.names[1:], others, strict=True):
        both = dict.fromkeys([*first, *options])
        apart = [
            f"{key} {_value(first.get(key))} → {_value(options.get(key))}"
            for key in both
            if first.get(key) != options.get(key)
        ]
        said.append(f"{'; '.join(apart) or SAME} ({name})")
    return said


def _value(value: Any) -> str:
    return "default" if value is None else compare.shown(value)


def _cells(name: str, row: Mapping[str, Any]) -> list[str]:
    ends, seconds, cost = row["difference_interval"], row["seconds"], row["cost"]
    apart = "-" if ends is None else f"{100 * row['difference']:+.1f} ({100 * ends[0]:+.1f} to {100 * ends[1]:+.1f})"
    return [
        name,
        compare.measured(row["test_accuracy"], row["test_interval"]),
        apart,
        *("-" if row[key] is None else f"{row[key]:,}" for key in ("circuits", "shots")),
        "-" if seconds is None else clock_time(seconds),
        f"{cost:,.2f} {row['currency']}".strip() if cost else "-",
    ]
