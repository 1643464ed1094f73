"""The commands around IonQ, against an emulator in this process: backends, estimate, train, and everything wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import threading

import httpx
import numpy as np
import pytest

from q_store.apps import far, outlook, reachable, remote
from q_store.apps import train as train_module
from q_store.apps.assemble import assemble, some_rows
from q_store.apps.clock import Clock
from q_store.apps.place import Place
from q_store.apps.request import Request
from q_store.apps.result import KEYS
from q_store.apps.tally import Tally
from q_store.backends.local.backend import MAX_QUBITS
from q_store.circuits.native import Family
from q_store.emulator import Emulator
from q_store.models import zoo
from q_store.models.model import Model
from q_store.models.trained import default_backend
from q_store.pool.settings import PoolSettings
from q_store.training import TrainingSettings

KEY = "a-key-that-nobody-may-see"
URL = "http://emulator.test/v0.4"
QASM = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\nh q[0];\ncx q[0],q[1];\n'
FAR = Place("ionq", url=URL).written_out()
FEW = ("--rows", 4, "--batch-size", 2, "--epochs", 1)


@pytest.fixture
def emulator(monkeypatch, tmp_path):
    """What `--url` leads to; nothing else is reachable. Jobs are looked at often, as they take no time."""
    found, settings = Emulator(keys=[KEY]), remote.settings
    monkeypatch.setattr(remote, "transport", found.transport)
    monkeypatch.setattr(
        remote, "settings", lambda *given, **more: settings(*given, **more).model_copy(update={"min_interval": 0.01})
    )
    monkeypatch.setenv("IONQ_API_KEY", KEY)
    monkeypatch.setenv("IONQ_API_URL", URL)
    monkeypatch.delenv("IONQ_API_KEY_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    return found


@pytest.fixture
def train(q_store, data_file, emulator):
    """Training from a remote backend on four rows."""
    del emulator

    def run(*words, few=FEW):
        return q_store("train", "ring", "--data", data_file, "--backend", "ionq", "--no-control", *few, *words)

    return run


def refused(answer, *parts):
    assert answer.code == 2, answer
    assert answer.err.splitlines()[-1].startswith("q-store: error: ")
    assert answer.err.count("\n") == 1, answer.err
    assert KEY not in answer.err + answer.out
    for part in parts:
        assert part in answer.err, answer.err


# ------------------------------------------------------------------------------------------------------------ backends


def test_backends_lists_this_machine_and_the_service_without_a_key(q_store, emulator, monkeypatch):
    monkeypatch.delenv("IONQ_API_KEY")
    answer = q_store("backends", "--json")
    assert answer.code == 0, answer.err
    assert (answer.json["url"], answer.json["error"]) == (URL, None)
    rows = {row["target"]: row for row in answer.json["backends"]}
    assert rows["qpu.forte-1"]["qubits"] == 36
    assert rows["qpu.forte-1"]["native_gates"] == ["gpi", "gpi2", "zz"]
    assert rows["exact simulation"]["qubits"] == MAX_QUBITS
    assert "qpu.aria-1" in q_store("backends").out
    assert emulator.ledger()["accepted_jobs"] == 0


@pytest.mark.parametrize("key", [None, KEY])
def test_the_list_is_asked_for_without_a_key(q_store, monkeypatch, key):
    seen = []

    def answer(request):
        seen.append(request.headers.get("Authorization"))
        return httpx.Response(200, json=[{"backend": "simulator", "status": "available"}])

    monkeypatch.setattr(remote, "transport", lambda: httpx.MockTransport(answer))
    monkeypatch.setenv("IONQ_API_KEY", key or "")
    found = q_store("backends", "--json", "--url", URL).json["backends"]
    assert seen == [None]
    assert found[1]["qubits"] is found[1]["queue_seconds"] is None


def test_the_queue_is_in_seconds():
    row = reachable._row({"backend": "qpu.x", "average_queue_time": 90_000, "degraded": True, "status": "available"})
    assert (row["queue_seconds"], row["status"], row["qubits"]) == (90.0, "available, degraded", None)


@pytest.mark.socket
def test_a_service_that_is_not_there_is_a_line_of_the_list(q_store, monkeypatch):
    monkeypatch.setenv("IONQ_API_URL", "http://127.0.0.1:1/v0.4")
    answer = q_store("backends", "--json")
    assert answer.code == 0
    assert [row["backend"] for row in answer.json["backends"]] == ["local"]
    assert "nothing answers there" in answer.json["error"]
    assert "cannot be reached" in answer.err
    refused(q_store("backends", "--url", "http://127.0.0.1:1/v0.4"), "nothing answers there")


# ------------------------------------------------------------------------------------------------------------ estimate


def test_the_estimate_of_a_file_counts_what_is_sent(q_store, emulator, tmp_path):
    (tmp_path / "bell.qasm").write_text(QASM, encoding="utf-8")
    words = ("estimate", "bell.qasm", "--backend", "ionq:qpu.aria-1", "--shots", 2000, "--json")
    one = q_store(*words).json
    assert (one["circuits"], one["one_qubit"], one["two_qubit"], one["shots"]) == (1, 1, 1, 2000)
    assert one["cost"] == pytest.approx(2000 * (0.00022 + 0.00098))
    assert one["unit"] == "usd"
    ten = q_store(*words, "--circuits", 10, "--gateset", "native").json
    assert ten["circuits"] == 10
    assert ten["cost"] == pytest.approx(10 * 2000 * (0.00022 * ten["one_qubit"] + 0.00098))
    assert emulator.ledger()["accepted_jobs"] == 0


def test_the_estimate_of_a_training_is_what_the_training_runs(q_store, train, data_file, emulator):
    words = ("--data", data_file, *FEW)
    expected = q_store("estimate", "ring", *words, "--json").json
    assert expected["cost"] == 0
    assert train("--json").json["remote"]["circuits"] == expected["circuits"]
    assert emulator.ledger()["accepted_circuits"] == expected["circuits"]


@pytest.mark.parametrize("name", ["compact", "lean"])
def test_gates_as_sent_hold_the_preparation(name):
    circuit = zoo.definition(name).circuit
    plain, native = outlook.sent(circuit, None), outlook.sent(circuit, Family.ZZ)
    gates = zoo.definition(name).two_qubit_gates
    assert plain.two_qubit == sum(gates)
    assert native.two_qubit <= sum(gates)


def test_circuits_of_a_training():
    circuit, observables = zoo.definition("ring").circuit, zoo.definition("ring").observables
    settings = TrainingSettings(epochs=3, batch_size=4, gradient="parameter_shift")
    found = outlook.outlook(circuit, observables, settings, {"train": 10, "validation": 7, "test": 5})
    assert (found.steps, found.gradient, found.validation, found.test) == (9, 3 * 10 * 61, 21, 5)


# --------------------------------------------------------------------------------------------------------------- train


def test_training_on_the_simulator_is_training_here(train, emulator, data_file, tmp_path):
    """An ideal simulator gives exact values, so the parameters are those of parameter shift on this machine."""
    answer = train("--out", "run", "--json")
    assert answer.code == 0, answer.err
    found = answer.json
    assert tuple(found) == KEYS
    far = found["remote"]
    assert far["place"] == "simulator at emulator.test"
    assert far["noise_id"] == "ideal"
    assert (far["cost"], far["test_rows"]) == (0, 30)
    assert far["circuits"] == 4 * 61 + 15 + 30 == emulator.ledger()["accepted_circuits"]
    assert any(re.fullmatch(r"qis: sent (\d+) gates .*, service reports \1", line) for line in far["proof"])
    assert found["samples_per_second"] is None
    assert far["test_accuracy"] == pytest.approx(found["accuracy"]["test"])
    here = assemble(
        Request("ring", str(data_file), epochs=1, rows=4, batch_size=2, place=FAR), Clock(), default_backend()
    )
    here.model.fit(*here.part("train"), here.part("validation"))
    there = Model.load(tmp_path / "run" / "model.npz")
    np.testing.assert_allclose(there.trained.vector, here.model.trained.vector, atol=1e-4)


def test_the_circuits_and_the_cost_are_said_before_and_the_place_after(train):
    text = " ".join(train().out.split())
    before, after = text.split("epoch 1/1")
    assert "289 circuits in all: 2 steps on 4 training rows (244), 15 validation rows after each epoch (15)" in before
    assert "0.00 USD estimated" in before
    for part in (
        "measured by simulator at emulator.test", "simulated exactly on this machine", "289 circuits (exact values)",
        "nothing charged", "service reports", "a simulator, not quantum hardware",
    ):  # fmt: skip
        assert part in after, part


def test_a_noisy_simulator_samples_and_is_no_ideal_one(train):
    far = train("--noise", "aria-1", "--gateset", "native", "--shots", 50, "--json").json["remote"]
    assert far["noise_id"] == "ionq:simulator:aria-1"
    assert (far["shots"], far["shots_total"]) == (50, 50 * far["circuits"])
    assert any(re.fullmatch(r"native: sent \d+ MS, service reports \d+", line) for line in far["proof"])


def test_a_machine_that_costs_money_needs_consent(train, emulator, monkeypatch):
    answer = train("--target", "qpu.forte-1", "--shots", 10, "--out", "run")
    assert answer.code == 2
    assert "expected --yes before a target that costs money" in answer.err
    assert "USD" in answer.err
    assert emulator.ledger()["accepted_jobs"] == 0
    monkeypatch.setattr(outlook.sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(outlook.typer, "confirm", _declined)
    assert train("--target", "qpu.forte-1", "--shots", 10, "--out", "run").code == 130
    assert emulator.ledger()["accepted_jobs"] == 0


def _declined(question, **_):
    assert "Spend about" in question
    raise outlook.typer.Abort


def test_with_consent_it_runs_and_says_what_was_charged(train, emulator):
    answer = train("--target", "qpu.forte-1", "--gateset", "native", "--shots", 10, "--yes", "--json")
    assert answer.code == 0, answer.err
    far = answer.json["remote"]
    assert far["cost"] == pytest.approx(emulator.ledger()["charges_usd"], rel=1e-6)
    assert far["cost"] > 1
    assert "not IonQ's, not quantum hardware" in " ".join(answer.err.split())


def test_a_broken_off_run_goes_on_where_it_stopped(train, q_store, emulator, monkeypatch):
    whole = train("--out", "whole", "--json").json
    original = train_module.MetricsWriter.__call__

    def interrupted(self, event):
        original(self, event)
        if type(event).__name__ == "CheckpointSaved":
            raise KeyboardInterrupt

    monkeypatch.setattr(train_module.MetricsWriter, "__call__", interrupted)
    assert train("--out", "run").code == 130
    monkeypatch.setattr(train_module.MetricsWriter, "__call__", original)
    before = emulator.ledger()["accepted_circuits"]
    moved = "http://moved.test/v0.4"
    answer = q_store("train", "--resume", "run", "--no-control", "--json", "--url", moved)
    assert answer.code == 0, answer.err
    assert answer.json["remote"]["place"] == "simulator at moved.test"
    assert answer.json["parameters_sha256"] == whole["parameters_sha256"]
    assert emulator.ledger()["accepted_circuits"] - before < whole["remote"]["circuits"]
    refused(q_store("train", "--resume", "run", "--target", "qpu.forte-1"), "another target 'simulator' in the run")
    refused(q_store("train", "--resume", "run", "--backend", "local"), "another backend 'ionq' in the run")


def test_an_interrupt_cancels_what_is_in_flight(train, monkeypatch):
    slow, original = Emulator(circuit_seconds=10), Tally.run_all
    monkeypatch.setattr(remote, "transport", slow.transport)
    heeded = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born deaf to it

    def interrupted(self, jobs):
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        return original(self, jobs)

    monkeypatch.setattr(Tally, "run_all", interrupted)
    try:
        answer = train("--out", "run")
    finally:
        signal.signal(signal.SIGINT, heeded)
    assert (answer.code, answer.err.count("\n")) == (130, 1), answer
    assert {job["status"] for job in slow.ledger(jobs=True)["jobs"]} == {"canceled"}


def test_the_key_is_in_no_file(train, tmp_path):
    assert train("--out", "run").code == 0
    for path in (tmp_path / "run").rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path
    config = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    assert config["request"]["url"] == URL


def test_the_key_may_come_from_a_file(train, monkeypatch, tmp_path):
    monkeypatch.delenv("IONQ_API_KEY")
    (tmp_path / "key").write_text(f"{KEY}\n", encoding="utf-8")
    assert remote.settings(FAR, tmp_path / "key").key.get_secret_value() == KEY
    refused(train("--key-file", "nokey"), "nokey", "check --key-file")


def test_rows_and_shots_work_on_this_machine_too(q_store, data_file, tmp_path):
    words = ("train", "ring", "--data", data_file, "--no-control", *FEW, "--json")
    exact = q_store(*words, "--out", tmp_path / "a", "--finish", 0).json
    assert exact["remote"] is None
    sampled = q_store(*words, "--out", tmp_path / "b", "--shots", 30)
    assert sampled.code == 0, sampled.err
    config = json.loads((tmp_path / "b" / "config.json").read_text(encoding="utf-8"))
    settings = config["resolved"]["settings"]
    assert (settings["shots"], settings["gradient"], settings["finish_iterations"]) == (30, "parameter_shift", 0)
    assert config["resolved"]["rows"] == {"train": 4, "validation": 15, "test": 30}


def test_few_rows_are_balanced_and_the_same_for_every_seed():
    y = np.repeat([0, 1, 2], [50, 30, 20])
    rows = some_rows(y, 9)
    assert np.bincount(y[rows]).tolist() == [3, 3, 3]
    assert some_rows(y, 100) is None


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--target", "qpu.fort-1", "--yes"), ("qpu.fort-1", "did you mean 'qpu.forte-1'?")),
        (("--target", "simulater"), ("--target", "did you mean 'simulator'?")),
        (("--noise", "fort-1"), ("--noise", "did you mean 'forte-1'?")),
        (("--gateset", "qasm"), ("--gateset to be one of qis, native",)),
        (("--shots", 0), ("--shots of 1 or more",)),
        (("--shots", 2_000_000), ("--shots of 1,000,000 or less",)),
        (("--finish", 3, "--shots", 5), ("finish_iterations=0 with shots",)),
        (("--url", "emulator.test"), ("--url such as",)),
    ],
)
def test_what_the_service_lacks_is_refused(train, emulator, tmp_path, words, parts):
    answer = train(*words, "--out", "run")
    assert answer.code == 2
    for part in parts:
        assert part in answer.err
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "run").exists()
    assert emulator.ledger()["accepted_jobs"] == 0


def test_more_rows_than_there_are_is_refused(train):
    refused(train(few=("--rows", 61)), "at most the 60 training rows")


def test_a_wrong_or_missing_key_is_refused(train, q_store, monkeypatch, tmp_path):
    monkeypatch.setenv("IONQ_API_KEY", "another")
    answer = train("--out", "run")
    refused(answer, "API key", "IONQ_API_KEY")
    assert "another" not in answer.err
    refused(q_store("estimate", "ring"), "API key")
    monkeypatch.delenv("IONQ_API_KEY")
    refused(train("--out", "run"), "expected an API key, got none", "IONQ_API_KEY")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--target", "simulator"), ("--target only with --backend ionq",)),
        (("--noise", "aria-1", "--backend", "local"), ("--noise only with --backend ionq", "leave out --noise")),
        (("--key-file", "key"), ("--key-file only with --backend ionq",)),
        (("--yes",), ("--yes only with --backend ionq",)),
        (("--backend", "inoq"), ("--backend to be one of local, ionq", "did you mean 'ionq'?")),
    ],
)
def test_options_of_a_remote_backend_need_one(q_store, tmp_path, monkeypatch, words, parts):
    monkeypatch.chdir(tmp_path)
    refused(q_store("train", "ring", *words), *parts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("rnig",), ("did you mean 'ring'?",)),
        (("none.qasm",), ("none.qasm", "check the path")),
        (("bell.qasm", "--rows", 3), ("--rows with the name of a model",)),
        (("bell.qasm", "--circuits", 0), ("--circuits of 1 or more",)),
        (("bell.qasm", "--backend", "local"), ("costs anything",)),
        (("bell.qasm", "--backend", "ionq:qpu.fort-1"), ("did you mean 'qpu.forte-1'?",)),
        (("bell.qasm", "--backend", "aws"), ("--backend to be one of",)),
        (("wide.qasm",), ("29 qubits of simulator at emulator.test, got 30", "q-store backends")),
        (("wide.qasm", "--backend", "ionq:qpu.aria-1"), ("25 qubits", "got 30")),
    ],
)
def test_what_cannot_be_estimated_is_refused(q_store, emulator, tmp_path, words, parts):
    (tmp_path / "bell.qasm").write_text(QASM, encoding="utf-8")
    (tmp_path / "wide.qasm").write_text(QASM.replace("q[2];\nh", "q[30];\nh"), encoding="utf-8")
    refused(q_store("estimate", *words), *parts)
    assert emulator.ledger()["accepted_jobs"] == 0


@pytest.mark.socket
@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("http://127.0.0.1:1/v0.4", "nothing answers there"),
        ("https://{}/v0.4", "TLS"),
        ("http://{}/v0.3", "404"),
        ("http://host.invalid/v0.4", "cannot be resolved"),
    ],
)
def test_a_host_that_cannot_be_reached_is_refused(q_store, data_file, tmp_path, monkeypatch, url, part):  # noqa: PLR0917
    monkeypatch.setenv("IONQ_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    with Emulator() as running:
        place = url.format(running.url.split("/")[2])
        answer = q_store("train", "ring", "--data", data_file, "--backend", "ionq", "--url", place, "--out", "run")
    refused(answer, part)
    assert not (tmp_path / "run").exists()


def test_rows_that_fail_end_the_run_in_one_line(train, monkeypatch, tmp_path):
    broken = Emulator(faults="failed-job:1")
    monkeypatch.setattr(remote, "transport", broken.transport)
    monkeypatch.setattr(far, "ALONE", PoolSettings(tries=1))
    answer = train("--out", "run")
    refused(answer, "expected an answer to each of 2 rows", "QuantumComputerError")
    assert not (tmp_path / "run").exists()
