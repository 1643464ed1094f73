"""How much faster is a pool than one backend, what is left when a member breaks, and what does it all cost here?

    python benchmarks/pool.py [--circuits 960] [--repeats 5] [--part shares broken overhead] [--out FILE]

shares    real pools, clients and stores against emulators in this process, in virtual time: three equal members beside
          one; speeds 1:1:4:100 beside the optimum (all circuits over the sum of the speeds); one of three members that
          breaks, beside three sound ones; paid ones with both values of the setting `lost`: with `wait` what the
          broken member has is waited for and never bought again, with `buy` it is. `first`: nothing is known of the
          members yet; `next`: speeds are known.
          Free members are simulators; paid ones machines, 100 shots a circuit.
overhead  processor time of this process. remote: a job through a pool with a store on the disk less the same through
          the bare client, by circuit. local: a gradient step of 960 circuits (`ring`, 16 images) through a pool of this
          machine with a store, beside the bare engine; in turn, some 1000 times.

Exit code 1 when a limit is exceeded.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the sites of the tests
from tests.pool.pools import Site, epoch, opened, sweep

from q_store.backends.local import LocalBackend
from q_store.backends.local.service import LocalService
from q_store.emulator.clock import run_virtual
from q_store.jobs import Job, Output, Status
from q_store.models import zoo
from q_store.pool.membership import Member
from q_store.pool.pool import Pool
from q_store.pool.settings import BUY, WAIT, PoolSettings
from q_store.store import Store
from q_store.waiting import wait

EQUAL, UNLIKE, BROKEN = 2.8, 1.10, 0.6
THROTTLED = 100.0
"""Seconds for which a member throttles that is waited for."""
REMOTE_MS, LOCAL_SHARE = 1.0, 0.05
SHOTS = 100
SPEEDS = (1, 1, 4, 100)
FAULTS: dict[str, dict[str, str]] = {
    "dead": {},
    "500": {},
    "429": {},
    "hanging": {"faults": "stuck:1"},
    "failing": {"faults": "failed-job:1"},
}


@dataclass(frozen=True)
class Row:
    """A line of the table; `value` against `limit`, which it must reach or stay below."""

    what: str
    value: float
    limit: float | None = None
    least: bool = True
    note: str = ""

    @property
    def holds(self) -> bool:
        return self.limit is None or (self.value >= self.limit if self.least else self.value <= self.limit)

    def text(self) -> str:
        bound = "" if self.limit is None else f"{'>=' if self.least else '<='} {self.limit:g}"
        return f"{self.what:58s} {self.value:9.3f}  {bound:8s} {'' if self.holds else 'MISSED'} {self.note}".rstrip()


# ------------------------------------------------------------------------------------------------------ virtual time


def sites(seconds: tuple[float, ...], *, paid: bool, rtt: float = 0.1) -> list[Site]:
    """Members that take so long for a circuit."""
    kind = {"backend": "qpu.aria-1"} if paid else {}
    return [Site(f"m{k}", circuit_seconds=each, rtt=rtt, **kind) for k, each in enumerate(seconds)]


def jobs(circuits: int, count: int, *, paid: bool) -> list[Job]:
    """Different circuits, to be run one job after the other."""
    params = sweep(circuits * count).params
    shots = {"shots": SHOTS} if paid else {}
    return [sweep(circuits, params=part, **shots) for part in np.split(params, count)]


def spans(
    own: list[Site],
    work: list[Job],
    do: Callable[[], None] | None = None,
    at: float = 0.0,
    settings: PoolSettings | None = None,
) -> list[float]:
    """Virtual seconds of each job; `do` happens `at` seconds after the beginning. Nothing may be lost."""
    epoch()
    store = opened()
    store.runs.start("benchmark", {}, run="r")

    async def go() -> list[float]:
        taken = []
        loop = asyncio.get_running_loop()
        async with Pool([site.member for site in own], store, run="r", settings=settings) as pool:
            if do is not None:
                loop.call_later(at, do)
            for job in work:
                start = loop.time()
                (outcome,) = await pool.run_async([job])
                taken.append(loop.time() - start)
                lost = [status for status in outcome.status.values() if status is not Status.UNCERTAIN]
                if lost:
                    raise SystemExit(f"{len(lost)} circuits were lost: {outcome.error}")
                if outcome.status:
                    raise Uncertain(len(outcome.status), taken[-1])
        return taken

    try:
        return run_virtual(go())
    finally:
        store.close()


class Uncertain(Exception):  # noqa: N818  # it is no error
    """Paid circuits whose fate is unknown were reported as such."""

    def __init__(self, circuits: int, seconds: float) -> None:
        super().__init__(circuits, seconds)
        self.circuits, self.seconds = circuits, seconds


def shares(circuits: int, *, paid: bool) -> list[Row]:
    """Equal and unlike members."""
    name = "paid" if paid else "free"
    work = jobs(circuits, 2, paid=paid)
    alone = spans(sites((1.0,), paid=paid), work)
    three = spans(sites((1.0,) * 3, paid=paid), work)
    unlike = spans(sites(tuple(10.0 / speed for speed in SPEEDS), paid=paid), work)
    best = circuits * 10.0 / sum(SPEEDS)
    rows = []
    for k, when in enumerate(("first", "next")):
        rows += [
            Row(f"{name}: three equal members, times as fast as one, {when}", alone[k] / three[k], EQUAL),
            Row(f"{name}: 1:1:4:100, of the optimum, {when}", unlike[k] / best, UNLIKE, least=False),
        ]
    return rows


def broken(circuits: int, *, paid: bool) -> list[Row]:
    """One of three members breaks, at once or a third of the way."""
    name, rows = "paid" if paid else "free", []
    (healthy,) = spans(sites((1.0,) * 3, paid=paid), jobs(circuits, 1, paid=paid))
    cases = [
        (fault, when, at) for fault in FAULTS for when, at in (("from the start", 0.0), ("mid-batch", healthy / 3))
    ]
    for lost in (WAIT, BUY) if paid else (WAIT,):
        for fault, when, at in cases:
            what = f"{name}{', ' + lost if paid else ''}: one of three {fault} {when}, share of healthy"
            rows.append(one_broken(what, sites((1.0,) * 3, paid=paid), fault, at, lost, healthy, circuits, paid=paid))
    return rows


def one_broken(  # noqa: PLR0917
    what: str, own: list[Site], fault: str, at: float, lost: str, healthy: float, circuits: int, *, paid: bool
) -> Row:
    """A pool whose first member breaks `at` that second, beside one in good health."""

    def happens() -> None:
        breaks(own[0], fault)
        if (fault, lost) == ("429", WAIT):  # what it has accepted is waited for: it must answer again some time
            asyncio.get_running_loop().call_later(THROTTLED, setattr, own[0].line, "status", None)

    try:
        (took,) = spans(own, jobs(circuits, 1, paid=paid), happens, at, PoolSettings(lost=lost))
    except Uncertain as found:
        note = f"{found.circuits} circuits of unknown fate, reported and not bought again"
        return Row(what, healthy / found.seconds, BROKEN if lost == BUY or not paid else None, note=note)
    charged = sum(site.ledger["charged_circuits"] for site in own)
    twice = sum(site.ledger["circuits_charged_twice"] for site in own)
    again = charged - circuits
    if paid and (twice or (again and lost == WAIT)):
        raise SystemExit(f"{what}: {charged} of {circuits} circuits charged, {twice} twice by one account")
    note = f"{again} circuits bought again" if paid and again else ""
    return Row(what, healthy / took, BROKEN, note=note)


def breaks(site: Site, fault: str) -> None:
    """From now on."""
    from q_store.emulator.faults import Faults

    site.line.dead = fault == "dead"
    site.line.status = int(fault) if fault.isdigit() else None
    if spec := FAULTS[fault].get("faults"):
        site.emulator._service.faults = Faults.parse(spec, 1)  # noqa: SLF001  # mid-batch


# ---------------------------------------------------------------------------------------------------- processor time


def gradient_step(shots: int | None = None) -> Job:
    """`ring` over 16 images: 16 x 60 shifted circuits."""
    definition = zoo.definition("ring")
    model = definition.model(
        class_names=tuple("abcdefghij"), classes=np.arange(10), settings=definition.settings, backend=LocalBackend()
    )
    chance = np.random.default_rng(1)
    data = chance.normal(size=(16, model.circuit.n_features))
    data /= np.linalg.norm(data, axis=1, keepdims=True)
    params = chance.normal(size=model.circuit.n_params)
    return Job(model.circuit, data, params, model.observables, Output.SHIFTED, shots=shots)


def moved(job: Job, seed: int) -> Job:
    """The same step at other parameters: nothing that is known already."""
    from dataclasses import replace

    return replace(job, params=np.random.default_rng(seed).normal(size=np.shape(job.params)))


def taken(calls: list[Callable[[Job], object]], job: Job, rounds: int) -> npt.NDArray[np.float64]:
    """Processor seconds [rounds, calls]: in each round all of them on the same new parameters, in random order."""
    chance = np.random.default_rng(7)
    seconds = np.zeros((rounds, len(calls)))
    for call in calls:
        call(job)
    gc.collect()
    gc.disable()
    try:
        for own in seconds:
            each = moved(job, int(chance.integers(2**31)))
            for k in chance.permutation(len(calls)).tolist():
                start = time.process_time()
                calls[k](each)
                own[k] = time.process_time() - start
    finally:
        gc.enable()
    return seconds


def remote(repeats: int, folder: Path, *, paid: bool) -> tuple[float, float]:
    """Milliseconds a circuit: of the bare client and its emulator, and what pool and store add."""
    job = gradient_step(SHOTS if paid else None)
    bare: list[float] = []
    whole: list[float] = []

    async def by_client(each: Job) -> None:
        client = sites((0.0,), paid=paid)[0].member.backend
        try:
            await client.run_async([each])  # type: ignore[attr-defined]
        finally:
            await client.aclose()

    async def by_pool(each: Job, store: Store) -> None:
        async with Pool([sites((0.0,), paid=paid)[0].member], store) as pool:
            await pool.run_async([each])

    epoch()
    with Store(folder / f"{paid}.db", clock=epoch) as store:
        for seed in range(repeats + 1):
            each = moved(job, seed)
            for call, into in ((by_client, bare), (lambda e: by_pool(e, store), whole)):
                gc.collect()
                start = time.process_time()
                run_virtual(call(each))
                into.append(time.process_time() - start)
    scale = 1e3 / 960
    added = [(b - a) * scale for a, b in zip(bare[1:], whole[1:], strict=True)]
    return median(bare[1:]) * scale, median(added)


def local(repeats: int, folder: Path) -> list[Row]:
    """A step by the engine, and what a pool adds: the median over rounds of the share in the same round."""
    job, engine = gradient_step(), LocalBackend()
    with Store(folder / "local.db") as store:
        service = LocalService(engine)
        whole = Pool([Member(name="here", backend=service, recorded=False, at_once=engine)], store)
        sliced = Pool([Member(name="here", backend=LocalService(engine), recorded=False)], store)
        short = taken(
            [engine.run, lambda job: whole.run_all([job]), lambda job: waited(whole, job)], job, 200 * repeats
        )
        long = taken([engine.run, lambda job: waited(sliced, job)], job, 4 * repeats)
        wait(whole.aclose())
        wait(sliced.aclose())
    return [
        Row("local step of 960 circuits, ms", 1e3 * float(np.median(short[:, 0])), note=f"{len(short)} rounds"),
        share("pool and store, share of the local step", short[:, :2], LOCAL_SHARE),
        share("the same where another thread waits for it", short[:, [0, 2]]),
        share("the same where the step is cut into slices", long),
    ]


def waited(pool: Pool, job: Job) -> object:
    """By the event loop in the other thread."""
    return wait(pool.run_async([job]))


def share(what: str, seconds: npt.NDArray[np.float64], limit: float | None = None) -> Row:
    """What the second column adds to the first."""
    least = seconds.min(axis=0)
    added = float(np.median(seconds[:, 1] / seconds[:, 0])) - 1
    return Row(what, added, limit, least=False, note=f"of the minima {least[1] / least[0] - 1:.3f}")


def overhead(repeats: int) -> list[Row]:
    """What pool and store cost here."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for paid in (False, True):
            bare, added = remote(repeats, Path(name), paid=paid)
            what = "paid" if paid else "free"
            rows += [
                Row(f"{what}: client and emulator, ms a circuit", bare),
                Row(f"{what}: pool and store, ms a circuit", added, REMOTE_MS, least=False),
            ]
        return [*rows, *local(repeats, Path(name))]


