"""qiskit-ionq, driven line by line."""

from __future__ import annotations

import math
import warnings
from typing import Any

from lines import serve
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import PauliEvolutionGate, PhaseGate, RXGate, RYGate, RZGate
from qiskit.quantum_info import SparsePauliOp
from qiskit_ionq import IonQProvider
from qiskit_ionq.ionq_session import Session

Json = Any
POLL = 0.02  # seconds
METHODS = {"si": "sdg", "ti": "tdg", "v": "sx", "vi": "sxdg", "xx": "rxx", "yy": "ryy", "zz": "rzz"}
ROTATIONS = {"rx": RXGate, "ry": RYGate, "rz": RZGate, "p": PhaseGate}


def build(plain: Json, order: list[int] | None = None) -> QuantumCircuit:
    """The circuit, qubit `order[k]` measured into classical bit k (without order: all)."""
    order = list(range(plain["qubits"])) if order is None else order
    circuit = QuantumCircuit(plain["qubits"], len(order))
    for name, qubits, angles, controls in plain["gates"]:
        method = METHODS.get(name, name)
        if name == "x" and controls:
            circuit.mcx(controls, qubits[0])
        elif controls and name in ROTATIONS and len(controls) > 1:
            circuit.append(ROTATIONS[name](*angles).control(len(controls)), [*controls, *qubits])
        else:
            getattr(circuit, "c" * len(controls) + method)(*angles, *controls, *qubits)
    for k, qubit in enumerate(order):
        circuit.measure(qubit, k)
    return circuit


def backend_of(url: str, name: str, gateset: str = "qis", noise: str | None = None, seed: int | None = None) -> Any:
    backend = IonQProvider(url=url).get_backend(name, gateset=gateset)
    if noise:
        backend.set_options(noise_model=noise)
    if seed is not None:
        backend.set_options(sampler_seed=seed)
    return backend


def answer(job: Any, backend: Any, number: int) -> Json:
    """Counts by the integer of the classical bits, probabilities where they are exact."""
    result = job.result(wait=POLL)
    counts = [result.get_counts(k) for k in range(number)]
    maps = [result.data(k)["probabilities"] for k in range(number)]
    ideal = backend.name == "ionq_simulator" and backend.options.noise_model == "ideal"
    return {
        "job": job.job_id(),
        "counts": [{int(key, 2): value for key, value in each.items()} for each in counts],
        "probabilities": [{int(key, 2): value for key, value in each.items()} for each in maps] if ideal else None,
    }


def run(  # noqa: PLR0917
    url: str,
    backend: str,
    circuits: Json,
    shots: int,
    batch: bool = False,
    native: str | None = None,
    noise: str | None = None,
    seed: int | None = None,
) -> Json:
    target = backend_of(url, backend, "native" if native else "qis", noise, seed)
    built = [build(plain) for plain in circuits]
    if native:  # the backend knows its family
        built = transpile(built, target, optimization_level=1, seed_transpiler=1)
    job = target.run(built if batch else built[0], shots=shots)
    return answer(job, target, len(built))


def cancel(url: str, backend: str, circuits: Json, shots: int) -> Json:
    job = backend_of(url, backend).run(build(circuits[0]), shots=shots)
    job.cancel()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        status = job.status().name
    try:
        text = str(job.result(wait=POLL))
    except Exception as error:  # noqa: BLE001 - its text is what a user sees
        text = str(error)
    return {"job": job.job_id(), "status": status, "text": text, "warnings": [str(each.message) for each in caught]}


def measured(url: str, backend: str, circuit: Json, order: list[int], shots: int) -> Json:
    """Some qubits, into classical bits of another order."""
    target = backend_of(url, backend)
    return answer(target.run(build(circuit, order), shots=shots), target, 1)


def retrieve(url: str, backend: str, job: str, number: int) -> Json:
    """The counts of a job that another process has sent."""
    target = backend_of(url, backend)
    found = target.retrieve_job(job)
    return {**answer(found, target, number), "status": found.status().name}


def memory(url: str, backend: str, circuits: Json, shots: int) -> Json:
    """Shot by shot."""
    target = backend_of(url, backend)
    job = target.run(
        [build(plain) for plain in circuits] if len(circuits) > 1 else build(circuits[0]), shots=shots, memory=True
    )
    out = answer(job, target, len(circuits))
    return {**out, "memory": [[int(shot, 2) for shot in job.get_memory(k)] for k in range(len(circuits))]}


def children(url: str, backend: str, circuits: Json, shots: int) -> Json:
    """The detailed status of a finished batch."""
    job = backend_of(url, backend).run([build(plain) for plain in circuits], shots=shots)
    job.wait_for_final_state(wait=POLL)
    detail = job.status(detailed=True)
    return {**detail, "statuses": [each.name for each in detail["statuses"]]}


def evolution(url: str, terms: list[list[Any]], time: float, before: Json, backend: str = "simulator") -> Json:
    """`before`, then exp(-i time sum c P) over all qubits; letters[k] of a term acts on qubit k."""
    circuit = build(before, [])
    pauli = SparsePauliOp.from_list([(letters[::-1], c) for letters, c in terms])
    circuit.append(PauliEvolutionGate(pauli, time=time), range(before["qubits"]))
    circuit.measure_all()
    target = backend_of(url, backend)
    return answer(target.run(circuit, shots=100), target, 1)


def dry_run(url: str, backend: str, circuit: Json) -> Json:
    job = backend_of(url, backend).run(build(circuit), shots=100, dry_run=True)
    job.wait_for_final_state(wait=POLL)
    try:
        text = str(job.result(wait=POLL))
    except Exception as error:  # noqa: BLE001 - its text is what a user sees
        text = str(error)
    return {"job": job.job_id(), "status": job.status().name, "text": text}


def session(url: str, backend: str, circuit: Json) -> Json:
    """One job inside a session that is closed behind it."""
    target = backend_of(url, backend)
    with Session(backend=target, max_jobs=5, max_time=10, max_cost=100) as opened:
        job = target.run(build(circuit), shots=100)
        out = answer(job, target, 1)
        inside = opened.details()
    return {**out, "session": opened.session_id, "inside": inside, "after": opened.details()}


def services(url: str, backend: str) -> Json:
    """Estimate, calibration and availability."""
    target = backend_of(url, backend)
    estimate = target.client.estimate_job(backend=target.name, oneq_gates=10, twoq_gates=5, qubits=4, shots=500)
    calibration = target.calibration()
    return {
        "qubits": target.num_qubits,
        "available": target.status(),
        "execution": estimate.exec_time,
        "queue": estimate.queue_time,
        "estimated_at": estimate.estimated_at.isoformat(),
        "estimate": estimate.to_dict(),
        "spam": calibration.median_spam_fidelity,
        "pairs": len(calibration.connectivity),
        "calibrated": math.isfinite(calibration.date.timestamp()),
        "timing": calibration.timing,
    }


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message=".*optimization_level.*")
    serve(run, cancel, measured, retrieve, memory, children, evolution, dry_run, session, services)
