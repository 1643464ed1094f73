"""After training: accuracies, the classical control, the pictures, and the figures of the run."""

from __future__ import annotations

from typing import Any

import numpy as np

from q_store.apps import plots
from q_store.apps.assemble import Assembly
from q_store.apps.clock import Clock
from q_store.apps.request import Request
from q_store.apps.result import DETAILS, parameters_sha256
from q_store.apps.run_folder import CONFUSION, CURVE, RunFolder
from q_store.models.metrics import confusion_matrix, wilson_interval
from q_store.models.trained import Evaluation


def measure(folder: RunFolder, parts: Assembly, request: Request, clock: Clock, *, control: bool) -> dict[str, Any]:
    """What result.json holds; draws the two pictures on the way.

    Accuracies are exact ones. Counted as `evaluate`: the three accuracies and the pictures; the control counts in the
    total alone.
    """
    samples, kernels = parts.meter.samples, parts.meter.kernel_seconds  # before the evaluation adds to them
    with clock.stage("evaluate"):
        found = {name: _evaluated(parts, name) for name in parts.encoded}
        test = found["test"]
        score = f"{100 * test.accuracy:.1f} % of {test.rows:,} test {parts.unit}"
        counts = confusion_matrix(test.truth, test.predicted, parts.data.n_classes)
        plots.confusion_png(folder.path / CONFUSION, counts, parts.data.class_names, f"{request.name}: {score}")
        plots.learning_curve_png(folder.path / CURVE, folder.metrics(), request.title)
    compared = _control(parts, request.seed) if control else None
    seconds = clock.seconds()
    return {
        "model": request.model,
        "seed": request.seed,
        "parameters": parts.model.parameters._asdict(),
        "two_qubit_gates": parts.definition.two_qubit_gates._asdict(),
        "accuracy": {name: each.accuracy for name, each in found.items()},
        "test_interval": list(wilson_interval(test.correct, test.rows)),
        "classical_control": compared,
        "seconds": seconds,
        "samples_per_second": round(samples / seconds["train"], 1) if seconds["train"] else 0.0,
        "parameters_sha256": parameters_sha256(parts.model.trained.vector),
        "run": str(folder.path),
        DETAILS: {
            "title": request.title,
            "test_rows": test.rows,
            "unit": parts.unit,
            "backend": parts.meter.capabilities.name,
            "outside_share": max(0.0, 1 - kernels / seconds["train"]) if seconds["train"] else 0.0,
        },
    }


def _evaluated(parts: Assembly, name: str) -> Evaluation:
    return parts.model.evaluate(parts.encoded[name], parts.data.parts[name].y)


def _control(parts: Assembly, seed: int) -> dict[str, Any]:
    """The best classical model on the same features with at most as many parameters."""
    from q_store.models.control import fit_control

    data, encoded = parts.data, parts.encoded
    fitted = fit_control(
        encoded["train"].z,
        data.train.y,
        encoded["validation"].z,
        data.validation.y,
        sum(parts.model.parameters),
        data.n_classes,
        seed,
    )
    right = fitted.predict(encoded["test"].z) == data.test.y
    return {"kind": fitted.kind, "parameters": fitted.parameters, "test_accuracy": float(np.mean(right))}
