"""`enable_dashboard=True`: the page of a training that a program does, served beside it."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.apps.legacy.conftest import batch

from q_store import QuantumModel, QuantumTrainer, TrainingConfig
from q_store.apps.cli import main
from q_store.apps.dashboard.serve import listen
from q_store.apps.history import History
from q_store.errors import ConfigError

ENDLESS = 1_000_000
RUN = Path("runs") / "QuantumModel-seed0"


def trainer_of(**names):
    given = {"n_qubits": 2, "circuit_depth": 1, "gradient_method": "spsa", "enable_dashboard": True}
    return QuantumTrainer(TrainingConfig(**{**given, "dashboard_port": 0, **names}))


class Page:
    """What a browser would see and press."""

    def __init__(self, capsys):
        self._capsys, self._said = capsys, ""

    async def open(self):
        while "?token=" not in self._said or not RUN.is_dir():
            self._said += self._capsys.readouterr().err
            await asyncio.sleep(0.02)
        self._base, token = re.search(r"dashboard: (http\S+)/\?token=(\S+)", self._said).groups()
        self.http = httpx.AsyncClient(base_url=self._base, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    async def look(self):
        """All that a page opened now gets first."""
        async with self.http.stream("GET", "/events") as reply:
            async for line in reply.aiter_lines():
                if line.startswith("data: "):
                    return json.loads(line[6:])
        raise AssertionError("the page said nothing")

    async def until(self, holds):
        while not holds(found := await self.look()):  # noqa: ASYNC110  # the page is in another process
            await asyncio.sleep(0.05)
        return found

    async def press(self, wanted):
        reply = await self.http.post("/control", json={"wanted": wanted}, headers={"Origin": self._base})
        assert reply.status_code == 200, reply.text


@pytest.mark.socket
@pytest.mark.usefixtures("ends")
def test_page_shows_holds_and_stops_a_training_while_its_event_loop_goes_on(capsys):
    trainer, model, page = trainer_of(epochs=ENDLESS, batch_size=4), QuantumModel(), Page(capsys)

    async def watcher():
        await page.open()
        async with page.http:
            found = await page.until(lambda said: said["progress"]["step"] > 3)
            await page.press("pause")
            held = await page.until(lambda said: said["progress"]["status"] == "held")
            await asyncio.sleep(0.5)
            later = await page.look()
            await page.press("run")
            await page.until(lambda said: said["progress"]["step"] > later["progress"]["step"])
            await page.press("stop")
        return found, held, later

    async def program():
        watching = asyncio.create_task(watcher())
        with pytest.raises(KeyboardInterrupt):
            await trainer.train(model, batch(8, 2, 2))
        return await watching

    start = QuantumModel(2, 2, depth=1).vector
    found, held, later = asyncio.run(program())
    assert (found["run"]["name"], found["run"]["model"], found["run"]["seed"]) == (RUN.name, "QuantumModel", 0)
    assert found["run"]["alive"]
    assert found["run"]["circuit"]
    assert found["curves"]["steps"]["rows"][0][1] > 0  # a loss
    assert held["progress"]["step"] == later["progress"]["step"]
    assert np.linalg.norm(model.vector - start) > 1e-3
    assert trainer.current_epoch == trainer.training_history[-1].epoch + 1
    kinds = [entry.kind for entry in History(RUN).read()]
    assert kinds[-1] == "ProcessEnded"
    assert {"RunHeld", "RunReleased", "RunStopped", "JobsRun"} <= set(kinds)


@pytest.mark.socket
@pytest.mark.usefixtures("ends")
def test_stop_ends_a_step_that_hangs(capsys):
    """A service that says nothing: there is no end of a step at which to stop."""

    class Silent:
        name = "silent"

        async def execute_batch(self, circuits, shots):  # noqa: ARG002
            await asyncio.sleep(1e6)

    given = {"quantum_sdk": "mock", "enable_dashboard": True, "dashboard_port": 0, "n_qubits": 2, "circuit_depth": 1}
    trainer, page = QuantumTrainer(TrainingConfig(**given), Silent()), Page(capsys)

    async def watcher():
        await page.open()
        async with page.http:
            await page.until(lambda said: said["run"]["circuit"])
            await page.press("stop")

    async def program():
        watching = asyncio.create_task(watcher())
        await trainer.train(QuantumModel(), batch(4, 2, 2))
        await watching

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(program())
    last = History(RUN).read()[-1]
    assert (last.kind, last.values["status"]) == ("ProcessEnded", "stopped")


@pytest.mark.socket
def test_taken_port_is_said_before_anything_is_trained():
    with closing(listen("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        trainer = trainer_of(epochs=1, dashboard_port=port)
        said = rf"got {port}, which another program uses; the next free one: dashboard_port=\d+"
        with pytest.raises(ConfigError, match=said):
            asyncio.run(trainer.train(QuantumModel(), batch(4, 2, 2)))
    assert trainer.training_history == []
    assert not RUN.exists()


@pytest.mark.socket
def test_several_calls_share_a_page_in_a_block(capsys):
    async def program():
        async with trainer_of(epochs=2) as trainer:
            model = QuantumModel()
            await trainer.train(model, batch(4, 2, 2))
            await trainer.train_epoch(model, batch(4, 2, 2), 2)

    asyncio.run(program())
    assert [path.name for path in Path("runs").iterdir()] == ["QuantumTrainer-seed0"]
    assert capsys.readouterr().err.count("dashboard: ") == 1
    kinds = [entry.kind for entry in History(Path("runs") / "QuantumTrainer-seed0").read()]
    assert (kinds.count("RunStarted"), kinds.count("EpochDone"), kinds.count("ProcessEnded")) == (2, 3, 1)


def test_a_single_step_has_no_page_and_says_so():
    with pytest.warns(UserWarning, match="this step by itself has no page"):
        asyncio.run(trainer_of().train_batch(QuantumModel(), *batch(4, 2, 2)))
    assert not Path("runs").exists()


@pytest.mark.socket
def test_other_commands_read_the_run(capsys):
    asyncio.run(trainer_of(epochs=2).train(QuantumModel(), batch(4, 2, 2)))
    capsys.readouterr()
    assert main(["report", str(RUN)]) == 0
    assert "not finished" not in capsys.readouterr().out
    assert main(["show", str(RUN), "--ledger"]) == 0
    assert "local" in capsys.readouterr().out
    for command in (["evaluate", str(RUN)], ["train", "--resume", str(RUN)]):
        assert main(command) == 2
        assert "expected a run of q-store train, got one of the program" in capsys.readouterr().err
