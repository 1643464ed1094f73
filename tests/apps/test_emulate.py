"""`q-store emulator`: one line on how to get there, every option observable, a tidy end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest

from q_store.apps import emulate
from q_store.emulator import Emulator

WORDS = [sys.executable, "-m", "q_store", "emulator", "--port", "0"]
BELL = {
    "gateset": "qis",
    "qubits": 2,
    "circuit": [{"gate": "h", "target": 0}, {"gate": "cnot", "control": 0, "target": 1}],
}


@contextmanager
def running(*words):
    """The command in a process of its own, and the URL that it printed."""
    with subprocess.Popen([*WORDS, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        try:
            yield run, re.search(r"http://\S+/v0\.4", run.stdout.readline())[0]
        finally:
            run.kill()


@pytest.mark.socket
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_interrupted(number):
    with running() as (run, url):
        assert {each["backend"] for each in httpx.get(f"{url}/backends").json()} >= {"simulator", "qpu.forte-1"}
        assert httpx.get(f"{url.removesuffix('/v0.4')}/emulator/ledger").json()["accepted_jobs"] == 0
        run.send_signal(number)
        out, err = run.communicate(timeout=20)
    assert (run.returncode, err) == (0, "")
    assert out == "ended\n"


@pytest.mark.socket
def test_a_port_that_is_taken_is_one_line(q_store):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = q_store("emulator", "--port", port)
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert f"expected a free port, got {port}" in answer.err


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--slots", 0), ("slots", "1 or more, got 0")),
        (("--circuit-seconds", -1), ("circuit_seconds", "got -1")),
        (("--rtt", "nan"), ("rtt", "got nan")),
        (("--slot-per", "jobs"), ("did you mean 'job'?",)),
        (("--depolarising", 1.5), ("from 0 to 1, got 1.5",)),
        (("--angle-error", -0.1), ("angle_error", "got -0.1")),
        (("--time-scale", 0), ("positive number, got 0",)),
        (("--faults", "dropafter:0.1"), ("'dropafter'", "did you mean 'drop-after'?")),
        (("--faults", "503:2"), ("503", "2")),
        (("--faults", "503"), ("503",)),
        (("--key", ""), ("keys",)),
        (("--port", 70000), ("port from 0 to 65535, got 70000",)),
        (("--prot", 1), ("--port", "q-store emulator --help")),
    ],
)
def test_wrong_options_are_refused(q_store, words, parts):
    answer = q_store("emulator", *words)
    assert answer.code == 2, answer
    assert answer.err.startswith("q-store: error: ")
    assert answer.err.count("\n") == 1, answer.err
    for part in parts:
        assert part in answer.err, answer.err


def test_every_option_reaches_the_emulator(q_store, monkeypatch):
    seen = {}

    class Listener(Emulator):
        def __init__(self, **given):
            seen.update(given)
            super().__init__(**given)

        def serve(self, started):
            started("http://127.0.0.1:1/v0.4")
            raise KeyboardInterrupt

    monkeypatch.setattr(emulate, "Emulator", Listener)
    words = "--port 81 --host ::1 --circuit-seconds .5 --slots 4 --slot-per job --rtt .4 --faults 503:0.1 --seed 7"
    answer = q_store("emulator", *words.split(), "--depolarising", 0.1, "--angle-error", 0.2, "--time-scale", 10,
                     "--key", "k1", "--key", "k2")  # fmt: skip
    assert answer.code == 0, answer.err
    assert seen == {
        "port": 81, "host": "::1", "circuit_seconds": 0.5, "slots": 4, "slot_per": "job", "rtt": 0.4,
        "faults": "503:0.1", "depolarising": 0.1, "angle_error": 0.2, "seed": 7, "keys": ("k1", "k2"), "time_scale": 10,
    }  # fmt: skip
    first = answer.out.splitlines()[0]
    for part in (
        "IONQ_API_URL=http://127.0.0.1:1/v0.4",
        "IONQ_API_KEY",
        "IONQ_REMOTE_HOST=http://127.0.0.1:1",
        "ledger",
    ):
        assert part in first
    assert "k1" not in answer.out + answer.err


@pytest.mark.socket
def test_time_keys_and_noise_are_those_of_the_options():
    words = ("--circuit-seconds", 0.3, "--key", "right", "--depolarising", 1, "--seed", 3)
    with running(*words) as (_, url):
        headers = {"Authorization": "apiKey right"}
        body = {"type": "ionq.circuit.v1", "backend": "simulator", "input": BELL, "shots": 10}
        assert httpx.post(f"{url}/jobs", json=body, headers={"Authorization": "apiKey wrong"}).status_code == 401
        began = time.perf_counter()
        job = httpx.post(f"{url}/jobs", json=body, headers=headers).json()["id"]
        while (found := httpx.get(f"{url}/jobs/{job}", headers=headers).json())["status"] != "completed":
            assert time.perf_counter() - began < 20
        assert time.perf_counter() - began > 0.3
        probabilities = httpx.get(f"{url}/jobs/{found['id']}/results/probabilities", headers=headers).json()
    assert probabilities == pytest.approx(dict.fromkeys("0123", 0.25))


@pytest.mark.socket
@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_training_through_the_command_line_end_to_end(data_file, tmp_path):
    with running("--slots", 4) as (_, url):
        few = ["--rows", 4, "--batch-size", 4, "--epochs", 1, "--no-control", "--json", "--out", tmp_path / "run"]
        words = ["train", "ring", "--data", data_file, "--backend", "ionq", *few]
        run = subprocess.run(
            [sys.executable, "-m", "q_store", *map(str, words)],
            env={**os.environ, "IONQ_API_KEY": "any", "IONQ_API_URL": url},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["remote"]["circuits"] == 4 * 61 + 15 + 30
