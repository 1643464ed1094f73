"""Accuracy of the model zoo on the full Fashion-MNIST, with the classical control of every model beside it.

    python benchmarks/accuracy.py                    the final table: three fresh fits a model, on the test part
    python benchmarks/accuracy.py --part validation  the same on the validation part, for choosing settings
    python benchmarks/accuracy.py compact lean       only these; the others are kept as they are in the file
    python benchmarks/accuracy.py --table            print the table of the file again

Every fit sees the first 50,000 training images; the last 10,000 were there to choose settings, and the classical
control chooses its shape on them. Figures go to benchmarks/results/accuracy.json, raw, one entry a fit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from q_store import __version__
from q_store.models import zoo
from q_store.models.control import Control, fit_control
from q_store.models.data import Dataset
from q_store.models.fashion_mnist import load
from q_store.models.metrics import wilson_interval
from q_store.models.model import Encoded, Evaluation, Model

RESULTS = Path(__file__).parent / "results"
SHOTS = (None, 1000, 100)


def main() -> None:
    options = _options()
    path = options.out or RESULTS / ("accuracy.json" if options.part == "test" else f"accuracy_{options.part}.json")
    found = json.loads(path.read_text()) if path.exists() else {"models": {}}
    if not options.table:
        data = load("full")
        found |= {"q_store": __version__, "part": options.part, "rows": len(getattr(data, options.part).y)}
        found |= {"data_sha256": data.digest, "python": platform.python_version(), "numpy": np.__version__}
        for name in options.models or zoo.names():
            found["models"][name] = measure(name, data, options)
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found))


def measure(name: str, data: Dataset, options: argparse.Namespace) -> dict[str, Any]:
    """Everything about one model: its fits, its control, and the two compared row by row."""
    definition = zoo.definition(name)
    part = getattr(data, options.part)
    model = definition.model(class_names=data.class_names)
    train = model.fit_features(data.train.x)
    parts = {"train": train, "validation": train.more(data.validation.x), "part": train.more(part.x)}
    out: dict[str, Any] = {
        "parameters": definition.parameters()._asdict(),
        "two_qubit_gates": definition.two_qubit_gates._asdict(),
        "settings": definition.settings.model_dump(),
        "penalty": definition.penalty,
        "circuit_scale": definition.circuit_scale,
        "fits": [],
    }
    control = None
    if not options.no_control:
        started = time.perf_counter()
        control = fitted_control(parts, data, sum(definition.parameters()))
        right = control.predict(parts["part"].z) == part.y
        out["control"] = {
            "kind": control.kind,
            "parameters": control.parameters,
            "converged": control.converged,
            "validation_accuracy": control.validation_accuracy,
            **counted(int(right.sum()), len(right)),
            "seconds": round(time.perf_counter() - started, 2),
        }
        print(name, "control", out["control"], flush=True)
    for seed in options.seeds:
        fit, exact = fitted(model, parts, data, part.y, seed)
        if control is not None:
            fit["against_control"] = mcnemar(exact.predicted == exact.truth, right)
        out["fits"].append(fit)
        print(name, json.dumps({key: fit[key] for key in ("seed", "seconds", *map(label, SHOTS))}), flush=True)
    return out


def fitted_control(parts: dict[str, Encoded], data: Dataset, n_parameters: int) -> Control:
    """The better of logistic regression and network on the same features with at most as many parameters."""
    train, held_out = parts["train"].z, parts["validation"].z
    return fit_control(train, data.train.y, held_out, data.validation.y, n_parameters, data.n_classes)


def fitted(
    model: Model, parts: dict[str, Encoded], data: Dataset, truth: np.ndarray, seed: int
) -> tuple[dict[str, Any], Evaluation]:
    """(one fresh fit and its figures, the exact evaluation)."""
    started, cpu = time.perf_counter(), time.process_time()
    model.fit(parts["train"], data.train.y, (parts["validation"], data.validation.y), seed=seed)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    evaluations = {label(shots): model.evaluate(parts["part"], truth, shots=shots, seed=seed) for shots in SHOTS}
    fit = {
        "seed": seed,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "train_accuracy": model.score(parts["train"], data.train.y),
        "validation_accuracy": model.score(parts["validation"], data.validation.y),
        "parameters_sha256": hashlib.sha256(model.trained.vector.astype("<f8").tobytes()).hexdigest(),
        **{name: counted(found.correct, found.rows) for name, found in evaluations.items()},
    }
    return fit, evaluations[label(None)]


def counted(correct: int, rows: int) -> dict[str, Any]:
    """A share with its 95 % Wilson interval."""
    low, high = wilson_interval(correct, rows)
    return {"accuracy": correct / rows, "correct": correct, "rows": rows, "wilson95": [round(low, 5), round(high, 5)]}


def mcnemar(ours: np.ndarray, control: np.ndarray) -> dict[str, Any]:
    """Rows that only one of the two gets right; p: two-sided exact probability that chance alone does this."""
    only_ours, only_control = int((ours & ~control).sum()), int((~ours & control).sum())
    test = binomtest(only_ours, max(1, only_ours + only_control))
    return {"only_ours": only_ours, "only_control": only_control, "p": float(test.pvalue)}


def label(shots: int | None) -> str:
    return "exact" if shots is None else f"shots_{shots}"


def table(found: dict[str, Any]) -> str:
    """The mean over the fits, with the Wilson interval of the mean over the rows, as Markdown."""
    heads = ("model", "parameters", "two-qubit gates", f"{found['part']}, exact [95 %]", "1000 shots", "100 shots")
    heads += ("seeds, exact", "classical control")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    lines += ["| " + " | ".join(cells(name, model)) + " |" for name, model in found["models"].items()]
    return "\n".join(lines)


def cells(name: str, model: dict[str, Any]) -> list[str]:
    """One row of the table; accuracies in per cent."""
    fits = model["fits"]
    shares = {label(shots): [fit[label(shots)]["accuracy"] for fit in fits] for shots in SHOTS}
    exact, *sampled = (float(np.mean(share)) for share in shares.values())
    rows = fits[0]["exact"]["rows"]
    low, high = wilson_interval(round(exact * rows), rows)
    return [
        f"`{name}`",
        " + ".join(map(str, model["parameters"].values())),
        " + ".join(map(str, model["two_qubit_gates"].values())),
        f"**{100 * exact:.2f}** [{100 * low:.1f}, {100 * high:.1f}]",
        *(f"{100 * share:.2f}" for share in sampled),
        ", ".join(f"{100 * share:.2f}" for share in shares["exact"]),
        control_text(model),
    ]


def control_text(model: dict[str, Any]) -> str:
    control = model.get("control")
    if control is None:
        return "not run"
    paired = ", ".join(f"{fit['against_control']['p']:.2g}" for fit in model["fits"])
    return f"{100 * control['accuracy']:.2f} ({control['kind']}, {control['parameters']}; paired p {paired})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="names; all without")
    parser.add_argument("--part", choices=["test", "validation"], default="test")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--no-control", action="store_true")
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
