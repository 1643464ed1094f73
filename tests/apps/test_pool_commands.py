"""Training on pools with a store behind them, and the commands that look after it, against emulators here."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import pytest

from q_store.apps import outlook, pool_view, remote
from q_store.apps import train as train_module
from q_store.apps.assemble import assemble
from q_store.apps.clock import Clock
from q_store.apps.members import crew
from q_store.apps.place import Place
from q_store.apps.pool_place import entries
from q_store.apps.record import Stake
from q_store.apps.request import Request
from q_store.backends.base import Slice
from q_store.backends.ionq.client.service import Service
from q_store.circuits import Circuit, op, theta
from q_store.emulator import Emulator
from q_store.models.model import Model
from q_store.models.trained import default_backend
from q_store.store import Amounts, Domain, Intent, State, Store

KEY, OTHER = "a-key-that-nobody-may-see", "another-key-to-hide"
FEW = ("--rows", 2, "--batch-size", 1, "--epochs", 1, "--no-control")
THREE = """
[[member]]
name = "one"
provider = "ionq"
url = "http://one.test/v0.4"
[[member]]
name = "two"
provider = "ionq"
url = "http://two.test/v0.4"
key_env = "OTHER_KEY"
"""
HERE = '[[member]]\nname = "here"\nprovider = "local"\n'


class Net(httpx.AsyncBaseTransport):
    """Emulators by host name; a host that is cut refuses every call."""

    def __init__(self, emulators):
        self.emulators = emulators
        self.cut = set()

    async def handle_async_request(self, request):
        if request.url.host in self.cut:
            raise httpx.ConnectError("connection refused", request=request)
        return await self.emulators[request.url.host].transport().handle_async_request(request)


@pytest.fixture
def net(monkeypatch, tmp_path):
    """Two services, one.test and two.test; IONQ_API_URL leads to the first."""
    found = Net({"one.test": Emulator(keys=[KEY], seed=1), "two.test": Emulator(keys=[KEY, OTHER], seed=2)})
    settings = remote.settings
    monkeypatch.setattr(remote, "transport", lambda: found)
    quick = {"min_interval": 0.01, "contact_tries": 1, "settle": 0.0}
    monkeypatch.setattr(remote, "settings", lambda *a, **more: settings(*a, **more).model_copy(update=quick))
    monkeypatch.setenv("IONQ_API_KEY", KEY)
    monkeypatch.setenv("OTHER_KEY", OTHER)
    monkeypatch.setenv("IONQ_API_URL", "http://one.test/v0.4")
    monkeypatch.delenv("IONQ_API_KEY_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    return found


@pytest.fixture
def train(q_store, data_file, net):
    """Training `ring` on two rows."""
    del net

    def run(*words):
        return q_store("train", "ring", "--data", data_file, *FEW, *words)

    return run


@pytest.fixture
def pool(tmp_path):
    """Write the file of a pool."""

    def write(text, name="pool.toml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return name

    return write


def circuits(net):
    """How many each service has accepted."""
    return {host: emulator.ledger()["accepted_circuits"] for host, emulator in net.emulators.items()}


def refused(answer, *parts):
    assert answer.code == 2, answer
    assert answer.err.splitlines()[-1].startswith("q-store: error: ")
    assert not {KEY, OTHER} & set((answer.err + answer.out).split())
    for part in parts:
        assert part in answer.err, answer.err


def dies_at(monkeypatch, count, kind):
    """Raise at the checkpoint of that number; the original is put back by `monkeypatch.undo`-like set."""
    original, seen = train_module.MetricsWriter.__call__, []

    def writer(self, event):
        original(self, event)
        if type(event).__name__ == "CheckpointSaved":
            seen.append(event)
            if len(seen) == count:
                raise kind

    monkeypatch.setattr(train_module.MetricsWriter, "__call__", writer)
    return lambda: monkeypatch.setattr(train_module.MetricsWriter, "__call__", original)


# ------------------------------------------------------------------------------------------------------------ training


def test_a_pool_trains_what_is_trained_here(train, pool, net, data_file, tmp_path):
    # both members of a hedge may run its circuits, and then more are counted than were asked for
    answer = train("--pool", pool(f"{THREE}\n[settings]\nhedge = false\n"), "--out", "run", "--json")
    assert answer.code == 0, answer.err
    far, counted = answer.json["remote"], circuits(net)
    assert far["place"] == "the pool of pool.toml (one, two)"
    assert far["circuits"] == sum(counted.values()) == 2 * 61 + 15 + 30
    assert min(counted.values()) > 0
    assert "all on one: " in answer.err
    assert "all on two: " in answer.err
    place = Place("ionq", url="http://one.test/v0.4").written_out()
    here = assemble(
        Request("ring", str(data_file), epochs=1, rows=2, batch_size=1, place=place), Clock(), default_backend()
    )
    here.model.fit(*here.part("train"), here.part("validation"))
    np.testing.assert_allclose(Model.load(tmp_path / "run" / "model.npz").trained.vector, here.model.trained.vector,
                               atol=1e-4)  # fmt: skip


def test_a_pool_goes_on_when_a_member_is_dead_from_the_start(train, pool, net):
    net.cut.add("two.test")
    answer = train("--pool", pool(THREE), "--json")
    assert answer.code == 0, answer.err
    assert "two: no estimate" in answer.err
    assert circuits(net) == {"one.test": 167, "two.test": 0}


def test_this_machine_may_be_a_member(train, pool, net):
    answer = train("--pool", pool(THREE + HERE), "--json")
    assert answer.code == 0, answer.err
    assert sum(circuits(net).values()) < 167


def test_a_repeated_training_buys_nothing(train, net, q_store):
    first = train("--backend", "ionq", "--json")
    before = circuits(net)
    again = train("--backend", "ionq", "--json")
    assert circuits(net) == before
    assert again.json["parameters_sha256"] == first.json["parameters_sha256"]
    assert [row["status"] for row in q_store("runs", "--json").json] == ["completed", "completed"]


@pytest.mark.parametrize("noise", [(), ("--noise", "aria-1", "--shots", 20)])
@pytest.mark.parametrize("by", ["folder", "id"])
def test_a_run_that_was_broken_off_buys_nothing_twice(train, net, q_store, monkeypatch, noise, by):  # noqa: PLR0917
    back = dies_at(monkeypatch, 1, KeyboardInterrupt)
    assert train("--backend", "ionq", "--out", "run", *noise).code == 130
    back()
    run = q_store("runs", "--json").json[0]
    assert (run["status"], run["open"], run["folder"]) == ("stopped", 0, os.path.realpath("run"))
    answer = q_store("resume", "run" if by == "folder" else run["id"], "--json")
    assert answer.code == 0, answer.err
    assert circuits(net)["one.test"] == 167
    hashes = Counter(row["sha256"] for row in net.emulators["one.test"].ledger(jobs=True).get("circuits", []))
    assert set(hashes.values()) <= {1}
    assert q_store("runs", "--json").json[0]["status"] == "completed"


def test_what_was_bought_before_the_first_checkpoint_is_kept(train, net, q_store, monkeypatch):
    """The journal has it, though there is nothing else to go on from."""
    seen = []
    original = Service.estimate

    async def counted(self, *given, **more):
        seen.append(given)
        return await original(self, *given, **more)

    monkeypatch.setattr(Service, "estimate", counted)
    answer = train("--backend", "ionq", "--budget", "70circuits", "--out", "run")
    refused(answer, "cap 70", "q-store train --resume run --budget MORE")
    assert 1 < circuits(net)["one.test"] <= 70
    refused(q_store("resume", "run"), "cap 70")
    assert circuits(net)["one.test"] <= 70
    run = q_store("runs", "--json").json[0]
    assert run["status"] == "paused"
    shown = q_store("show", run["id"], "--json").json
    assert shown["caps"][f"run {run['id']}"]["cap"] == "70 circuits"
    answer = q_store("resume", run["id"], "--budget", "1000circuits", "--json")
    assert answer.code == 0, answer.err
    assert circuits(net)["one.test"] == 167


def test_money_is_counted_as_the_service_does(train, net, q_store):
    words = ("--backend", "ionq", "--target", "qpu.forte-1", "--shots", 5, "--json")
    answer = train(*words, "--yes")
    assert answer.code == 0, answer.err
    charged = net.emulators["one.test"].ledger()["charges_usd"]
    run = q_store("runs", "--json").json[0]
    assert run["spent"]["USD"] == pytest.approx(charged, abs=1e-6) == pytest.approx(answer.json["remote"]["cost"])
    assert run["reserved"]["USD"] == 0
    jobs = q_store("jobs", "--json").json
    assert sum(job["cost"] for job in jobs) == pytest.approx(charged, abs=1e-6)
    assert len(jobs) == len({job["job"] for job in jobs})  # each slice costs the minimum: no job is cut


def test_a_cap_on_money_holds(train, net, q_store):
    answer = train("--backend", "ionq", "--target", "qpu.forte-1", "--shots", 5, "--yes", "--budget", "3USD",
                   "--out", "run")  # fmt: skip
    refused(answer, "cap 3", "USD", "q-store train --resume run --budget MORE")
    assert net.emulators["one.test"].ledger()["charges_usd"] <= 3
    assert q_store("train", "--resume", "run", "--budget", "500USD", "--yes").code == 0


def test_a_pool_asks_before_it_costs_money(train, pool, net, monkeypatch):
    paid = THREE + 'target = "qpu.forte-1"\nprice = {one = 0.0002, two = 0.001}\n'
    refused(train("--pool", pool(paid), "--shots", 10), "expected --yes before a target that costs money")
    monkeypatch.setattr(outlook.sys.stdin, "isatty", lambda: True)

    def declined(question, **_):
        assert "Spend up to about" in question
        raise outlook.typer.Abort

    monkeypatch.setattr(outlook.typer, "confirm", declined)
    assert train("--pool", pool(paid), "--shots", 10).code == 130
    assert sum(circuits(net).values()) == 0


# ---------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--pool", "pool.toml", "--backend", "ionq"), ("--pool or --backend",)),
        (("--pool", "pool.toml", "--key-file", "k"), ("--pool or --key-file",)),
        (("--pool", "none.toml"), ("none.toml", "No such file")),
        (("--budget", "5USD"), ("--budget only with --backend ionq",)),
        (("--store", "s.db"), ("--store only with --backend ionq",)),
        (("--backend", "ionq", "--budget", "0USD"), ("--budget above 0", "leave it out")),
        (("--backend", "ionq", "--budget", "5dollars"), ("expected a currency such as USD",)),
        (("--backend", "ionq", "--store", "."), ("expected a file for the store",)),
        (("--backend", "ionq", "--store", "text.db"), ("text.db",)),
    ],
)
def test_options_that_cannot_be(train, pool, net, tmp_path, words, parts):  # noqa: PLR0917
    pool(THREE)
    (tmp_path / "text.db").write_text("this is no store" * 100, encoding="utf-8")
    refused(train(*words, "--out", "run"), *parts)
    assert not (tmp_path / "run").exists()
    assert sum(circuits(net).values()) == 0


def test_keys_of_a_pool(train, pool, monkeypatch, tmp_path):
    monkeypatch.delenv("OTHER_KEY")
    refused(train("--pool", pool(THREE)), "API key of two in the environment variable OTHER_KEY, got none")
    monkeypatch.setenv("OTHER_KEY", KEY)
    same = THREE.replace("two.test", "one.test")
    refused(train("--pool", pool(same)), "the same key twice for the same target: one and two")
    (tmp_path / "key").write_text(OTHER, encoding="utf-8")
    by_file = THREE.replace('key_env = "OTHER_KEY"', 'key_file = "key"')
    assert train("--pool", pool(by_file), "--out", "run").code == 0
    for path in (tmp_path / "run").rglob("*"):
        assert path.is_dir() or not any(key.encode() in path.read_bytes() for key in (KEY, OTHER)), path
    assert KEY.encode() not in (tmp_path / "runs" / "q-store.db").read_bytes()


def test_a_run_of_another_store_or_folder(train, q_store, monkeypatch, tmp_path):
    back = dies_at(monkeypatch, 1, KeyboardInterrupt)
    train("--backend", "ionq", "--out", "run")
    back()
    shutil.copytree("run", "copy")
    refused(q_store("resume", "copy"), "a copy of it")
    refused(q_store("resume", "run", "--store", "other.db"), "in the store", "--store FILE")
    refused(q_store("resume", "run", "--pool", "pool.toml"), "--pool with the run of a pool")
    refused(q_store("show", "abcdef"), "expected the id of a run or job")
    refused(q_store("jobs", "--run", "abcdef"), "'abcdef'")
    for words in (("jobs",), ("show", "x"), ("export", "runs", "x.csv"), ("cancel", "x")):
        refused(q_store(*words, "--store", "none.db"), "expected a store at none.db, got no such file")
    assert not (tmp_path / "none.db").exists()
    refused(q_store("export", "rnus", "x.csv"), "did you mean 'runs'?")
    refused(q_store("export", "runs", "x.txt"), ".csv or .parquet")
    folder = q_store("runs", "--json").json[0]["id"]
    assert q_store("train", "--resume", folder, "--no-control").code == 0


def test_a_pool_file_may_change_between_two_processes(train, pool, net, q_store, monkeypatch):
    back = dies_at(monkeypatch, 1, KeyboardInterrupt)
    train("--pool", pool(THREE), "--out", "run")
    back()
    pool(THREE.split('[[member]]\nname = "two"', maxsplit=1)[0])
    net.cut.add("two.test")
    assert q_store("resume", "run").code == 0
    Path("pool.toml").unlink()
    other = pool(THREE, "other.toml")
    refused(q_store("resume", "run"), "pool.toml", "No such file")
    assert q_store("resume", "run", "--pool", other).code == 0  # finished already
    refused(q_store("resume", "run", "--pool", other, "--url", "http://one.test/v0.4"), "without a pool")


# ------------------------------------------------------------------------------------------------ looking and settling


@pytest.fixture
def run(train, net, q_store):
    """A finished run on one service."""
    del net
    assert train("--backend", "ionq", "--noise", "aria-1", "--shots", 20).code == 0
    return q_store("runs", "--json").json[0]


def test_what_the_store_has_is_shown(run, q_store, net):
    assert (run["status"], run["open"]) == ("completed", 0)
    jobs = q_store("jobs", "--run", run["id"], "--json").json
    assert sum(job["circuits"] for job in jobs) == 167
    assert {(job["state"], job["member"], job["shots"]) for job in jobs} == {("DONE", "ionq", 20)}
    known = {job["id"] for job in net.emulators["one.test"].ledger(jobs=True)["jobs"]}
    assert {job["remote_id"] for job in jobs} == known
    job = q_store("show", jobs[0]["id"][:8], "--json").json
    assert (job["id"], job["run"]) == (jobs[0]["id"], run["id"])
    shown = q_store("show", run["id"][:5], "--json").json
    assert shown["members"]["ionq"]["circuits"] == 167
    assert shown["states"] == {"DONE": len(jobs)}
    assert shown["config"]["request"]["noise"] == "aria-1"
    assert shown["checkpoint"].endswith("last.npz")
    for words in (("jobs",), ("runs",), ("show", run["id"])):
        assert run["id"] in q_store(*words).out


def test_tables_are_exported(run, q_store, tmp_path):
    assert "charges in charges.csv" in q_store("export", "charges", "charges.csv").out
    with (tmp_path / "charges.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["circuits"]) for row in rows) == 167
    assert {row["run"] for row in rows} == {run["id"]}


def test_a_pool_is_watched(run, q_store, pool, net, monkeypatch):
    del run
    net.cut.add("two.test")
    name = pool(THREE.replace('"one"', '"ionq"') + HERE)
    rows = {row["member"]: row for row in q_store("pool", name, "--json").json}
    assert rows["ionq"]["health"] == rows["here"]["health"] == "available"
    assert rows["two"]["health"].startswith("no answer: ")
    assert rows["ionq"]["rate"] > 0
    assert (rows["ionq"]["in_flight"], rows["ionq"]["uncertain"], rows["two"]["rate"]) == (0, 0, None)
    assert "no answer" in q_store("pool", name, "--once").out
    looks = []

    def ended(seconds):
        looks.append(seconds)
        if len(looks) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(pool_view.time, "sleep", ended)
    monkeypatch.setattr(pool_view.Console, "is_terminal", True)
    assert q_store("pool", name).code == 130
    assert len(looks) == 2


@pytest.mark.parametrize("command", ["train", "resume"])
def test_whether_to_buy_again_is_an_option(q_store, pool, command, run):
    words = [*([] if command == "resume" else ["lean"]), *([] if command == "train" else [run["id"]])]
    on = ["--pool", pool(THREE)] if command == "train" else []
    got = q_store(command, *words, *on, "--lost", "bye")
    assert got.code == 2
    assert "did you mean 'buy'?" in got.err
    if command == "train":
        alone = q_store(command, *words, "--backend", "ionq", "--lost", "buy")
        assert alone.code == 2
        assert "nobody else to buy from" in alone.err


@pytest.mark.usefixtures("net")
def test_what_was_bought_again_is_shown(q_store, pool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "s.db"
    run, fingerprint = left_behind(path, State.UNCERTAIN)
    with Store(path, owner="later") as store:
        store.tickets.bought_again(fingerprint, "no answer from ionq for 60 s; bought again elsewhere")
    (row,) = q_store("jobs", "--json", "--store", str(path)).json
    assert row["bought_again"]
    assert q_store("show", run, "--json", "--store", path).json["members"]["ionq"]["bought_again"] == 1
    assert "they were bought again elsewhere" in " ".join(q_store("show", fingerprint, "--store", path).out.split())
    name = pool(THREE.replace('"one"', '"ionq"'))
    rows = {row["member"]: row["bought_again"] for row in q_store("pool", name, "--json", "--store", path).json}
    assert rows["ionq"] == 1
    assert sum(rows.values()) == 1


CIRCUIT = Circuit.build(2, [op("ry", 0, angles=[theta(0)])])


def left_behind(path, state, *, remote_id=None, config=None):
    """A run with one ticket, whose process has gone; sent by the member of `asked` where there is a config."""
    provider, domain = "ionq", Domain("x")
    if config:
        with crew(entries(Place("ionq", url="http://one.test/v0.4"), None)) as found:
            (member,) = found.members
            provider, domain = member.charges, member.shared
    part = Slice(CIRCUIT, np.array([[0.3]]), np.array([0]), 100, 0, "abcdef0123456789abcdef01")
    with Store(path) as store:
        run = store.runs.start("left", config or {}).id
        store.journal.begin(run, 0, b"job", 2)
        store.tickets.intend(Intent(part, run, 0, "ionq", provider, domain, reserve=Amounts(2.0, 100, 1)))
        if state is State.SENT:
            store.tickets.sent(part.fingerprint, remote_id)
        if state is State.UNCERTAIN:
            store.tickets.uncertain(part.fingerprint, "the reply was lost")
        return run, part.fingerprint


def asked():
    place = Place("ionq", url="http://one.test/v0.4").written_out()
    return {"request": Request("ring", place=place).config()}


def test_what_nobody_knows_is_said_with_what_to_do(q_store, net):
    del net
    run, job = left_behind("s.db", State.UNCERTAIN)
    store = ("--store", "s.db")
    assert f"1 UNCERTAIN: q-store show {job[:12]}" in q_store("jobs", *store).out
    for name in (run, job):
        text = " ".join(q_store("show", name, *store).out.split())
        assert "Nobody knows whether ionq accepted" in text
        assert f"q-store cancel {job[:12]} --paid MONEY" in text
    refused(q_store("cancel", job, "--paid", "-1", *store), "--paid of 0 or more")
    refused(q_store("cancel", job, *store), "--pool FILE")
    assert "FAILED" in q_store("cancel", job, "--paid", "1.25", *store).out
    assert q_store("runs", "--json", *store).json[0]["spent"] == {"USD": 1.25}
    assert q_store("runs", "--json", *store).json[0]["reserved"] == {"USD": 0.0}
    assert "nothing is on its way" in q_store("cancel", job, *store).out
    with Store("s.db") as opened:
        opened.check()


def test_settled_as_never_accepted_nothing_is_spent(q_store, net):
    del net
    _, job = left_behind("s.db", State.UNCERTAIN)
    assert q_store("cancel", job, "--paid", 0, "--store", "s.db").code == 0
    run = q_store("runs", "--json", "--store", "s.db").json[0]
    assert (run["spent"], run["reserved"]) == ({"USD": 0.0}, {"USD": 0.0})


def test_only_what_is_uncertain_is_settled_by_hand(q_store, net):
    del net
    _, job = left_behind("s.db", State.INTENT)
    refused(q_store("cancel", job, "--paid", 0, "--store", "s.db"), "one job that is UNCERTAIN")


def test_an_intent_that_the_service_never_had_is_closed(q_store, net):
    run, _ = left_behind("s.db", State.INTENT, config=asked())
    answer = q_store("cancel", run, "--store", "s.db")
    assert answer.code == 0, answer.err
    assert "FAILED" in answer.out
    assert "never accepted" in answer.out
    assert sum(circuits(net).values()) == 0


def test_a_job_that_waits_at_the_service_is_canceled(q_store, net):
    slow = net.emulators["one.test"] = Emulator(keys=[KEY], circuit_seconds=1000)
    body = {"type": "ionq.circuit.v1", "backend": "simulator", "shots": 100,
            "input": {"qubits": 2, "circuit": [{"gate": "ry", "target": 0, "rotation": 0.3}]}}  # fmt: skip

    async def send():
        async with httpx.AsyncClient(transport=slow.transport(), base_url="http://one.test/v0.4") as client:
            return (await client.post("/jobs", json=body, headers={"Authorization": f"apiKey {KEY}"})).json()["id"]

    run, job = left_behind("s.db", State.SENT, remote_id=asyncio.run(send()), config=asked())
    answer = q_store("cancel", run, "--store", "s.db")
    assert answer.code == 0, answer.err
    assert f"{job[:12]} CANCELLED" in answer.out
    assert [each["status"] for each in slow.ledger(jobs=True)["jobs"]] == ["canceled"]


def test_a_folder_that_bought_nothing_is_not_kept():
    assert not Stake().held


# --------------------------------------------------------------------------------------------------------------- kills


@pytest.mark.socket
def test_a_killed_training_buys_nothing_twice(data_file, tmp_path, q_store):
    """The process is killed twice, at any moment; the service's own ledger is the judge."""
    code = (
        "import sys\nfrom q_store.apps import cli, remote\nsettings = remote.settings\n"
        "quick = {'settle': 0.3, 'min_interval': 0.01}\n"
        "remote.settings = lambda *a, **more: settings(*a, **more).model_copy(update=quick)\n"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    program = [sys.executable, "-c", code]
    with Emulator(circuit_seconds=0.005) as running:
        ring = ["--data", str(data_file), "--backend", "ionq", "--noise", "aria-1", "--shots", "20", "--out", "run"]
        environment = {**os.environ, "IONQ_API_KEY": KEY, "IONQ_API_URL": running.url}
        words = ["train", "ring", *ring, *map(str, FEW)]
        for count in (40, 100):
            with subprocess.Popen(
                [*program, *words], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL
            ) as process:
                while process.poll() is None and running.ledger()["accepted_circuits"] < count:
                    time.sleep(0.01)
                process.kill()
            words = ["resume", "run"]
        found = subprocess.run(
            [*program, "resume", "run", "--json"], cwd=tmp_path, env=environment, check=False,
            capture_output=True,
        )  # fmt: skip
        assert found.returncode == 0, found.stderr
        ledger = running.ledger(jobs=True)
    assert json.loads(found.stdout.splitlines()[-1])["remote"]["shots"] == 20
    assert ledger["accepted_circuits"] == 167
    store = ("--store", tmp_path / "runs" / "q-store.db")
    jobs = q_store("jobs", "--json", *store).json
    assert {job["state"] for job in jobs} <= {"DONE", "FAILED"}
    assert sum(job["circuits"] for job in jobs if job["state"] == "DONE") == 167
