"""Write the measured figures into the documents, so that none is typed by hand.

    python tools/docs_figures.py            render the tables of all documents again
    python tools/docs_figures.py --check    only say whether they are what the result files give; 1 if not

A table stands between `<!-- figures: NAME -->` and `<!-- end of figures -->`. Accuracies come from
benchmarks/results/accuracy.json (benchmarks/accuracy.py), speeds from benchmarks/results/full-1-thread.json
(benchmarks/run.py), remote runs from docs_remote.py, sizes from the models themselves.
What has no result file is said to be not measured yet, and so
is a model whose definition or settings are no longer those that were measured.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from q_store.models import zoo

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import docs_adaptive  # noqa: E402  # they are scripts, found by the line above
import docs_document  # noqa: E402
import docs_gradients  # noqa: E402
import docs_recipes  # noqa: E402  # they are scripts, found by the line above
import docs_remote  # noqa: E402  # the same
import docs_torch  # noqa: E402
import docs_watching  # noqa: E402
from accuracy import label  # noqa: E402
from machine import share_of_peak  # noqa: E402
from report import OURS, milliseconds, ratios  # noqa: E402
from workloads import Case  # noqa: E402

from q_store.models.metrics import wilson_interval  # noqa: E402
from q_store.training import TrainingSettings  # noqa: E402

DOCUMENTS = (
    "README.md",
    "docs/models.md",
    "docs/performance.md",
    "docs/gradients.md",
    "docs/ionq.md",
    "docs/pool.md",
    "docs/recipes.md",
    "docs/adaptive.md",
    "docs/store.md",
    "docs/torch.md",
    "docs/document.md",
    "docs/ledger.md",
)
ACCURACY, SPEED = "accuracy.json", "full-1-thread.json"
SECTION = re.compile(r"(<!-- figures: ([a-z-]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)
NONE = "–"
Result = dict[str, Any]
COMMON = ("python", "numpy", "llvmlite")
"""Packages that say nothing about a peer."""


def main(arguments: list[str]) -> int:
    """Render, or check; the exit code."""
    check = "--check" in arguments
    stale = [path for path in (ROOT / name for name in DOCUMENTS) if not _brought_up(path, write=not check)]
    for path in stale:
        advice = "run: python tools/docs_figures.py" if check else "written"
        print(f"{path.relative_to(ROOT)}: the figures were not those of the results; {advice}")
    return int(check and bool(stale))


def _brought_up(path: Path, *, write: bool) -> bool:
    """Whether the document has had the right tables; with `write` it has them afterwards."""
    before = path.read_text(encoding="utf-8")
    after = rendered(before, ROOT / "benchmarks" / "results")
    if write and before != after:
        path.write_text(after, encoding="utf-8")
    return before == after


def rendered(text: str, results: Path) -> str:
    """The document with its tables made from the files in `results`."""

    def table(match: re.Match[str]) -> str:
        return f"{match[1]}{SECTIONS[match[2]](results)}\n{match[3]}"

    return SECTION.sub(table, text)


def _read(results: Path, name: str) -> Result | None:
    path = results / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _table(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows])


# ------------------------------------------------------------------------------------------------------------ accuracy


def measured(results: Path) -> dict[str, Result]:
    """The entries of accuracy.json that are about the models as they are defined now."""
    found = _read(results, ACCURACY)
    models = found["models"] if found and found["part"] == "test" else {}
    return {name: entry for name, entry in models.items() if name in zoo.names() and _is_current(name, entry)}


def _is_current(name: str, entry: Result) -> bool:
    definition = zoo.definition(name)
    now = {
        "parameters": definition.parameters()._asdict(),
        "two_qubit_gates": definition.two_qubit_gates._asdict(),
        "settings": definition.settings.model_dump(),
        "penalty": definition.penalty,
        "circuit_scale": definition.circuit_scale,
    }
    then = {**entry, "settings": _filled(entry.get("settings"))}
    return all(then.get(key) == value for key, value in now.items()) and bool(entry["fits"])


def _filled(settings: Result | None) -> Result | None:
    """Stored settings with the defaults of those that came later."""
    return settings and {**TrainingSettings().model_dump(), **settings}


def models(results: Path) -> str:
    """Sizes of the models, and their accuracies where they have been measured."""
    found = measured(results)
    heads = ["model", "qubits", "parameters", "two-qubit gates", "test %, exact [95 %]", "1000 shots", "100 shots"]
    rows = [[*_sizes(name), *_shares(found.get(name))] for name in zoo.names()]
    return _table([*heads, "classical control"], rows) + f"\n\n{_about_accuracy(results, found)}"


def _sizes(name: str) -> list[str]:
    definition = zoo.definition(name)
    counts = (definition.parameters(), definition.two_qubit_gates)
    return [f"`{name}`", str(definition.circuit.n_qubits), *(" + ".join(map(str, pair)) for pair in counts)]


def _shares(entry: Result | None) -> list[str]:
    if entry is None:
        return ["not measured yet", NONE, NONE, NONE]
    exact = _mean(entry, None)
    rows = entry["fits"][0][label(None)]["rows"]
    low, high = wilson_interval(round(exact * rows), rows)
    control = entry.get("control")
    return [
        f"**{100 * exact:.1f}** [{100 * low:.1f}, {100 * high:.1f}]",
        *(f"{100 * _mean(entry, shots):.1f}" for shots in (1000, 100)),
        f"{100 * control['accuracy']:.1f} ({control['kind']}, {control['parameters']})" if control else NONE,
    ]


def _mean(entry: Result, shots: int | None) -> float:
    shares = [fit[label(shots)]["accuracy"] for fit in entry["fits"]]
    return float(sum(shares) / len(shares))


def _about_accuracy(results: Path, found: dict[str, Result]) -> str:
    missing = [f"`{name}`" for name in zoo.names() if name not in found]
    command = "`python benchmarks/accuracy.py`"
    if not found:
        return f"The accuracies have not been measured yet; {command} does it."
    fits = next(iter(found.values()))["fits"]
    about = (
        f"Full Fashion-MNIST: {fits[0][label(None)]['rows']:,} test images, mean of {len(fits)} fresh fits "
        f"(seeds {', '.join(str(fit['seed']) for fit in fits)}), by {command}, q-store "
        f"{(_read(results, ACCURACY) or {})['q_store']}."
    )
    return f"{about} Not measured yet: {', '.join(missing)}." if missing else about


def seeds(results: Path) -> str:
    """Every fit by itself, and the comparison with the control row by row."""
    found = measured(results)
    rows = [
        [
            f"`{name}`",
            ", ".join(f"{100 * fit[label(None)]['accuracy']:.2f}" for fit in found[name]["fits"]),
            ", ".join(f"{100 * fit['validation_accuracy']:.2f}" for fit in found[name]["fits"]),
            ", ".join(f"{fit['cpu_seconds']:.0f}" for fit in found[name]["fits"]),
            *_against_control(found[name]),
        ]
        for name in zoo.names()
        if name in found
    ]
    if not rows:
        return "Not measured yet."
    return _table(["model", "test %, by seed", "validation %", "CPU seconds", "control, test %", "p, by seed"], rows)


def _against_control(entry: Result) -> list[str]:
    control = entry.get("control")
    if not control:
        return [NONE, NONE]
    flat = "" if control["converged"] else ", not converged"
    shown = f"{100 * control['accuracy']:.2f} ({control['kind']}, {control['parameters']}{flat})"
    return [shown, ", ".join(f"{fit['against_control']['p']:.2g}" for fit in entry["fits"])]


# --------------------------------------------------------------------------------------------------------------- speed


def speed(results: Path) -> str:
    """q-store beside its peers at n = 6: by how much the others' time is longer."""
    found = _read(results, SPEED)
    if found is None:
        return "Not measured yet; `python benchmarks/run.py` does it."
    rows = [_ratios(record) for record in found["cases"] if record["n"] == 6]
    return _table(_HEADS, rows) + f"\n\n{_about_speed(found)}"