def kept(path: Path | None, measured: set[str]) -> list[dict[str, Any]]:
    """The rows of a result file that were not measured again."""
    if path is None or not path.is_file():
        return []
    return [row for row in json.loads(path.read_text(encoding="utf-8"))["rows"] if row["what"] not in measured]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--circuits", type=int, default=960)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--part", choices=["shares", "broken", "overhead"], nargs="+", help="only these")
    parser.add_argument("--out", type=Path, help="write the figures as JSON; those of other parts stay")
    given = parser.parse_args()
    parts: dict[str, Callable[[], list[Row]]] = {
        "shares": lambda: shares(given.circuits, paid=False) + shares(given.circuits, paid=True),
        "broken": lambda: broken(given.circuits, paid=False) + broken(given.circuits, paid=True),
        "overhead": lambda: overhead(given.repeats),
    }
    rows: list[Row] = []
    for part in given.part or parts:
        for row in parts[part]():
            print(row.text(), flush=True)
            rows.append(row)
    new = [{**asdict(row), "holds": row.holds} for row in rows]
    found: dict[str, Any] = {
        "machine": {"processors": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "circuits": given.circuits,
        "load": os.getloadavg(),
        "rows": [*(kept(given.out, {row.what for row in rows}) if given.part else []), *new],
    }
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(not all(row.holds for row in rows))


if __name__ == "__main__":
    sys.exit(main())
