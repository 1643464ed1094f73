"""A circuit as an `nn.Module`: values of its observables, with gradients for its parameters and for its inputs.

layer = Layer(encoders.angle(4) + templates.hardware_efficient(4, 2))
model = torch.nn.Sequential(torch.nn.Linear(784, 4), layer, torch.nn.Linear(4, 10))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cache, cached_property
from hashlib import blake2b
from typing import Any

import numpy as np

from q_store.backends.local import LocalBackend
from q_store.circuits.circuit import Circuit
from q_store.circuits.interop.imported import require
from q_store.circuits.observables import Observable, Observables, collect
from q_store.errors import CapabilityError, CircuitError, ConfigError, InputError, ShapeError
from q_store.gradients.by_row import RowProblem, row_gradient
from q_store.gradients.estimator import GradientEstimator, Memory, Problem, answered
from q_store.jobs import MAX_SHOTS, AnyExecutor, Array, Capabilities, Job, Outcome, Steps, T, drive
from q_store.torch.methods import chosen, gives_inputs, name_of

require("torch", "torch")
import torch  # noqa: E402  # after the check that says what to install

Tensor = Any  # torch.Tensor; PyTorch is optional, so its classes are Any
Init = float | Array | Callable[[Tensor], Any]
PRECISIONS = {torch.float32: "float32", torch.float64: "float64"}
CALLS, CIRCUITS, SHOTS = range(3)
_MEMORY = "estimator."


class Layer(torch.nn.Module):  # type: ignore[misc]  # PyTorch is optional, so its classes are Any
    """Values of observables of a circuit, [..., M] from inputs [..., D], with a trainable `theta` [P].

    Inputs and values have the same type, float32 or float64, and are on the CPU. Columns that a leading `prepare` loads
    as amplitudes are scaled to unit norm here.

    Args:
        circuit: P parameters, D features; called without inputs where D is 0, and then gives [M].
        observables: what is measured; None: Z on every qubit.
        executor: what runs circuits: a backend or a pool. None: the local engine, in the precision of the inputs.
        shots: shots a circuit; None for exact values. Each call draws new samples.
        gradient: 'auto' (adjoint where the executor has it and values are exact, else parameter shift), 'adjoint',
            'parameter_shift', 'finite_difference', 'spsa', or an estimator of `q_store.gradients`.
        seed: of the first parameters, the samples and the directions of SPSA, 0 or more.
        init: standard deviation of the first parameters, or an array [P], or a function that fills a tensor in place.
        input_gradient: whether inputs get a gradient; False: they are taken as data, which saves circuits.

    Attributes:
        theta: [P], the parameters.
        circuits_used, shots_used, calls: what the layer has run so far, gradients included, and how often it has been
            asked for values or gradients; part of `state_dict`.

    Raises:
        InputError, CircuitError, ShapeError: for arguments that do not fit.
        ConfigError: for contradictions, e.g. adjoint with shots.
        CapabilityError: for an executor that cannot do what is asked.
    """

    def __init__(
        self,
        circuit: Circuit,
        observables: Observables | Sequence[Observable] | None = None,
        *,
        executor: AnyExecutor | None = None,
        shots: int | None = None,
        gradient: str | GradientEstimator = "auto",
        seed: int = 0,
        init: Init = 0.1,
        input_gradient: bool = True,
    ) -> None:
        super().__init__()
        if not isinstance(circuit, Circuit):
            raise InputError(f"expected a q_store Circuit, got {type(circuit).__name__}; see q_store.circuits.interop")
        self.circuit = circuit
        self.observables = Observables.local_z(circuit.n_qubits) if observables is None else collect(observables)
        self.observables.check(circuit.n_qubits)
        if not self.observables.size:
            raise CircuitError("expected one observable or more, got none; None measures Z on every qubit")
        self.shots, self.seed = _whole("shots", shots, 1), _whole("a seed", seed, 0) or 0
        self.input_gradient, self._asked = bool(input_gradient), gradient
        self._left_out = False
        self.executor = executor
        self.theta = torch.nn.Parameter(_first(init, circuit.n_params, self.seed))
        self.register_buffer("counters", torch.zeros(3, dtype=torch.int64))
        self.register_buffer("fingerprint", torch.tensor(list(self._digest), dtype=torch.uint8))

    @property
    def executor(self) -> AnyExecutor | None:
        """What runs circuits; None: the local engine. Set it to move the layer to another one."""
        return self._executor

    @executor.setter
    def executor(self, executor: AnyExecutor | None) -> None:
        can = _capabilities(executor)
        if self.circuit.n_qubits > can.max_qubits:
            raise CapabilityError(
                f"expected a circuit of at most {can.max_qubits} qubits for {can.name}, got {self.circuit.n_qubits}; "
                "choose another executor"
            )
        if self.shots is None and not can.exact:
            raise ConfigError(f"expected shots, as {can.name} has no exact values, got None; try shots=1000")
        self.estimator = chosen(self._asked, can, self.shots)
        self._executor, self._left_out = executor, False

    @property
    def gradient(self) -> str:
        """The name of the method in use."""
        return name_of(self.estimator)

    @property
    def calls(self) -> int:
        """How often values or gradients were asked for."""
        return int(self.counters[CALLS])

    @property
    def circuits_used(self) -> int:
        """Circuits run so far, those of gradients included."""
        return int(self.counters[CIRCUITS])

    @property
    def shots_used(self) -> int:
        """Shots paid so far, those of gradients included."""
        return int(self.counters[SHOTS])

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # a compiled model runs this layer as it is
    def forward(self, x: Tensor | None = None) -> Tensor:
        """Values [..., M] of inputs x[..., D]; [M] without inputs.

        Raises:
            ShapeError: for another number of columns. InputError: for another device or type, a NaN or an infinity, or
                amplitudes that are all zero. And what the executor raises.
        """
        self._check(x)
        if x is None:
            return _Values.apply(self, self.theta, self.theta.new_zeros((1, 0)))[0]
        rows = x.reshape(x.shape[:-1].numel(), self.circuit.n_features)
        if not self.input_gradient:
            rows = rows.detach()
        values = _Values.apply(self, self.theta, self._normalised(rows))
        return values.reshape(*x.shape[:-1], self.observables.size)

    def extra_repr(self) -> str:
        """What `print` shows."""
        circuit = self.circuit
        return (
            f"{circuit.n_features} -> {self.observables.size}, qubits={circuit.n_qubits}, params={circuit.n_params}, "
            f"executor={_capabilities(self._executor).name}, shots={self.shots}, gradient={self.gradient}"
        )

    def _check(self, x: Tensor | None) -> None:
        columns = self.circuit.n_features
        if x is None and columns:
            raise ShapeError(f"expected inputs [..., {columns}], got none; the circuit reads features")
        for what, tensor in (("inputs", x), ("theta", self.theta)):
            if tensor is None:
                continue
            if not isinstance(tensor, torch.Tensor):
                raise InputError(f"expected {what} as a torch.Tensor, got {type(tensor).__name__}; torch.as_tensor(x)")
            if tensor.device.type != "cpu":
                raise InputError(f"expected {what} on the CPU, got {tensor.device}; this layer runs there: use .cpu()")
            if tensor.dtype not in PRECISIONS:
                raise InputError(f"expected {what} of float32 or float64, got {tensor.dtype}; use .float()")
        if x is not None and (not x.ndim or x.shape[-1] != columns):
            raise ShapeError(f"expected inputs [..., {columns}], a column for each feature, got {list(x.shape)}")

    def _normalised(self, rows: Tensor) -> Tensor:
        """With amplitudes of unit norm."""
        finite = torch.isfinite(rows).all(dim=1)
        if not finite.all():
            bad = int((~finite).nonzero()[0])
            raise InputError(f"expected finite inputs, got a NaN or an infinity in row {bad}; check what comes before")
        if self.circuit.prepare is None:
            return rows
        first, number = self.circuit.prepare.columns
        own = rows[:, first : first + number]
        norms = torch.linalg.vector_norm(own, dim=1, keepdim=True)
        if not norms.all():
            bad = int((norms == 0).nonzero()[0, 0])
            raise InputError(f"expected amplitudes that are not all zero, got a zero vector in row {bad}; drop it")
        return torch.cat([rows[:, :first], own / norms, rows[:, first + number :]], dim=1)

    # ------------------------------------------------------------------------------------------------------------ work

    def _values(self, theta: Array, x: Array) -> Array:
        """[R, M]."""
        exact = self.shots is None
        job = Job(self.circuit, x, theta[None], self.observables, shots=self.shots, seed=self._draw(), reuse=exact)
        outcome = self._run(_one(job), x.dtype)
        groups = 1 if exact else len(self.observables.groups())
        self._count(groups * outcome.rows, outcome.shots_paid)
        return answered(outcome)

    def _gradients(
        self, theta: Array, x: Array, cotangents: Array, *, of_params: bool, of_data: bool
    ) -> tuple[Array | None, Array | None]:
        """[P] and [R, D], None where not asked for."""
        seed = self._draw()
        if gives_inputs(self.estimator):
            problem = RowProblem(
                self.circuit, self.observables, theta.astype(np.float64), x, cotangents, of_params, of_data, self.shots,
                seed,
            )  # fmt: skip
            found = self._run(row_gradient(problem, self.estimator), x.dtype)
            self._count(found.circuits, found.shots)
            return found.params, found.data
        if of_data:
            raise CapabilityError(
                f"expected a gradient that has derivatives of inputs, got {self.gradient}; choose "
                "gradient='parameter_shift' or 'spsa', or say input_gradient=False"
            )

        def some(index: Array) -> Callable[[Array], Array]:
            return lambda _: cotangents[index] * (len(cotangents) / len(index))  # of a part, scaled up to all rows

        asked = Problem(
            self.circuit, self.observables, theta.astype(np.float64), x, lambda _: cotangents, self.shots, seed, some
        )
        estimate = self._run(self.estimator.estimate(asked), x.dtype)
        self._count(estimate.circuits, estimate.shots)
        return estimate.gradient, None

    def _run(self, steps: Steps[T], dtype: Any) -> T:
        if self._left_out:
            raise ConfigError("expected an executor, got none: a pickle keeps no connection; set layer.executor first")
        return drive(steps, _local(dtype.name) if self._executor is None else self._executor)

    def _draw(self) -> int:
        """A seed for this call: samples are new each time, and the same when everything is repeated."""
        self.counters.numpy()[CALLS] += 1
        return int.from_bytes(blake2b(b"%d %d" % (self.seed, self.calls), digest_size=6).digest())

    def _count(self, circuits: int, shots: int) -> None:
        self.counters.numpy()[CIRCUITS:] += circuits, shots

    # --------------------------------------------------------------------------------------------------- saved, copied

    @cached_property
    def _digest(self) -> bytes:
        return bytes.fromhex(self.circuit.digest)[:16] + bytes.fromhex(self.observables.digest)[:16]

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:  # noqa: FBT001
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if isinstance(self.estimator, Memory):
            for name, array in self.estimator.arrays().items():
                destination[f"{prefix}{_MEMORY}{name}"] = torch.tensor(array)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        _, _, _, unexpected, errors = rest
        given = state.get(f"{prefix}fingerprint")
        if given is not None and not torch.equal(given, self.fingerprint):
            errors.append(f"expected the state of the same circuit and observables at {prefix!r}, got that of others")
            return
        super()._load_from_state_dict(state, prefix, *rest)
        if isinstance(self.estimator, Memory):
            own = {key: value for key, value in state.items() if key.startswith(prefix + _MEMORY)}
            self.estimator.restore({key[len(prefix + _MEMORY) :]: value.numpy() for key, value in own.items()})
            unexpected[:] = [key for key in unexpected if key not in own]

    def __deepcopy__(self, memo: dict[int, Any]) -> Layer:
        """Another layer with parameters of its own, on the same executor."""
        twin: Layer = type(self).__new__(type(self))
        memo[id(self)] = twin
        memo |= {id(shared): shared for shared in (self._executor, self.circuit, self.observables)}
        twin.__dict__.update(deepcopy(self.__dict__, memo))
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """For pickle: without an executor other than the local engine, as that may hold connections and keys."""
        state = self.__dict__.copy()
        if not isinstance(self._executor, LocalBackend | None):
            state |= {"_executor": None, "_left_out": True}
        return state


class _Values(torch.autograd.Function):  # type: ignore[misc]  # as above
    """Values forward; derivatives are run in the backward pass, so that a forward pass alone costs none."""

    @staticmethod
    def forward(ctx: Any, layer: Layer, theta: Tensor, x: Tensor) -> Tensor:
        ctx.layer = layer
        ctx.save_for_backward(theta, x)
        if not len(x):
            return x.new_zeros((0, layer.observables.size))
        return torch.tensor(layer._values(_array(theta), _array(x)), dtype=x.dtype)  # noqa: SLF001  # its other half

    @staticmethod
    def backward(ctx: Any, cotangents: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        theta, x = ctx.saved_tensors
        _, of_params, of_data = ctx.needs_input_grad
        if not len(x):
            return None, torch.zeros_like(theta), torch.zeros_like(x)
        given = (theta, x, cotangents)
        found = ctx.layer._gradients(*map(_array, given), of_params=of_params, of_data=of_data)  # noqa: SLF001
        d_theta, d_x = (
            None if each is None else _Once.apply(torch.tensor(each, dtype=like.dtype), *given)
            for each, like in zip(found, given, strict=False)
        )
        return None, d_theta, d_x


class _Once(torch.autograd.Function):  # type: ignore[misc]  # as above
    """A derivative as it is; with create_graph=True it depends on what it was taken from, and refuses to say how.

    PyTorch's own `once_differentiable` takes it for a constant where the cotangents are.
    """

    @staticmethod
    def forward(_: Any, derivative: Tensor, *_sources: Tensor) -> Tensor:
        return derivative

    @staticmethod
    def backward(_: Any, *_cotangents: Tensor) -> None:
        raise CapabilityError(
            "expected first derivatives of a circuit layer, got a second one; leave out create_graph=True, or detach() "
            "the first"
        )


def _array(tensor: Tensor) -> Array:
    return tensor.detach().contiguous().numpy()  # type: ignore[no-any-return]


def _one(job: Job) -> Steps[Outcome]:
    (outcome,) = yield [job]
    return outcome


@cache
def _local(precision: str) -> LocalBackend:
    """The engine of layers without an executor; layers share what it has compiled."""
    return LocalBackend(precision=precision)


def _capabilities(executor: AnyExecutor | None) -> Capabilities:
    can = getattr(_local("float32") if executor is None else executor, "capabilities", None)
    if not isinstance(can, Capabilities):
        raise InputError(f"expected an executor, a backend or a pool, got {type(executor).__name__}")
    return can


def _whole(what: str, value: int | None, least: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= MAX_SHOTS:
        raise InputError(f"expected {what} of {least} or more, at most {MAX_SHOTS}, got {value!r}")
    return int(value)


def _first(init: Init, size: int, seed: int) -> Tensor:
    """The first parameters [P]."""
    out = torch.empty(size)
    if callable(init):
        init(out)
        return out
    given = np.asarray(init, dtype=float)
    if not given.ndim:
        given = np.random.default_rng([seed, 0]).normal(0.0, abs(float(given)), size)
    if given.shape != (size,) or not np.isfinite(given).all():
        raise ShapeError(f"expected {size} finite first parameters, got {list(given.shape)}: {init!r}")
    return torch.tensor(given, dtype=out.dtype)