def every_size(results: Path) -> str:
    """The same for every number of qubits."""
    found = _read(results, SPEED)
    if found is None:
        return "Not measured yet; `python benchmarks/run.py` does it."
    return _table(_HEADS, [_ratios(record) for record in found["cases"]]) + f"\n\n{_about_speed(found)}"


_PEERS = ("lightning.qubit", "qulacs")
_HEADS = ["case", "q-store, ms", "tensorcircuit-ng + JAX, customary", "hand-tuned JAX", *_PEERS]


def _ratios(record: Result) -> list[str]:
    ours = _fastest(record, OURS)
    cells = [_case(record).label, milliseconds(median(ours["seconds"])) if ours else NONE]
    jax = [timed for timed in record["timed"] if timed["engine"] == "tensorcircuit"]
    customary = next((timed for timed in jax if timed["role"].startswith("customary")), None)
    peers = [_fastest(record, name.partition(".")[0]) for name in _PEERS]
    return [*cells, *(_ratio(ours, timed) for timed in (customary, _fastest(record, "tensorcircuit"), *peers))]


def _fastest(record: Result, engine: str) -> Result | None:
    """The fastest formulation of an engine; one that was too slow to be repeated only if there is no other."""
    found = [timed for timed in record["timed"] if timed["engine"] == engine]
    slow = [timed for timed in record["untimed"] if timed["engine"] == engine]
    return min(found, key=lambda timed: median(timed["seconds"]), default=min(slow, key=_call, default=None))


