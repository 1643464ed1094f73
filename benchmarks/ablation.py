"""Every flag of the v3.5 document by itself, on top of the document's own configuration; for document.py.

The model is the document's classifier (64 components as amplitudes, 4 layers of RY, RZ and a chain of CNOTs on 6
qubits, 10 outputs), with its learning rate, ten images a step and so 20 circuits of SPSA. All names go through
`TrainingConfig` and `QuantumTrainer`.

flags       on the wire: through the client, the pool and emulators in this process, in virtual time: 1.7 s a circuit,
            one circuit at a time, .1 s a round trip; 5 epochs of 4 steps (of 1 with shifts, which take 50 times the
            circuits). The emulated machine samples: frequencies of so many shots, no error of gates. A call holds one
            of the connections that the configuration allows. What is counted is what the service received.
learning    what a flag does to the model: the document's 20 epochs, of 30 steps, on the engine of this machine
            (`quantum_sdk="mock"`), which samples the same shots. Accuracies are exact values of the whole circuit, of
            500 held-out images, and of the 1,000 bundled test images once, at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any
from unittest.mock import patch

import httpx
import numpy as np

from q_store import QuantumFashionClassifier, QuantumTrainer, TrainingConfig
from q_store.apps import remote
from q_store.emulator.clock import run_virtual
from q_store.emulator.emulator import Emulator
from q_store.emulator.physics import Physics
from q_store.errors import ConfigError
from q_store.models.fashion_mnist import load_bundled

SECONDS, TRIP = 1.7, 0.1
BATCH, EPOCHS, HELD_OUT = 10, 5, 500
STEPS, FEW = 4, 1
"""Steps an epoch on the wire, and those of methods that take 50 times the circuits."""
LEARNING = {"quantum_sdk": "mock", "backends": {}, "epochs": 20}
LEARNING_STEPS = 30
NOISE = "aria-1"
BASE, FEW_BASE = "without", "without, fewer steps"
SHIFT = "parameter_shift"
"""Not a flag of v3.5: tells what of the natural gradient is its estimator, and what its metric."""
MEMBERS = [{"provider": "ionq", "target": "simulator", "noise": NOISE, "api_key": f"key-{k}"} for k in range(3)]
CONFIGURATION = {
    "quantum_sdk": "ionq", "quantum_target": "simulator", "backends": {"noise": NOISE}, "n_qubits": 6,
    "circuit_depth": 4, "batch_size": BATCH, "epochs": EPOCHS, "learning_rate": 0.01, "gradient_method": "spsa",
}  # fmt: skip
FLAGS: dict[str, dict[str, Any]] = {
    "enable_multi_backend, 3 members": {"enable_multi_backend": True, "backend_configs": MEMBERS},
    **{
        f"adaptive_circuit_depth, {schedule}": {"adaptive_circuit_depth": True, "circuit_depth_schedule": schedule}
        for schedule in ("fixed", "linear", "exponential", "step", "grow")
    },
    "adaptive_shot_allocation": {"adaptive_shot_allocation": True},
    "gate_merging": {"gate_merging": True},
    "identity_removal": {"identity_removal": True},
    "entanglement_pruning": {"entanglement_pruning": True},
    "enable_circuit_optimization": {"enable_circuit_optimization": True},
    "use_concurrent_submission=False": {"use_concurrent_submission": False},
    "use_native_gates=False": {"use_native_gates": False},
    "enable_smart_caching=False": {"enable_smart_caching": False},
    "connection_pool_size=1": {"connection_pool_size": 1},
    "connection_pool_size=20": {"connection_pool_size": 20},
    "enable_performance_tracking=False": {"enable_performance_tracking": False},
    "enable_dashboard": {"enable_dashboard": True},
}
COSTLY: dict[str, dict[str, Any]] = {
    SHIFT: {"gradient_method": SHIFT},
    "natural_gradient": {"gradient_method": "natural_gradient"},
    "enable_all_v35_features, spsa": {"enable_all_v35_features": True},
    "enable_all_v35_features, natural_gradient": {
        "enable_all_v35_features": True,
        "gradient_method": "natural_gradient",
    },
}
ALIKE = ("enable_multi", "use_", "enable_smart", "connection", "enable_performance", "enable_dashboard")
"""Flags that train the same: left out of `learning`."""


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


@cache
def images() -> Any:
    return load_bundled()


def fit(names: dict[str, Any], steps: int, seed: int, wire: Wire | None = None) -> dict[str, Any]:
    """A training of so many steps an epoch, and what it came to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the dashboard, and of what does not act by itself
        config = TrainingConfig(**{**CONFIGURATION, **names}, training={"seed": seed})
    data, model = images(), QuantumFashionClassifier(seed=seed)
    rows = np.random.default_rng(seed).permutation(len(data.train.x))[: BATCH * steps]
    model.fit_features(data.train.x[:2000])
    trainer, used = QuantumTrainer(config), time.process_time()

    async def go() -> float:
        start = asyncio.get_running_loop().time()
        await trainer.train(model, (data.train.x[rows], data.train.y[rows]))
        return asyncio.get_running_loop().time() - start

    with _apart(wire):
        seconds = run_virtual(go()) if wire else asyncio.run(go())
    used = time.process_time() - used
    history = trainer.training_history
    return {
        "seed": seed, "steps": config.epochs * steps, "seconds": round(seconds, 2), "processor_seconds": round(used, 2),
        "circuits": sum(each.n_circuit_executions for each in history), "shots": sum(each.shots for each in history),
        "validation": accuracy(model, data.validation, HELD_OUT), "test": accuracy(model, data.test, None),
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


def accuracy(model: QuantumFashionClassifier, part: Any, count: int | None) -> float:
    outputs = asyncio.run(model.outputs(part.x[:count], None))
    return float(np.mean(outputs.argmax(axis=1) == part.y[:count]))


def on_the_wire(names: dict[str, Any], steps: int, seed: int) -> dict[str, Any]:
    """`fit` against emulators, with what they received; the trainer's own count is the same, or it is an error."""
    wire = Wire(seed, names.get("connection_pool_size", 5))
    found = fit({"quantum_api_key": "key-0", **names}, steps, seed, wire)
    if wire.received["circuits"] != found["circuits"]:
        raise SystemExit(f"{names}: {wire.received['circuits']} circuits received, {found['circuits']} counted")
    return {**found, **wire.received}


def flags(seeds: int) -> dict[str, list[dict[str, Any]]]:
    """Runs on the wire, by name."""
    plan = {BASE: ({}, STEPS), **{name: (names, STEPS) for name, names in FLAGS.items()}, FEW_BASE: ({}, FEW)}
    plan |= {name: (names, FEW) for name, names in COSTLY.items()}
    return {name: _told(name, partial(on_the_wire, names, steps), seeds) for name, (names, steps) in plan.items()}


def learning(seeds: int) -> dict[str, list[dict[str, Any]]]:
    """Runs on the engine here, by name."""
    plan = {BASE: {}, **{name: names for name, names in FLAGS.items() if not name.startswith(ALIKE)}, **COSTLY}
    return {
        name: _told(name, partial(fit, {**LEARNING, **names}, LEARNING_STEPS), seeds) for name, names in plan.items()
    }


def _told(name: str, once: Callable[[int], dict[str, Any]], seeds: int) -> list[dict[str, Any]]:
    """The runs; of what is refused, why."""
    runs = []
    for seed in range(seeds):
        try:
            runs.append(once(seed))
        except ConfigError as error:
            runs.append({"seed": seed, "refused": str(error)})
        print(name, runs[-1], flush=True)
    return runs
