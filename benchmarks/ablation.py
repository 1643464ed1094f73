"""Every flag of v3.4 and v3.5 by itself, on top of the document's own configuration; for document.py.

The model is the document's classifier (64 components as amplitudes, 4 layers of RY, RZ and a chain of CNOTs on 6
qubits, 10 outputs), with its learning rate, ten images a step and so 20 circuits of SPSA. All names go through
`TrainingConfig` and `QuantumTrainer`. `LEFT_OUT` says why a name is in no row.

flags       on the wire: through the client, the pool and emulators in this process, in virtual time: 1.7 s a circuit,
            one circuit at a time, .1 s a round trip; 5 epochs of 1 step, of two images with gradients by shifts, which
            take 50 times the circuits. The emulated machine samples: frequencies of so many shots, no
            error of gates. A call holds one of the connections that the configuration allows. What is counted is what
            the service received.
learning    what a flag does to the model: the document's 20 epochs, of 30 steps, on the engine of this machine
            (`quantum_sdk="mock"`), which samples the same shots. Accuracies are exact values of the whole circuit, of
            500 held-out images, and of 1,000 test images once, at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import inputs
import numpy as np
from document_rows import SECONDS, TRIP, WITHOUT

from q_store import QuantumFashionClassifier, QuantumTrainer, TrainingConfig
from q_store.apps import remote
from q_store.apps.legacy.layers import ansatz
from q_store.circuits import encoders
from q_store.config.sections import ENTANGLEMENTS
from q_store.emulator.clock import run_virtual
from q_store.emulator.emulator import Emulator
from q_store.emulator.physics import Physics
from q_store.errors import ConfigError

BATCH, EPOCHS, HELD_OUT, TEST = 10, 5, 500, 1000
STEPS, FEW_BATCH = 1, 2
"""Steps an epoch on the wire, and images a step of methods that take 50 times the circuits."""
LEARNING = {"quantum_sdk": "mock", "backends": {}, "epochs": 20}
LEARNING_STEPS = 30
NOISE = "aria-1"
BASE, FEW_BASE = WITHOUT, f"{WITHOUT}, few images"
MEMBERS = [{"provider": "ionq", "target": "simulator", "noise": NOISE, "api_key": f"key-{k}"} for k in range(3)]
CONFIGURATION = {
    "quantum_sdk": "ionq", "quantum_target": "simulator", "backends": {"noise": NOISE}, "n_qubits": 6,
    "circuit_depth": 4, "batch_size": BATCH, "epochs": EPOCHS, "learning_rate": 0.01, "gradient_method": "spsa",
}  # fmt: skip
Flags = dict[str, dict[str, Any]]


def _plain(**names: Any) -> Flags:
    """A row for each name with this value."""
    return {
        name if value is True else f"{name}={value}": {name: value}
        for name, values in names.items()
        for value in (values if isinstance(values, list) else [values])
    }


TRAVEL: Flags = {
    "enable_multi_backend, 3 members": {"enable_multi_backend": True, "backend_configs": MEMBERS},
    **_plain(
        use_concurrent_submission=False, enable_batch_execution=False, enable_circuit_batching=False,
        max_concurrent_circuits=1, max_parallel_circuits=5, adaptive_batch_sizing=True, connection_pool_size=[1, 20],
        use_native_gates=False, enable_smart_caching=False, enable_circuit_cache=False, cache_size=0,
        batch_submission_timeout=60.0, batch_timeout=60.0, max_queue_wait_time=120.0, checkpoint_interval=1,
        track_gradients=False, log_interval=1, enable_performance_tracking=False, performance_log_dir="figures",
        enable_all_v34_features=True,
    ),
    "none of v3.4": {
        "use_concurrent_submission": False, "use_native_gates": False, "enable_smart_caching": False,
        "enable_circuit_cache": False,
    },
}  # fmt: skip
"""Flags that train the same model: on the wire only."""
SHOTS = {"adaptive_shot_allocation": True}
DEPTH = {"adaptive_circuit_depth": True}
SUBSAMPLED = {"gradient_method": "spsa_subsampled"}
TRAINING: Flags = {
    **{
        f"adaptive_circuit_depth, {schedule}": {**DEPTH, "circuit_depth_schedule": schedule}
        for schedule in ("fixed", "linear", "exponential", "step", "grow")
    },
    "adaptive_circuit_depth, min_circuit_depth=1": {**DEPTH, "min_circuit_depth": 1},
    "max_circuit_depth=2": {"max_circuit_depth": 2},
    "adaptive_shot_allocation": SHOTS,
    "adaptive_shot_allocation, min_shots=100": {**SHOTS, "min_shots": 100},
    "adaptive_shot_allocation, max_shots=1000": {**SHOTS, "max_shots": 1000},
    "adaptive_shot_allocation, base_shots=500": {**SHOTS, "base_shots": 500},
    **_plain(
        shots_per_circuit=100, gate_merging=True, identity_removal=True, entanglement_pruning=True,
        enable_circuit_optimization=True, optimizer="sgd", momentum=0.5, weight_decay=0.01, learning_rate=0.1,
        use_gradient_clipping=False, gradient_clip_value=0.1, spsa_c_initial=0.3, spsa_a_initial=0.1, circuit_depth=2,
        hardware_efficient_ansatz=False, entanglement=["ring", "all_to_all"],
    ),
    "gradient_method=spsa_parallel": {"gradient_method": "spsa_parallel"},
    "gradient_method=spsa_subsampled": SUBSAMPLED,
    "spsa_subsampled, gradient_subsample_size=2": {**SUBSAMPLED, "gradient_subsample_size": 2},
    "gradient_method=adaptive": {"gradient_method": "adaptive"},
    "enable_all_v35_features, spsa": {"enable_all_v35_features": True},
}  # fmt: skip
NATURAL = {"gradient_method": "natural_gradient"}
COSTLY: Flags = {
    "parameter_shift": {"gradient_method": "parameter_shift"},
    "finite_diff": {"gradient_method": "finite_diff"},
    "natural_gradient": NATURAL,
    "natural_gradient, natural_gradient_regularization=0.1": {**NATURAL, "natural_gradient_regularization": 0.1},
    "natural_gradient, qfim_cache_size=0": {**NATURAL, "qfim_cache_size": 0},
    "enable_all_v35_features, natural_gradient": {"enable_all_v35_features": True, **NATURAL},
}
"""By shifts, with or without a metric: 50 times the circuits."""
LEFT_OUT = {
    "what runs, and where; not a switch": ("quantum_sdk", "quantum_api_key", "quantum_target", "checkpoint_directory"),
    "sizes of the problem": ("n_qubits", "batch_size", "epochs"),
    "the same as another name": (
        "use_natural_gradient", "use_batch_api", "multi_backend_orchestration", "adaptive_circuit_complexity",
    ),
    "a page in a browser, nothing on the wire; benchmarks/watching.py has what it costs": (
        "enable_dashboard", "dashboard_port",
    ),
    "nothing, with a warning": ("pinecone_api_key", "pinecone_environment", "pinecone_index_name"),
}  # fmt: skip


@dataclass
class Machine:
    """The distributions that an emulator answers with, and what it received."""

    rng: np.random.Generator
    physics: Physics = field(default_factory=Physics)
    received: Counter[str] = field(default_factory=Counter)

    def __call__(self, received: Any, _backend: str) -> list[dict[int, float]]:
        for group in received.groups:
            rows = len(group.numbers)
            pairs = sum(len(op.controls) + len(op.qubits) == 2 for op in group.circuit.ops)
            self.received.update(
                circuits=rows, shots=rows * received.shots, two_qubit_gates=rows * pairs,
                gates=rows * len(group.circuit.ops),
            )  # fmt: skip
        found = []
        for row in self.physics.distributions(replace(received, noise_model=None), "simulator"):
            states, weights = np.array(list(row)), np.array(list(row.values()))
            counts = self.rng.multinomial(received.shots, weights / weights.sum())
            found.append({int(s): int(c) / received.shots for s, c in zip(states, counts, strict=True) if c})
        return found


class Wire(httpx.AsyncBaseTransport):
    """The way to one emulator for each key, over so many connections each."""

    def __init__(self, seed: int, connections: int) -> None:
        self._seed, self._connections = seed, connections
        self.machines: dict[str, Machine] = {}
        self._ways: dict[str, tuple[httpx.AsyncBaseTransport, asyncio.Semaphore]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        key = request.headers["Authorization"]
        if key not in self._ways:
            machine = self.machines[key] = Machine(np.random.default_rng([self._seed, len(self._ways)]))
            emulator = Emulator(circuit_seconds=SECONDS, rtt=TRIP, seed=1, compute=machine)
            self._ways[key] = emulator.transport(), asyncio.Semaphore(self._connections)
        transport, connections = self._ways[key]
        async with connections:
            response = await transport.handle_async_request(request)
            await response.aread()
            return response

    @property
    def received(self) -> Counter[str]:
        return sum((machine.received for machine in self.machines.values()), Counter())


class AnyRotation(QuantumFashionClassifier):
    """The classifier with RZ, RY and RZ in its layers."""

    def __init__(self, layers: int, pairs: str, **more: Any) -> None:
        super().__init__(circuit_depth=layers, entanglement=pairs, **more)
        circuit = encoders.amplitude(self.n_qubits) + ansatz(self.n_qubits, layers, pairs, plain=False)
        self._make(circuit, self.observables, self.readout)


def classifier(config: TrainingConfig, data: str, seed: int) -> QuantumFashionClassifier:
    """The document's, of as many classes as the data have, on as many qubits as their components fill."""
    shape = config.model
    own = {"n_qubits": shape.n_qubits, "n_classes": inputs.images(data).n_classes, "seed": seed}
    if shape.hardware_efficient:
        return QuantumFashionClassifier(circuit_depth=shape.depth, entanglement=shape.entanglement, **own)
    return AnyRotation(shape.depth, ENTANGLEMENTS[shape.entanglement], **own)


