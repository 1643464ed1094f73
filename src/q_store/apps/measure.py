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
from q_store.apps.tally import Tally
from q_store.apps.tested import tested
from q_store.models.metrics import confusion_matrix, wilson_interval
from q_store.models.trained import Evaluation, two_qubit_gates


def measure(
    folder: RunFolder, parts: Assembly, request: Request, clock: Clock, tally: Tally | None, *, control: bool
) -> dict[str, Any]:
    """What result.json holds; draws the two pictures on the way.

    Accuracies are exact ones, simulated on this machine; with a `tally` the chosen test rows are measured through it
    too. Counted as `evaluate`: the accuracies and the pictures; the control counts in the total alone.
    """
    samples, kernels = parts.meter.samples, parts.meter.kernel_seconds  # before the evaluation adds to them
    with clock.stage("evaluate"):
        found = {name: _evaluated(parts, name) for name in parts.encoded}
        test = found["test"]
        remote = None if tally is None else _remote(parts, request, tally)
        score = f"{100 * test.accuracy:.1f} % of {test.rows:,} test {parts.unit}"
        counts = confusion_matrix(test.truth, test.predicted, parts.data.n_classes)
        folder.write_tested(tested(parts.data, test, counts))
        plots.confusion_png(folder.path / CONFUSION, counts, parts.data.class_names, f"{request.name}: {score}")
        plots.learning_curve_png(folder.path / CURVE, folder.metrics(), request.title)
    compared = _control(parts, request.seed) if control else None
    seconds = clock.seconds()
    return {
        "model": request.model,
        "seed": request.seed,
        "parameters": parts.model.parameters._asdict(),
        "two_qubit_gates": two_qubit_gates(parts.model.trained.objective.circuit)._asdict(),
        "accuracy": {name: each.accuracy for name, each in found.items()},
        "test_interval": list(wilson_interval(test.correct, test.rows)),
        "classical_control": compared,
        "seconds": seconds,
        "samples_per_second": None if tally else round(samples / seconds["train"], 1) if seconds["train"] else 0.0,
        "parameters_sha256": parameters_sha256(parts.model.trained.vector),
        "remote": remote,
        "run": str(folder.path),
        DETAILS: {
            "title": request.title,
            "test_rows": test.rows,
            "train_rows": len(parts.part("train")[1]),
            "honest": request.place.honest,
            "unit": parts.unit,
            "backend": parts.meter.capabilities.name,
            "outside_share": max(0.0, 1 - kernels / seconds["train"]) if seconds["train"] else 0.0,
        },
    }


def _evaluated(parts: Assembly, name: str) -> Evaluation:
    return parts.model.evaluate(parts.encoded[name], parts.data.parts[name].y, backend=parts.meter)


def _remote(parts: Assembly, request: Request, tally: Tally) -> dict[str, Any]:
    """The accuracy on the chosen test rows as the remote backend measures them, and all that this process ran there."""
    shots = parts.model.settings.shots
    found = parts.model.evaluate(*parts.part("test"), shots=shots, seed=request.seed, backend=tally)
    return {
        "place": request.place.title,
        "noise_id": tally.noise_id,
        "shots": shots,
        "test_accuracy": found.accuracy,
        "test_rows": found.rows,
        "test_interval": list(wilson_interval(found.correct, found.rows)),
        **tally.figures(),
    }


def _control(parts: Assembly, seed: int) -> dict[str, Any]:
    """The best classical model on the same features and rows with at most as many parameters."""
    from q_store.models.control import fit_control

    data, encoded = parts.data, parts.encoded
    (train, train_y), (validation, validation_y) = parts.part("train"), parts.part("validation")
    fitted = fit_control(
        train.z,
        train_y,
        validation.z,
        validation_y,
        sum(parts.model.parameters),
        data.n_classes,
        seed,
    )
    right = fitted.predict(encoded["test"].z) == data.test.y
    return {"kind": fitted.kind, "parameters": fitted.parameters, "test_accuracy": float(np.mean(right))}
