"""Emulators in this process, one for each API key, behind the names that a configuration gives."""

from __future__ import annotations

import json

import httpx
import numpy as np
import pytest

from q_store import QuantumModel, QuantumTrainer, TrainingConfig
from q_store.apps import remote
from q_store.backends.ionq.settings import IonQSettings
from q_store.emulator.clock import run_virtual
from q_store.emulator.emulator import Emulator


class Wire(httpx.AsyncBaseTransport):
    """The way to emulators: each key has its own. Keeps the bodies of jobs, and how many circuits were open at once."""

    def __init__(self, **options):
        self.options = {"seed": 1, **options}
        self.emulators: dict[str, Emulator] = {}
        self.jobs: list[dict] = []
        self.settings: list[IonQSettings] = []
        self.dead = False
        self.canceled = 0
        self._open: dict[str, int] = {}
        self.most_jobs = self.most_circuits = 0

    async def handle_async_request(self, request):
        if self.dead:
            raise httpx.ConnectError("connection refused", request=request)
        key = request.headers.get("Authorization", "").removeprefix("apiKey ")
        if key not in self.emulators:
            self.emulators[key] = Emulator(**self.options)
        content = await request.aread()
        response = await self.emulators[key].transport().handle_async_request(request)
        if request.method == "POST" and request.url.path.endswith("/jobs") and response.status_code < 300:
            await response.aread()
            body = json.loads(content)
            self.jobs.append({**body, "key": key})
            self._open[response.json()["id"]] = size(body)
            self.most_jobs = max(self.most_jobs, len(self._open))
            self.most_circuits = max(self.most_circuits, sum(self._open.values()))
        elif request.method == "PUT" and request.url.path.endswith("/cancel"):
            self.canceled += 1
        elif "/results" in request.url.path:
            for job in list(self._open):
                if job in request.url.path:
                    del self._open[job]
        return response

    @property
    def circuits(self):
        """Circuits that were sent."""
        return sum(map(size, self.jobs))

    @property
    def gates(self):
        """Names of all gates that were sent."""
        return {gate["gate"] for each in self.jobs for gates in gate_lists(each) for gate in gates}


def gate_lists(body):
    """The gate lists of a job."""
    given = body["input"]
    return [given["circuit"]] if "circuit" in given else [each["circuit"] for each in given["circuits"]]


def size(body):
    return len(gate_lists(body))


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch, tmp_path):
    """Checkpoints go into the working directory unless told otherwise."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def wire(monkeypatch):
    """All ways of IonQ's client lead to emulators; polls come quickly."""
    found = Wire()
    plain = IonQSettings.__init__

    def quick(self, **options):
        plain(self, **{"min_interval": 0.005, "max_interval": 0.02, "jitter_seed": 1, **options})
        found.settings.append(self)

    monkeypatch.setattr(IonQSettings, "__init__", quick)
    monkeypatch.setattr(remote, "transport", lambda: found)
    monkeypatch.setenv("IONQ_API_KEY", "key-0")
    return found


@pytest.fixture
def blobs():
    """Twelve rows of four columns in two classes, and their one-hot targets."""
    rng = np.random.default_rng(3)
    y = np.arange(12) % 2
    return rng.normal(size=(12, 4)) + 1.5 * y[:, None], np.eye(2)[y]


class Seen:
    """What a training showed: on the wire, of the trainer, in the folder."""

    def __init__(self, wire, trainer, model, folder):
        self.trainer, self.model, self.folder = trainer, model, folder
        self.jobs, self.circuits, self.gates = list(wire.jobs), wire.circuits, wire.gates
        self.keys, self.settings = {each["key"] for each in self.jobs}, list(wire.settings)
        self.most_jobs, self.most_circuits = wire.most_jobs, wire.most_circuits
        self.canceled = wire.canceled
        self.moved = float(np.linalg.norm(model.vector - model.before))

    def sizes(self):
        return {size(each) for each in self.jobs}

    def lists(self):
        return [gates for each in self.jobs for gates in gate_lists(each)]

    def entanglers(self):
        """Numbers of CNOTs in circuits, in the order of sending, repetitions dropped."""
        counts = [sum(gate["gate"] == "cnot" for gate in gates) for gates in self.lists()]
        return [each for k, each in enumerate(counts) if not k or counts[k - 1] != each]

    def shots(self):
        found = [each.get("shots") for each in self.jobs]
        return [each for k, each in enumerate(found) if not k or found[k - 1] != each]


@pytest.fixture
def train(wire, tmp_path):
    """A small training on the emulated service, as the names say; what it showed."""

    def run(*, rows=4, model=None, frozen=False, data=None, held=None, **names):
        wire.__init__(**wire.options)
        wire.canceled = 0
        given = {
            "quantum_sdk": "ionq",
            "gradient_method": "parameter_shift",
            "epochs": 1,
            "use_native_gates": False,
            "n_qubits": 2,
            "circuit_depth": 1,
            **names,
        }
        trainer = QuantumTrainer(TrainingConfig(**given))
        model = model or QuantumModel()
        model.shaped(trainer.config.model)
        if frozen:
            model.quantum_layer.freeze_parameters(range(len(model.parameters)))
        model.before = model.vector.copy()
        x, y = data or batch(rows, model.circuit.n_features, model.output_dim)
        run_virtual(trainer.train(model, (x, y), held))
        return Seen(wire, trainer, model, tmp_path)

    return run


def batch(rows, columns, classes):
    """Rows and one-hot targets."""
    rng = np.random.default_rng(2)
    return rng.normal(size=(rows, columns)), np.eye(classes)[np.arange(rows) % classes]