def _qubits(data: str) -> int:
    return inputs.directions(data).bit_length() - 1


def fit(names: dict[str, Any], steps: int, data: str, seed: int, wire: Wire | None = None) -> dict[str, Any]:
    """A training of so many steps an epoch, and what it came to."""
    names = {**CONFIGURATION, "n_qubits": _qubits(data), **names}
    config = TrainingConfig(**names, training={"seed": seed})
    model, (x, y) = classifier(config, data, seed), inputs.part(data, "train", None)
    rows = np.random.default_rng(seed).permutation(len(x))[: config.batch_size * steps]
    model.fit_features(x[:2000])
    trainer, used = QuantumTrainer(config), time.process_time()

    async def go() -> float:
        start = asyncio.get_running_loop().time()
        await trainer.train(model, (x[rows], y[rows]))
        return asyncio.get_running_loop().time() - start

    with _apart(wire), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of what does not act by itself
        seconds = run_virtual(go()) if wire else asyncio.run(go())
    used = time.process_time() - used
    history = trainer.training_history
    return {
        "seed": seed, "steps": config.epochs * steps, "seconds": round(seconds, 2), "processor_seconds": round(used, 2),
        "circuits": sum(each.n_circuit_executions for each in history), "shots": sum(each.shots for each in history),
        "validation": accuracy(model, *inputs.part(data, "validation", HELD_OUT)),
        "test": accuracy(model, *inputs.part(data, "test", TEST)),
        "loss": history[-1].loss, "templates": dict(trainer.usage.templates), "bound": dict(trainer.usage.bound),
    }  # fmt: skip


