"""cirq-ionq, driven line by line."""

from __future__ import annotations

import math
from typing import Any

import cirq
import cirq_ionq
from lines import serve

Json = Any
POLL = 0.02  # seconds
FIXED = {
    "h": cirq.H, "x": cirq.X, "y": cirq.Y, "z": cirq.Z, "s": cirq.S, "si": cirq.S**-1, "t": cirq.T, "ti": cirq.T**-1,
    "v": cirq.X**0.5, "vi": cirq.X**-0.5, "swap": cirq.SWAP,
}  # fmt: skip
TURNING = {"rx": cirq.rx, "ry": cirq.ry, "rz": cirq.rz}
POWERS = {"xx": cirq.XX, "yy": cirq.YY, "zz": cirq.ZZ}
NATIVE = {"aria": cirq_ionq.AriaNativeGateset, "forte": cirq_ionq.ForteNativeGateset}


def build(plain: Json, key: str = "m") -> cirq.Circuit:
    """The circuit, all of its qubits measured; each gate as the user of cirq would write it."""
    circuit = cirq.Circuit()
    for name, qubits, angles, controls in plain["gates"]:
        if name in FIXED:
            gate = FIXED[name]
        elif name in TURNING:
            gate = TURNING[name](*angles)
        else:
            gate = POWERS[name] ** (angles[0] / math.pi)
        if controls:
            gate = gate.controlled(len(controls)) if name != "x" else [cirq.CNOT, cirq.TOFFOLI][len(controls) - 1]
        circuit.append(gate(*(cirq.LineQubit(q) for q in (*controls, *qubits))))
    circuit.append(cirq.measure(*cirq.LineQubit.range(plain["qubits"]), key=key))
    return circuit


def service(url: str) -> cirq_ionq.Service:
    return cirq_ionq.Service(remote_host=url, max_retry_seconds=2)


def reverse(found: Json, n_qubits: int) -> Json:
    """Keys with the first qubit most significant, as cirq has them, to the least significant."""
    return {int(format(key, f"0{n_qubits}b")[::-1], 2): value for key, value in found.items()}


def answer(job: Any, results: Any, circuits: Json, *, exact: bool = True) -> Json:
    """Counts, and the simulator's probabilities; of a noisy simulation these are frequencies, so counts already."""
    results = results if isinstance(results, list) else [results]
    simulated = isinstance(results[0], cirq_ionq.SimulatorResult)
    counts, maps = [], []
    for result, plain in zip(results, circuits, strict=True):
        n_qubits = plain["qubits"]
        if not simulated:
            counts.append(reverse(result.counts("m"), n_qubits))
            continue
        found = reverse(result.probabilities("m"), n_qubits)
        maps.append(found)
        if exact:
            samples = result.to_cirq_result(seed=5).histogram(key="m")
            counts.append(reverse({int(k): int(v) for k, v in samples.items()}, n_qubits))
        else:
            counts.append({k: round(v * result.repetitions()) for k, v in found.items()})
    return {"job": job.job_id(), "counts": counts, "probabilities": maps if simulated and exact else None}


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
    built = [build(plain) for plain in circuits]
    if native:
        built = [cirq.optimize_for_target_gateset(each, gateset=NATIVE[native]()) for each in built]
    noisy = {"model": noise, "seed": seed} if noise else None
    host = service(url)
    if batch:
        job = host.create_batch_job(built, repetitions=shots, target=backend, noise=noisy)
    else:
        job = host.create_job(built[0], repetitions=shots, target=backend, noise=noisy)
    return answer(job, job.results(polling_seconds=POLL), circuits, exact=not noise)


def compiled(url: str, circuit: Json) -> Json:
    """Through cirq's compiler for the QIS gates, which knows every controlled gate."""
    plain = cirq.optimize_for_target_gateset(build(circuit), gateset=cirq_ionq.IonQTargetGateset())
    job = service(url).create_job(plain, repetitions=100, target="simulator")
    return answer(job, job.results(polling_seconds=POLL), [circuit])


def cancel(url: str, backend: str, circuits: Json, shots: int) -> Json:
    host = service(url)
    job = host.create_job(build(circuits[0]), repetitions=shots, target=backend)
    before = job.status()
    job.cancel()
    try:
        text = str(job.results(polling_seconds=POLL))
    except Exception as error:  # noqa: BLE001 - its text is what a user sees
        text = str(error)
    return {"job": job.job_id(), "before": before, "status": host.get_job(job.job_id()).status(), "text": text}


def facts(url: str, circuit: Json) -> Json:
    """What a finished job knows of itself, once it is read again by its id."""
    host = service(url)
    sent = host.create_job(build(circuit, key="three words here"), repetitions=321, target="simulator", name="my name")
    sent.results(polling_seconds=POLL)
    job = host.get_job(sent.job_id())
    return {
        "status": job.status(), "name": job.name(), "target": job.target(), "qubits": job.num_qubits(),
        "repetitions": job.repetitions(), "measurements": {k: list(v) for k, v in job.measurement_dict().items()},
    }  # fmt: skip


def listing(url: str, limit: int, status: str | None = None) -> Json:
    return [job.job_id() for job in service(url).list_jobs(limit=limit, status=status)]


def delete(url: str, circuit: Json) -> Json:
    host = service(url)
    job = host.create_job(build(circuit), repetitions=10, target="simulator")
    job.results(polling_seconds=POLL)
    identity = job.job_id()
    job.delete()
    status = job.status()
    try:
        text = str(host.get_job(identity))
    except cirq_ionq.IonQNotFoundException as error:
        text = f"not found: {error}"
    return {"status": status, "text": text}


def sample(url: str, backend: str, circuit: Json, repetitions: int) -> Json:
    """Through cirq's own sampler interface."""
    result = service(url).sampler(target=backend, seed=3).run(build(circuit), repetitions=repetitions)
    counts = {int(k): int(v) for k, v in result.histogram(key="m").items()}
    return {"counts": [reverse(counts, circuit["qubits"])]}


def evolution(url: str, letters: str, angle: float, before: Json) -> Json:
    """`before`, then exp(-i angle P); letters[k] acts on qubit k."""
    circuit = build(before)[:-1]
    gate = cirq.PauliStringPhasorGate(
        cirq.DensePauliString(letters), exponent_neg=angle / math.pi, exponent_pos=-angle / math.pi
    )
    qubits = cirq.LineQubit.range(before["qubits"])
    circuit.append([gate(*qubits), cirq.measure(*qubits, key="m")])
    job = service(url).create_job(circuit, repetitions=100, target="simulator")
    return answer(job, job.results(polling_seconds=POLL), [before])


if __name__ == "__main__":
    serve(run, compiled, cancel, facts, listing, delete, sample, evolution)
