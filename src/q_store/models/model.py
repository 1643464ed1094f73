"""A classifier out of four parts: preprocessing, circuit, observables and readout; used like one of scikit-learn.

    outputs[B, K] = readout(<observables> after circuit(features(x), theta)),   probabilities = softmax(outputs)

`fit`, `predict`, `predict_proba` and `score` take x[B, D] (or images [B, H, W]), an iterable of (x, y) batches such as
a torch DataLoader where labels are needed too, or the `Encoded` features of `encode`, so that a data set that is used
often is preprocessed once. Labels may be of any type: numbers, text, booleans.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from q_store.blas import single_threaded
from q_store.circuits.circuit import Circuit
from q_store.circuits.observables import Observable, Observables, collect
from q_store.errors import ConfigError, RunError, ShapeError
from q_store.events import Sink
from q_store.jobs import AnyExecutor, drive
from q_store.models import intake
from q_store.models.features import Features
from q_store.models.trained import Encoded, Evaluation, Parameters, Trained, default_backend, encode
from q_store.training.checkpoint import CheckpointFile
from q_store.training.loss import CrossEntropy, Loss
from q_store.training.objective import Objective
from q_store.training.readout import LinearReadout, Readout
from q_store.training.settings import TrainingSettings
from q_store.training.state import TrainingResult
from q_store.training.trainer import Trainer

__all__ = ["Encoded", "Evaluation", "Model", "Trained"]

Array = NDArray[Any]
Reals = NDArray[np.float64]
ReadoutKind = Callable[[int, int], Readout]
SMALL_DATA = TrainingSettings(epochs=20, batch_size=50, learning_rate=0.1, finish_iterations=100)
# The products of a readout are too small for two threads, and a BLAS that waits for its threads by spinning takes a
# hundred times longer on a busy machine: hence `single_threaded` around prediction, as in `Trainer`.
CHUNK = 8192
"""Rows of one job: memory does not grow with the data, and samples do not depend on anything but rows and seed."""


class Model:
    """A classifier; see the module.

    Args:
        features: the preprocessing, one of `models.features`, fitted together with the model.
        circuit: its features are the components of the preprocessing, in order.
        observables: what is measured; None for Z on every qubit.
        readout: makes a readout of (number of values, number of classes).
        loss: of (outputs, class numbers).
        settings: of the training; None for some that suit tables of a few hundred to a few thousand rows.
        circuit_scale: standard deviation of the first circuit parameters, radians.
        penalty: L2 penalty on the readout weights; the smaller the weights, the less shot noise reaches the outputs.
        classes: the labels in the order of the outputs; None to take those of the training rows, ascending.
        class_names: for people, one a class; None for the labels themselves.
        name: for lists and files.
        backend: runs the circuits, with `run` or `run_async`; None for an exact simulation on this machine.

    Raises:
        CircuitError: for observables on qubits that the circuit has not.
    """

    def __init__(
        self,
        features: Features,
        circuit: Circuit,
        observables: Observables | Sequence[Observable] | None = None,
        readout: ReadoutKind = LinearReadout,
        *,
        loss: Loss | None = None,
        settings: TrainingSettings | None = None,
        circuit_scale: float = 0.1,
        penalty: float = 0.0,
        classes: Sequence[Any] | Array | None = None,
        class_names: Sequence[str] | None = None,
        name: str = "model",
        backend: AnyExecutor | None = None,
    ) -> None:
        self.features, self.circuit, self.readout = features, circuit, readout
        self.observables = Observables.local_z(circuit.n_qubits) if observables is None else collect(observables)
        self.observables.check(circuit.n_qubits)
        self.loss: Loss = CrossEntropy() if loss is None else loss
        self.settings = SMALL_DATA if settings is None else settings
        self.circuit_scale, self.penalty = circuit_scale, penalty
        self.class_names = None if class_names is None else tuple(class_names)
        self.name, self.backend = name, backend
        self._asked_classes = None if classes is None else np.asarray(classes)
        self._trained: Trained | None = None
        self.result: TrainingResult | None = None

    # ------------------------------------------------------------------------------------------------------ prediction

    @property
    def trained(self) -> Trained:
        """What training found; RunError before `fit`."""
        if self._trained is None:
            msg = (
                f"expected a trained model, got {self.name!r} before training; call fit(x, y) or Model.load(file) first"
            )
            raise RunError(msg)
        return self._trained

    @property
    def is_trained(self) -> bool:
        """Whether there is something to predict with."""
        return self._trained is not None

    @property
    def classes(self) -> Array:
        """The labels [K] in the order of the outputs."""
        return self.trained.classes

    @property
    def parameters(self) -> Parameters:
        """How many numbers are trained."""
        objective = self.trained.objective
        return Parameters(objective.circuit.n_params, objective.readout.n_weights)

    def encode(self, x: Any) -> Encoded:
        """The preprocessed rows, see `trained.encode`: rows that it encoded already come back as they are."""
        return encode(self.trained.feature_map, x)

    def decision_function(
        self, x: Any, *, shots: int | None = None, seed: int = 0, backend: AnyExecutor | None = None
    ) -> Array:
        """Outputs [B, K], from exact values or from samples of that many shots a circuit."""
        trained, data = self.trained, self.encode(x).z
        plan = trained.objective.outputs(trained.vector, data, shots, seed, CHUNK)
        with single_threaded():
            return drive(plan, backend or self.backend or default_backend())

    def predict_proba(self, x: Any) -> Reals:
        """Class probabilities [B, K], columns in the order of `classes`."""
        outputs = self.decision_function(x).astype(np.float64)
        outputs = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return np.asarray(outputs / outputs.sum(axis=1, keepdims=True))

    def predict(self, x: Any) -> Array:
        """Labels [B], of the type they had in training."""
        return np.asarray(self.classes[self.decision_function(x).argmax(axis=1)])

    def score(self, x: Any, y: Any = None) -> float:
        """Share of right labels; y may be left out when x yields (x, y) batches."""
        return self.evaluate(x, y).accuracy

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        *,
        shots: int | None = None,
        seed: int = 0,
        backend: AnyExecutor | None = None,
    ) -> Evaluation:
        """How well the labels are predicted, from exact values or from `shots` measurements of every circuit."""
        started = time.perf_counter()
        executor = backend or self.backend or default_backend()
        x, labels = intake.pair(x, y, "evaluation")
        truth = intake.numbers(labels, self.classes, "evaluation")
        predicted = self.decision_function(x, shots=shots, seed=seed, backend=executor).argmax(axis=1)
        correct, rows = int((predicted == truth).sum()), len(truth)
        circuits = rows * max(1, len(self.observables.groups()))
        return Evaluation(
            accuracy=correct / rows,
            correct=correct,
            rows=rows,
            truth=truth,
            predicted=predicted,
            shots=shots,
            circuits=circuits if shots else rows,
            shots_total=circuits * shots if shots else 0,
            backend=executor.capabilities.name,
            seconds=time.perf_counter() - started,
        )

    # -------------------------------------------------------------------------------------------------------- training

    def fit(
        self,
        x: Any,
        y: Any = None,
        validation: Any = None,
        *,
        seed: int | None = None,
        epochs: int | None = None,
        sinks: Iterable[Sink] = (),
        checkpoint: str | Path | None = None,
        resume: bool = False,
        validated: Callable[[Array], None] | None = None,
    ) -> Self:
        """Fit the preprocessing, then train circuit and readout; every call starts anew.

        Args:
            x: rows, or batches (x, y), which are read once, into memory.
            y: labels; None with batches.
            validation: (x, y) or batches; only watched, unless the settings stop early or keep the best.
            seed: instead of that of the settings.
            epochs: the same.
            sinks: receive events, see `q_store.events`.
            checkpoint: file for checkpoints; None for none.
            resume: go on from the checkpoint, if it exists.
            validated: hears the outputs [R, C] of the validation rows after every epoch.

        Raises:
            DataError, ShapeError: for rows or labels that cannot be used.
            ConfigError: for options that contradict them.
            RunError, StorageError: for a checkpoint of another run, or that cannot be written.
        """
        x, labels = intake.pair(x, y, "training")
        classes = self._classes(labels)
        train = intake.numbers(labels, classes, "training")
        encoded = self.fit_features(x)
        held_out = None if validation is None else _held_out(validation, encoded, classes)
        given = {name: value for name, value in (("seed", seed), ("epochs", epochs)) if value is not None}
        trainer = Trainer(
            self.objective_for(len(classes)),
            self.settings.replaced(**given),
            self.backend or default_backend(),
            sinks=sinks,
            checkpoints=None if checkpoint is None else CheckpointFile(checkpoint),
            validated=validated,
        )
        result = trainer.fit((encoded.z, train), held_out, resume=resume)
        objective = replace(trainer.objective, circuit=result.circuit or trainer.objective.circuit)  # perhaps pruned
        self.adopt(Trained(encoded.feature_map, objective, result.parameters, classes))
        self.result = result
        return self

    def adopt(self, trained: Trained) -> None:
        """Take over what an earlier training found."""
        self._trained = trained

    def _classes(self, labels: Array) -> Array:
        classes = intake.classes_of(labels, "training") if self._asked_classes is None else self._asked_classes
        if self.class_names is not None and len(self.class_names) != len(classes):
            got = len(self.class_names)
            msg = f"expected {len(classes)} class names, one a class, got {got}; correct class_names"
            raise ConfigError(msg)
        return classes

    def fit_features(self, x: Any) -> Encoded:
        """Training rows with the preprocessing fitted on them: what `fit` does first, for those who need it elsewhere.

        `fit` takes the result in place of x, and `Encoded.more` encodes other rows alike.
        """
        encoded = x if isinstance(x, Encoded) else encode(self.features.fit(x), x)
        if encoded.z.shape[1] != self.circuit.n_features:
            msg = (
                f"expected features for the {self.circuit.n_features} data columns of the circuit, got "
                f"{encoded.z.shape[1]} components; change n_components or the circuit"
            )
            raise ShapeError(msg)
        return encoded

    def objective_for(self, n_classes: int) -> Objective:
        """What training minimises, with a readout for so many classes."""
        readout = self.readout(self.observables.size, n_classes)
        return Objective(self.circuit, self.observables, readout, self.loss, self.penalty, self.circuit_scale)

    def _repr_html_(self) -> str:
        from q_store.models.card import html

        return html(self)

    # ----------------------------------------------------------------------------------------------------------- files

    def save(self, path: str | Path) -> None:
        """Write preprocessing, circuit, readout and parameters into one file; see `models.saved`."""
        from q_store.models.saved import save

        save(self, Path(path))

    @staticmethod
    def load(path: str | Path, *, backend: AnyExecutor | None = None) -> Model:
        """The trained model in a file; RunError when it is missing, damaged or of a newer version."""
        from q_store.models.saved import load

        model: Model = load(Path(path), backend)
        return model


def _held_out(validation: Any, encoded: Encoded, classes: Array) -> tuple[Array, Array]:
    given, y = validation if isinstance(validation, tuple) else (validation, None)
    x, labels = intake.pair(given, y, "validation")
    return encoded.more(x).z, intake.numbers(labels, classes, "validation")