@contextlib.contextmanager
def _apart(wire: Wire | None) -> Iterator[None]:
    """In a folder of its own, with this way to the service."""
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        patch.object(remote, "transport", lambda: wire),
    ):
        yield


def accuracy(model: QuantumFashionClassifier, x: Any, y: Any) -> float:
    outputs = asyncio.run(model.outputs(x, None))
    return float(np.mean(outputs.argmax(axis=1) == y))


def on_the_wire(names: dict[str, Any], steps: int, data: str, seed: int) -> dict[str, Any]:
    """`fit` against emulators, with what they received; the trainer's own count is the same, or it is an error."""
    wire = Wire(seed, names.get("connection_pool_size", 5))
    found = fit({"quantum_api_key": "key-0", **names}, steps, data, seed, wire)
    if wire.received["circuits"] != found["circuits"]:
        raise SystemExit(f"{names}: {wire.received['circuits']} circuits received, {found['circuits']} counted")
    return {**found, **wire.received}


def flags(data: str, seeds: list[int]) -> dict[str, list[dict[str, Any]]]:
    """Runs on the wire, by name; the first one of a process is not counted: it compiles kernels."""
    on_the_wire({}, STEPS, data, seeds[0])
    found = {
        name: _told(name, partial(on_the_wire, names, STEPS, data), seeds)
        for name, names in {BASE: {}, **TRAVEL, **TRAINING}.items()
    }
    few = {name: {"batch_size": FEW_BATCH, **names} for name, names in {FEW_BASE: {}, **COSTLY}.items()}
    return found | {name: _told(name, partial(on_the_wire, names, STEPS, data), seeds) for name, names in few.items()}


def learning(data: str, seeds: list[int]) -> dict[str, list[dict[str, Any]]]:
    """Runs on the engine here, by name."""
    return {
        name: _told(name, partial(fit, {**LEARNING, **names}, LEARNING_STEPS, data), seeds)
        for name, names in {BASE: {}, **TRAINING, **COSTLY}.items()
    }


def _told(name: str, once: Callable[[int], dict[str, Any]], seeds: list[int]) -> list[dict[str, Any]]:
    """The runs; of what is refused, why."""
    runs = []
    for seed in seeds:
        try:
            runs.append(once(seed))
        except ConfigError as error:
            runs.append({"seed": seed, "refused": str(error)})
        print(name, runs[-1], flush=True)
    return runs


def main() -> int:
    """The two parts by themselves: `python benchmarks/ablation.py --data mine.npz --seeds 5 6 7`."""
    options = inputs.parser(__doc__, Path(__file__).parent / "results" / "ablation.json")
    options.add_argument("--part", choices=["flags", "learning"], nargs="+", default=["flags", "learning"])
    given = inputs.given(options)
    parts = {"flags": flags, "learning": learning}
    found = {part: parts[part](given.data, given.seeds) for part in given.part}
    given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
