"""What the trainer of v3.4 trains: features, a circuit, what is measured, a readout, and one vector of parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.apps.legacy.backends import executor_of
from q_store.circuits.circuit import Circuit
from q_store.circuits.observables import Observables
from q_store.config import ModelShape
from q_store.errors import ConfigError, RunError, ShapeError
from q_store.jobs import drive_async
from q_store.models.checks import host
from q_store.training.loss import Loss, SquaredError
from q_store.training.objective import Objective
from q_store.training.readout import Readout

Array = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]


class Layer:
    """The trainable circuit of a model: its parameters, some of which may be kept as they are.

    Attributes:
        circuit: the ansatz, with the encoding of the data before it. frozen: numbers of parameters that stay.
    """

    def __init__(self, owner: Variational) -> None:
        self._owner = owner

    @property
    def parameters(self) -> Reals:
        """[P], a view: what is written into it is what the model has."""
        return self._owner.parameters

    def update_parameters(self, values: npt.ArrayLike) -> None:
        """Other values [P]. Raises ShapeError."""
        self._owner.parameters = values

    def freeze_parameters(self, numbers: Iterable[int]) -> None:
        """Keep these parameters as they are. Raises ConfigError for one that there is not."""
        chosen = {int(each) for each in numbers}
        size = len(self.parameters)
        if not chosen <= set(range(size)):
            raise ConfigError(f"expected parameters of 0..{size - 1}, got {sorted(chosen - set(range(size)))}")
        self._owner.frozen |= chosen

    def unfreeze_parameters(self, numbers: Iterable[int] | None = None) -> None:
        """Train these parameters again; None: all."""
        self._owner.frozen -= set(self._owner.frozen if numbers is None else numbers)


class Variational:
    """The common part; `QuantumModel` and `QuantumFashionClassifier` say what they are made of.

    Attributes:
        circuit, observables, readout: of the model.
        shape: what the circuit is like.
        vector: [P + weights]. frozen: numbers of circuit parameters that training leaves alone.
        backend: what runs it by itself, see `legacy.backends.executor_of`.
    """

    shape: ModelShape

    def __init__(self, backend: Any, seed: int) -> None:
        self.backend, self.seed = backend, seed
        self.frozen: set[int] = set()
        self.quantum_layer = Layer(self)

    def _make(self, circuit: Circuit, observables: Observables, readout: Readout) -> None:
        self.circuit, self.observables, self.readout = circuit, observables, readout
        self.vector = self.objective(SquaredError()).initial(self.seed)

    def shaped(self, shape: ModelShape) -> None:
        """Take from a configuration what the model was not told itself; before the first training only."""

    def fit_features(self, x: Any) -> None:
        """Fit the preprocessing to training rows, where there is one."""

    def encode(self, x: Any) -> Array:
        """Rows as the circuit takes them, [B, D]."""
        raise NotImplementedError

    def objective(self, loss: Loss) -> Objective:
        """What training minimises."""
        return Objective(self.circuit, self.observables, self.readout, loss, circuit_scale=0.1)

    @property
    def parameters(self) -> Reals:
        """Angles of the circuit [P], a view of the vector."""
        return self.vector[: self.circuit.n_params]

    @parameters.setter
    def parameters(self, values: npt.ArrayLike) -> None:
        given = np.asarray(values, dtype=np.float64)
        if given.shape != self.parameters.shape:
            raise ShapeError(f"expected {len(self.parameters)} parameters, got shape {list(given.shape)}")
        self.parameters[:] = given

    @property
    def weights(self) -> Reals:
        """Of the readout, a view of the vector."""
        return self.vector[self.circuit.n_params :]

    @property
    def n_qubits(self) -> int:
        """Of the circuit."""
        return self.circuit.n_qubits

    @property
    def depth(self) -> int:
        """Layers of the ansatz."""
        return len(self.circuit.layers)

    async def outputs(self, x: Any, shots: int | None = None, seed: int = 0) -> Array:
        """Outputs [B, C] of rows [B, ...]; exact without shots, where the backend can."""
        executor = executor_of(self.backend)
        plan = self.objective(SquaredError()).outputs(self.vector, self.encode(x), shots, seed)
        return np.asarray(await drive_async(plan, executor), dtype=np.float64)  # type: ignore[arg-type]  # both kinds do

    def load_vector(self, vector: npt.ArrayLike) -> None:
        """Take over all parameters. Raises RunError for those of another model."""
        given = np.asarray(vector, dtype=np.float64)
        if given.shape != self.vector.shape:
            raise RunError(
                f"expected {len(self.vector)} parameters of this model, got {list(given.shape)}; make it as it was"
            )
        self.vector[:] = given

    def save_state(self) -> dict[str, Any]:
        """Parameters and what the model is, as JSON takes it."""
        return {"circuit": self.circuit.digest, "vector": self.vector.tolist(), "frozen": sorted(self.frozen)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on with these parameters. Raises ConfigError for those of another circuit."""
        if state.get("circuit") != self.circuit.digest:
            raise ConfigError("expected the parameters of this circuit, got those of another; make the model as it was")
        self.vector[:] = state["vector"]
        self.frozen = set(state["frozen"])


def rows_of(x: Any, width: int, name: str) -> Reals:
    """Rows [B, width] as float64, images flattened. Raises ShapeError for another width."""
    given = host(x).astype(np.float64)
    rows = given.reshape(len(given), -1) if given.ndim > 1 else given.reshape(1, -1)
    if rows.shape[1] != width:
        raise ShapeError(
            f"expected rows of {width} values for {name}, got {list(given.shape)}; change input_dim or the data"
        )
    return rows
