"""Qiskit Aer as a backend: larger circuits than the local engine takes, noise models, and GPUs.

| | answers |
|---|---|
| without noise | exact probabilities, from the state vector |
| noise on gates, to 10 qubits | exact probabilities, from the density matrix |
| noise on gates and more qubits, or errors of the readout | frequencies; a circuit's own seed makes its samples |
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends.base import Slice
from q_store.backends.binding import Binder, Recent, check, freed, slices, wanted
from q_store.backends.distributions import Distributions
from q_store.backends.expansion import expand
from q_store.backends.ionq.noise import MODELS
from q_store.backends.threaded import Stop, ThreadedBackend
from q_store.circuits.interop import to_qiskit
from q_store.circuits.interop.imported import require
from q_store.errors import CapabilityError, ConfigError, suggestion
from q_store.jobs import EXACT_ONLY, Capabilities, Job, Output

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DEVICES = ("CPU", "GPU")
MAX_QUBITS = 24
DENSITY_QUBITS = 10
"""Up to here a density matrix is cheaper than a thousand samples of noise."""
_MOST = 1_000
_AT_ONCE = 1 << 20  # probabilities
_KEPT = 64
_SEEDS = 2**31 - 1
_ONE = ("x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg", "rx", "ry", "rz", "p", "r")
_TWO = ("cx", "cz", "swap", "rxx", "ryy", "rzz")


class AerBackend(ThreadedBackend):
    """Simulation by Qiskit Aer, in slices and in a worker thread. Needs the extra `aer`.

    Args:
        noise: a `qiskit_aer.noise.NoiseModel`, or the name of one of IonQ's (`ionq.noise.MODELS`): a depolarising
            channel after every gate. Circuits are written in the gates of the model first.
        device: 'CPU' or 'GPU'; without a GPU that Aer can use it is the CPU, with a warning.
        max_qubits: refuse larger circuits; memory grows with 2^n.
        workers: 1: slices run in a thread; 0: within `submit`. Aer has threads of its own.

    Raises:
        CapabilityError: without the extra. ConfigError: for an unknown device or noise model.
    """

    def __init__(
        self, noise: Any = None, device: str = "CPU", *, max_qubits: int = MAX_QUBITS, workers: int = 1
    ) -> None:
        require("aer", "qiskit_aer")
        if device not in DEVICES:
            raise ConfigError(f"expected the device CPU or GPU, got {device!r}{suggestion(str(device), DEVICES)}")
        self.device = _present(device)
        self.noise = depolarising(noise) if isinstance(noise, str) else noise
        if self.noise is not None and self.noise.is_ideal():
            self.noise = None
        self._exact = self.noise is None or "measure" not in self.noise.noise_instructions
        name = "aer" if self.device == "CPU" else "aer gpu"
        outputs = frozenset(Output) - EXACT_ONLY
        noise_id = "ideal" if self.noise is None else f"aer:{digest(self.noise)}"
        super().__init__(Capabilities(name, outputs, max_qubits, exact=self._exact, noise_id=noise_id), workers)
        self._binder = Binder()
        self._circuits: Recent[tuple[Any, Any]] = Recent(_KEPT)

    def plan(self, job: Job, numbers: Ints | None = None, shots: Ints | None = None) -> list[Slice]:
        """The slices of a job; see `backends.base.Backend`."""
        own = self.capabilities
        expansion = expand(job, own.name)
        exact = self._exact and (self.noise is None or job.circuit.n_qubits <= DENSITY_QUBITS)
        if job.shots is None and self._exact and not exact:
            raise CapabilityError(
                f"expected at most {DENSITY_QUBITS} qubits for exact values with noise, got {job.circuit.n_qubits}; "
                "give shots"
            )
        check(job, own.name, own.max_qubits, exact=exact)
        settings = self._binder.settings(expansion, wanted(expansion, numbers, shots))
        # the number of a circuit tells its samples from those of others, so the seed is that of the job
        return list(slices(settings, lambda _: job.seed, exact=exact, most=_MOST))

    def step(self, part: Slice) -> int:
        """See `ThreadedBackend`."""
        return _AT_ONCE >> part.circuit.n_qubits if part.shots is None else 1

    def measure(self, part: Slice, stop: Stop) -> Distributions:  # noqa: ARG002  # between steps will do
        """See `ThreadedBackend`."""
        circuit, simulator = self._ready(part)
        if part.shots is None:
            found = [data["probabilities"] for data in _results(simulator, circuit, part.angles)]
            return Distributions.from_dense(np.maximum(found, 0.0))
        rows: list[dict[int, float]] = []
        for number, angles in zip(part.numbers.tolist(), part.angles, strict=True):
            options = {"shots": part.shots, "seed_simulator": _seed(part.seed, number)}
            (data,) = _results(simulator, circuit, angles[None], **options)
            rows.append({int(state, 16): count for state, count in data["counts"].items()})
        return Distributions.of(rows, part.circuit.n_qubits)

    def _ready(self, part: Slice) -> tuple[Any, Any]:
        """The circuit for Aer with free angles, and a simulator for it."""
        return self._circuits.get(
            (part.circuit.digest, part.shots is None), lambda: self._compiled(part.circuit, exact=part.shots is None)
        )

    def _compiled(self, circuit: Any, *, exact: bool) -> tuple[Any, Any]:
        from qiskit import transpile
        from qiskit_aer import AerSimulator

        method = "density_matrix" if exact and self.noise is not None else "statevector"
        simulator = AerSimulator(method=method, device=self.device, noise_model=self.noise)
        # level 0: nothing is merged, so that every gate has its noise
        out = transpile(to_qiskit(freed(circuit)), simulator, optimization_level=0)
        if exact:
            out.save_probabilities()  # type: ignore[no-untyped-call, unused-ignore]  # Aer adds it
        else:
            out.measure_all()
        return out, simulator


def _results(simulator: Any, circuit: Any, angles: Reals, **options: Any) -> Iterator[Any]:
    """What Aer answers for each row of angles."""
    if not circuit.parameters:  # equal circuits, with equal answers
        yield from [simulator.run([circuit], **options).result().data(0)] * len(angles)
        return
    columns = [angle.index for angle in circuit.parameters]
    if any(_is_bound_wrongly(item.operation) for item in circuit.data):
        circuits = [circuit.assign_parameters(row) for row in angles[:, columns]]
        found = simulator.run(circuits, **options).result()
    else:  # five times as fast
        values = [{angle: angles[:, k].tolist() for angle, k in zip(circuit.parameters, columns, strict=True)}]
        found = simulator.run([circuit], parameter_binds=values, **options).result()
    for k in range(len(angles)):
        yield found.data(k)


def _is_bound_wrongly(gate: Any) -> bool:
    """Whether Aer gives the angle of a gate a wrong value: it does under a control (qiskit-aer issue 2323)."""
    return bool(getattr(gate, "num_ctrl_qubits", 0)) and any(hasattr(angle, "parameters") for angle in gate.params)


def depolarising(name: str) -> Any:
    """One of IonQ's noise models as a `NoiseModel` over gates on one and two qubits; None for `ideal`.

    Raises:
        ConfigError: for a name that there is not.
    """
    from qiskit_aer.noise import NoiseModel, depolarizing_error

    if name not in MODELS:
        raise ConfigError(f"expected a noise model by its name, got {name!r}{suggestion(name, MODELS)}")
    rates = MODELS[name]
    if rates is None:
        return None
    model = NoiseModel(basis_gates=[*_ONE, *_TWO])
    model.add_all_qubit_quantum_error(depolarizing_error(rates.one, 1), list(_ONE))
    model.add_all_qubit_quantum_error(depolarizing_error(rates.two, 2), list(_TWO))
    return model


def digest(noise: Any) -> str:
    """12 hex digits of what a `NoiseModel` does; the names that Aer gives to its errors do not count."""
    content = json.dumps(_anonymous(noise.to_dict(serializable=True)), sort_keys=True, default=str)
    return hashlib.blake2b(content.encode(), digest_size=6).hexdigest()


def _anonymous(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _anonymous(item) for key, item in value.items() if key != "id"}
    return [_anonymous(item) for item in value] if isinstance(value, list | tuple) else value


def _present(device: str) -> str:
    from qiskit_aer import AerSimulator

    if device in AerSimulator().available_devices():
        return device
    warnings.warn("Aer finds no GPU here and uses the CPU; a GPU needs the package qiskit-aer-gpu", stacklevel=3)
    return "CPU"


def _seed(seed: int, number: int) -> int:
    """1..2^31 - 1, another one for each circuit of a job."""
    content = f"{seed} {number}".encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest()) % _SEEDS + 1