def _call(timed: Result) -> float:
    return float(timed["call_s"])


def _ratio(ours: Result | None, timed: Result | None) -> str:
    if ours is None or timed is None:
        return NONE
    if "seconds" not in timed:
        return f"~{_call(timed) / median(ours['seconds']):,.0f}"
    middle, low, high = ratios(ours["seconds"], timed["seconds"])
    return f"{middle:.1f} ({low:.1f} – {high:.1f})"


def _case(record: Result) -> Case:
    return Case(record["workload"], record["n"], record["batch"])


def _about_speed(found: Result) -> str:
    about = found["machine"]
    used = ", ".join(
        dict.fromkeys(
            f"{package} {version}"
            for _, packages in _versions(found)
            for package, version in packages.items()
            if package not in COMMON
        )
    )
    return (
        "Peer's time over q-store's, measured in turn in one run: median (smallest – largest) over the repetitions; ~ "
        "where one call was too slow to repeat. "
        f"{about['cpu']}, {found['threads']} thread, {about['date']}, load average at the start "
        f"{about['load_average'][0]:.2f}. {used}."
    )


def _versions(found: Result) -> list[tuple[str, dict[str, str]]]:
    return list(found["versions"].items())


def compile_times(results: Path) -> str:
    """Seconds of the first calls, and the share of the machine's peak."""
    found = _read(results, SPEED)
    if found is None:
        return "Not measured yet; `python benchmarks/run.py` does it."
    rows = [
        [f"q-store, {state}", f"{sum(times.values()):.1f}", ", ".join(f"{k} {v:.2f}" for k, v in times.items())]
        for state, times in found.get("compile_s", {}).items()
    ]
    for record in found["cases"]:
        rows += [
            [f"tensorcircuit-ng, {_case(record).label}", f"{timed['compile_s']:.1f}", timed["formulation"]]
            for timed in record["timed"]
            if timed["engine"] == "tensorcircuit"
        ]
    return _table(["first call", "seconds", "of which"], rows)


def peak(results: Path) -> str:
    """Counted arithmetic over what a loop of multiply-adds reaches on the same core."""
    found = _read(results, SPEED)
    if found is None:
        return "Not measured yet; `python benchmarks/run.py` does it."
    fma = median(each["fma_gflops"] for each in found["peaks"]) * found["threads"]
    rows = []
    for record in found["cases"]:
        ours = _fastest(record, OURS)
        if ours is not None:
            seconds = median(ours["seconds"])
            rows.append(
                [_case(record).label, milliseconds(seconds), f"{share_of_peak(_case(record), seconds, fma):.0%}"]
            )
    return _table(["case", "q-store, ms", "share of the measured peak"], rows)


SECTIONS: dict[str, Callable[[Path], str]] = {
    "models": models,
    "seeds": seeds,
    "speed": speed,
    "every-size": every_size,
    "compile-times": compile_times,
    "peak": peak,
    "ionq-speed": docs_remote.ionq_speed,
    "pool-speed": docs_remote.pool_speed,
    "recipes": docs_recipes.recipes,
    "torch-speed": docs_torch.torch_speed,
    "document": docs_document.document,
    "store-speed": docs_remote.store_speed,
    "gradients": docs_gradients.gradients,
    "adaptive-depth": docs_adaptive.adaptive_depth,
    "adaptive-shots": docs_adaptive.adaptive_shots,
    "adaptive-spsa": docs_adaptive.adaptive_spsa,
    "adaptive-losses": docs_adaptive.adaptive_losses,
    "watching": docs_watching.watching,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
