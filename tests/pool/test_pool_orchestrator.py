"""The document's API: circuit dicts in, results in the order given, from several backends."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from tests.pool.pools import Site, epoch

from q_store.apps.legacy.orchestrator import MultiBackendOrchestrator
from q_store.backends.local import LocalBackend
from q_store.backends.local.service import LocalService
from q_store.emulator.clock import run_virtual
from q_store.errors import CircuitError, InputError


def circuits(count):
    """Circuit k turns qubit 0 by 0.15 k and copies it to qubit 1; every fifth has another structure."""
    out = []
    for k in range(count):
        gates = [{"gate": "ry", "targets": [0], "rotation": 0.15 * k}, {"gate": "cnot", "control": 0, "target": 1}]
        out.append({"qubits": 3, "circuit": gates + ([] if k % 5 else [{"gate": "x", "target": 2}])})
    return out


def run(backends, given, shots=4000):
    epoch()

    async def go():
        orchestrator = MultiBackendOrchestrator(backends)
        try:
            results = await orchestrator.execute_distributed(given, shots)
            return results, orchestrator.backend_stats, asyncio.get_running_loop().time()
        finally:
            await orchestrator.aclose()

    return run_virtual(go())


def check(results, shots=4000):
    for k, result in enumerate(results):
        one = "011" if k % 5 else "111"
        share = np.sin(0.075 * k) ** 2
        assert result.total_shots == shots
        assert abs(result.probabilities.get(one, 0.0) - share) < 6 * np.sqrt(share * (1 - share) / shots) + 1e-12
        assert set(result.counts) <= {one, one.replace("11", "00", 1) if k % 5 else "100"} | {"000"}


def test_twenty_circuits_on_three_backends_come_back_in_order_and_twice_as_fast():
    sites = [Site(f"m{k}", circuit_seconds=1.0) for k in range(3)]
    _, _, alone = run([Site("m0", circuit_seconds=1.0).member], circuits(20))
    results, stats, took = run([site.member for site in sites], circuits(20))
    check(results)
    assert alone / took > 2
    assert sum(each["answered"] for each in stats.values()) == 20
    assert {result.backend for result in results} == {"m0", "m1", "m2"}
    assert all(site.ledger["charged_circuits"] for site in sites)


def test_backends_of_every_kind_are_taken_and_get_names():
    results, stats, _ = run([LocalService(workers=0), LocalService(LocalBackend(), workers=0)], circuits(20))
    check(results)
    assert set(stats) == {"local", "local 2"}


def test_a_backend_that_fails_leaves_its_circuits_to_the_others():
    sites = [Site(f"m{k}", circuit_seconds=1.0, faults="failed-job:1" if not k else "") for k in range(3)]
    results, stats, _ = run([site.member for site in sites], circuits(20))
    check(results)
    assert stats["m0"]["failed"] > 0
    assert {result.backend for result in results} == {"m1", "m2"}


def test_no_circuits_are_no_results():
    assert run([LocalService(workers=0)], [])[0] == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"qubits": 1, "circuit": []}, "circuit 1: expected {'qubits': n"),
        ({"qubits": 1, "circuit": [{"gate": "cnot", "control": 0, "target": 1}]}, "qubits of 2 or more"),
        ({"qubits": 1, "circuit": [{"gate": "warp", "target": 0}]}, r"circuit 1: circuit\[0\].gate"),
        ("a circuit", "circuit 1"),
    ],
)
def test_a_circuit_that_cannot_be_read_is_named(given, said):
    with pytest.raises(CircuitError, match=said):
        run([LocalService(workers=0)], [circuits(1)[0], given])


def test_what_is_no_backend_is_refused():
    with pytest.raises(InputError, match="got str"):
        MultiBackendOrchestrator(["local"])
