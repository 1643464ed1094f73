"""Times q-store and its peers side by side: one repetition of each in turn, on the same cores, in one run.

    python benchmarks/run.py            everything: n = 6 with all batches, n = 8, 10, 12 with the small ones
    python benchmarks/run.py --quick    two minutes: n = 6, tensorcircuit-ng only, few repetitions
    python benchmarks/run.py --only W1 W2 --n 6 --peers tensorcircuit --threads 2

Every engine first computes the same numbers as the oracle, or the run stops. See README.md for what is measured.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import machine
import oracle
import report
from workers import HERE, OURS, PEERS, Worker, cores, environment, interpreter
from workloads import BATCHES, WORKLOADS, Case

SMALL_N = 6
MAX_CALLS = 2000
Timed = dict[str, Any]


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="n = 6, tensorcircuit-ng only, 5 short repetitions")
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--n", nargs="+", type=int, help="numbers of qubits (default 6 8 10 12)")
    parser.add_argument("--peers", nargs="*", choices=sorted(PEERS), help="default: all")
    parser.add_argument("--threads", type=int, default=1, choices=(1, 2))
    parser.add_argument("--repetitions", type=int, help="default 15 (--quick: 5)")
    parser.add_argument("--slice", type=float, help="seconds of one repetition of one engine (default 0.02)")
    parser.add_argument(
        "--limit", type=float, default=1.5, help="engines slower than this many seconds a call are not repeated"
    )
    parser.add_argument(
        "--venvs", type=Path, default=HERE.parent / ".venv-peers", help="folder of the peers' environments"
    )
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--name", help="name of the result file (default: made of the options)")
    parser.add_argument("--without-ours", action="store_true", help="the peers alone")
    options = parser.parse_args(argv)
    options.n = options.n or ([SMALL_N] if options.quick else [SMALL_N, 8, 10, 12])
    options.peers = (
        options.peers if options.peers is not None else (["tensorcircuit"] if options.quick else list(PEERS))
    )
    options.repetitions = options.repetitions or (5 if options.quick else 15)
    options.slice = options.slice or (0.01 if options.quick else 0.02)
    options.name = options.name or f"{'quick' if options.quick else 'full'}-{options.threads}-thread"
    return options


def cases(options: argparse.Namespace) -> list[Case]:
    """All batches at n = 6, the smallest beyond."""
    chosen = []
    for n in options.n:
        for workload in options.only:
            batches = BATCHES[workload] if n == SMALL_N else BATCHES[workload][:1]
            chosen += [Case(workload, n, batch) for batch in batches]
    return chosen


def prepare(case: Case, worker: Worker, reference: Any) -> list[Timed]:
    """Every formulation of an engine, compiled and checked against the oracle."""
    found = []
    for formulation in worker.ask("formulations", workload=case.workload, n=case.n)["names"]:
        reply = worker.prepare(case, formulation)
        error = oracle.compare(case, reply.pop("check"), reference)
        about = {"engine": worker.script.name, "formulation": formulation, "error": error}
        found.append({**about, "worker": worker, **reply})
    return found


def select(found: list[Timed]) -> tuple[list[Timed], list[Timed]]:
    """The customary formulation (the first) and the fastest; the rest is released and only listed."""
    fastest = min(found, key=lambda timed: timed["call_s"])
    kept = [found[0]] if fastest is found[0] else [found[0], fastest]
    for timed in kept:
        timed["role"] = ("customary, " if timed is found[0] else "") + ("fastest" if timed is fastest else "")
        timed["role"] = timed["role"].rstrip(", ")
    others = [timed for timed in found if timed not in kept]
    for timed in others:
        timed["worker"].ask("release", handle=timed["handle"])
    return kept, others


def repeat(contestants: list[Timed], options: argparse.Namespace) -> None:
    """Interleave: repetition r of every contestant before repetition r + 1 of any; who goes first rotates."""
    for timed in contestants:
        timed["calls"] = max(1, min(MAX_CALLS, round(options.slice / timed["call_s"])))
        timed["seconds"], timed["cpu_seconds"] = [], []
    for repetition in range(1, options.repetitions + 1):
        start = repetition % max(1, len(contestants))
        for timed in contestants[start:] + contestants[:start]:
            reply = timed["worker"].ask("time", handle=timed["handle"], repetition=repetition, calls=timed["calls"])
            for clock in ("seconds", "cpu_seconds"):
                timed[clock].append(reply[clock] / timed["calls"])


def measure(case: Case, workers: list[Worker], options: argparse.Namespace) -> dict[str, Any]:
    """One row of the results."""
    reference = oracle.expected(case, case.parameters(0, 1)[0])
    contestants: list[Timed] = []
    listed: list[Timed] = []
    for worker in workers:
        kept, others = select(prepare(case, worker, reference))
        contestants += kept
        listed += others
    slow = [timed for timed in contestants if timed["call_s"] > options.limit]
    fast = [timed for timed in contestants if timed not in slow]
    repeat(fast, options)
    for timed in contestants:
        timed["worker"].ask("release", handle=timed["handle"])
    for timed in [*contestants, *listed]:
        del timed["worker"], timed["handle"]
    return {"workload": case.workload, "n": case.n, "batch": case.batch, "timed": fast, "untimed": [*slow, *listed]}


def peaks() -> dict[str, float]:
    """The machine's peaks on one core, measured now, in a pinned process."""
    command = ["taskset", "-c", str(cores(1)[0]), sys.executable, str(HERE / "machine.py")]
    done = subprocess.run(command, env=environment(1), capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def compile_times(options: argparse.Namespace) -> dict[str, Any]:
    """q-store's import and first calls in a fresh process: with an empty compilation cache, and with the filled one."""
    times: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as cache:
        for state in ("uncached", "cached"):
            with Worker(OURS, sys.executable, options.threads, {"NUMBA_CACHE_DIR": cache}) as worker:
                times[state] = {"import": worker.ask("hello")["import_s"]}
                for workload in options.only:
                    reply = worker.prepare(Case(workload, SMALL_N, 10), "run(job)")
                    times[state][workload] = reply["compile_s"]
    return times


def save(result: dict[str, Any], options: argparse.Namespace) -> Path:
    """Write what there is: an interrupted run keeps its finished cases."""
    options.results.mkdir(parents=True, exist_ok=True)
    path: Path = options.results / f"{options.name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    scripts = ([] if options.without_ours else [OURS]) + [PEERS[name] for name in options.peers]
    pythons = [interpreter(script, options.venvs) for script in scripts]
    about = {"machine": machine.description(), "threads": options.threads}
    result: dict[str, Any] = {**about, "peaks": [peaks()], "cases": []}
    if not options.without_ours:
        result["compile_s"] = compile_times(options)
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(s, p, options.threads)) for s, p in zip(scripts, pythons, strict=True)]
        result["versions"] = {w.script.name: w.ask("hello")["versions"] for w in workers}
        for case in cases(options):
            result["cases"].append(measure(case, workers, options))
            save(result, options)
            print(report.line(result["cases"][-1]), file=sys.stderr, flush=True)
    result["peaks"].append(peaks())
    path = save(result, options)
    print(report.markdown(result))
    print(f"\nraw data: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
