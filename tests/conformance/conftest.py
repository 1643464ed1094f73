"""Other people's clients as processes, and emulators for them on ports of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path

import pytest

from q_store.emulator import Emulator

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(__file__).parent / "clients"
ENVIRONMENTS = {
    "qiskit_ionq": "qiskit", "cirq_ionq": "cirq", "ionq_core": "ionq-core", "pennylane_ionq": "pennylane",
}  # fmt: skip
KEY = "a-key-of-the-tests"
PATIENCE = 60


class Refused(Exception):  # noqa: N818 - the client's own error, whatever it is
    """What a client raised: its type and its text."""

    def __init__(self, kind, text):
        super().__init__(f"{kind}: {text}")
        self.kind, self.text = kind, text


class Client:
    """A client in its own process and environment; `client.run(url, ...)` asks for the scenario `run`."""

    def __init__(self, name, folder):
        self.name = name
        python = ROOT / ".venv-clients" / ENVIRONMENTS[name] / "bin" / "python"
        if not (python.parents[1] / ".installed").exists():
            pytest.skip(f"no environment for {name} in {python.parents[1]}: `make clients` makes it")
        self.log = (folder / f"{name}.log").open("w+", encoding="utf-8")
        # bytecode is written in any case: pip left it out, and importing cirq without it takes ten seconds
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        # an empty folder to work in: qiskit-ionq reads a .env file from where it is started
        self.process = subprocess.Popen(
            [python, SCRIPTS / f"{name}_client.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            cwd=folder, env=environment, text=True,
        )  # fmt: skip

    def __getattr__(self, scenario):
        def ask(url, *, key=KEY, **arguments):
            request = {"scenario": scenario, "url": url, "key": key, "arguments": arguments}
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            # some clients repeat a call, or look at a job, for ever
            watch = threading.Timer(PATIENCE, self.process.kill)
            watch.start()
            line = self.process.stdout.readline()
            watch.cancel()
            if not line:
                self.log.seek(0)
                pytest.fail(f"{self.name} ended, or gave no answer in {PATIENCE} s: {self.log.read()[-2000:]}")
            answer = json.loads(line)
            if "error" in answer:
                raise Refused(answer["error"], answer["text"])
            return answer["value"]

        return ask

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


@pytest.fixture(scope="session")
def clients(tmp_path_factory):
    """Clients by name, each started when it is first asked for."""
    folder = tmp_path_factory.mktemp("clients")
    started = {}

    def client(name):
        if name not in started:
            started[name] = Client(name, folder)
        return started[name]

    yield client
    for each in started.values():
        each.close()


@pytest.fixture(scope="session", params=list(ENVIRONMENTS))
def client(request, clients):
    """Every client in turn."""
    return clients(request.param)


@pytest.fixture(scope="session")
def qiskit(clients):
    return clients("qiskit_ionq")


@pytest.fixture(scope="session")
def cirq(clients):
    return clients("cirq_ionq")


@pytest.fixture(scope="session")
def core(clients):
    return clients("ionq_core")


@pytest.fixture(scope="session")
def pennylane(clients):
    return clients("pennylane_ionq")


@pytest.fixture(scope="session")
def emulator():
    """Exact where the service is exact, sampled where it samples, no noise but what a job asks for, no delays."""
    with Emulator(seed=11, keys=[KEY]) as running:
        yield running


@pytest.fixture
def emulated():
    """Emulators of other settings, stopped behind the test."""
    running = []

    def start(**settings):
        running.append(Emulator(keys=[KEY], **settings))
        return running[-1].__enter__()

    yield start
    for each in running:
        each.__exit__(None, None, None)
