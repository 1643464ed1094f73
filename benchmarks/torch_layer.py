"""How fast is a circuit as a layer of a PyTorch model, beside PennyLane's `qml.qnn.TorchLayer`?

    python benchmarks/torch_layer.py [--repeats 7] [--batches 10 100] [--qubits 6] [--out FILE]

One call is a forward and a backward pass of

    RY(x_q) on every qubit, four layers of RY and RZ on every qubit and a linear CNOT chain, <Z_q> on every qubit

for B rows in float32, with gradients of all 8 n parameters, and of the inputs too (`inputs`) or not (`data`). Peers are
the same circuit on default.qubit with backpropagation (one broadcast call) and on lightning.qubit with the adjoint
method. All of them first give the same values and gradients. One process, one core, one thread for each library;
repetition r of every engine runs before repetition r + 1 of any, with new parameters each time. Ratios are those of
processor time, formed repetition by repetition.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import pennylane as qml
import torch
from machine import description

from q_store.backends.local import LocalBackend
from q_store.circuits import encoders, templates
from q_store.torch import Layer

LAYERS = 4
OURS, BACKPROP, ADJOINT = "q-store", "default.qubit, backprop", "lightning.qubit, adjoint"
TOLERANCE = 1e-4
PACKAGES = ("q-store", "torch", "pennylane", "pennylane-lightning", "numpy")


def ours(n: int) -> torch.nn.Module:
    circuit = encoders.angle(n) + templates.hardware_efficient(n, LAYERS, ("ry", "rz"), final_rotations=())
    return Layer(circuit, executor=LocalBackend(threads=1))


def theirs(n: int, device: str, method: str) -> torch.nn.Module:
    @qml.qnode(qml.device(device, wires=n), interface="torch", diff_method=method)
    def node(inputs: Any, weights: Any) -> Any:
        for q in range(n):
            qml.RY(inputs[..., q], wires=q)
        for layer in range(LAYERS):
            for k, gate in enumerate((qml.RY, qml.RZ)):
                for q in range(n):
                    gate(weights[(2 * layer + k) * n + q], wires=q)
            for q in range(n - 1):
                qml.CNOT(wires=[q, q + 1])
        return [qml.expval(qml.PauliZ(q)) for q in range(n)]

    return qml.qnn.TorchLayer(node, {"weights": (2 * n * LAYERS,)})


def engines(n: int) -> dict[str, torch.nn.Module]:
    return {
        OURS: ours(n),
        BACKPROP: theirs(n, "default.qubit", "backprop"),
        ADJOINT: theirs(n, "lightning.qubit", "adjoint"),
    }


def call(layer: torch.nn.Module, rows: torch.Tensor, cotangents: torch.Tensor) -> list[torch.Tensor]:
    """Values, and the gradients that are asked for."""
    (params,) = layer.parameters()
    values = layer(rows)
    wanted = [params, rows] if rows.requires_grad else [params]
    return [values.detach(), *torch.autograd.grad((values * cotangents).sum(), wanted)]


def check(layers: dict[str, torch.nn.Module], rows: torch.Tensor, cotangents: torch.Tensor) -> None:
    start = torch.randn(next(layers[OURS].parameters()).shape)
    found = {}
    for name, layer in layers.items():
        next(layer.parameters()).data = start.clone()
        found[name] = call(layer, rows, cotangents)
    for name, answer in found.items():
        for one, other in zip(answer, found[OURS], strict=True):
            if not torch.allclose(one.float(), other, atol=TOLERANCE * len(rows)):
                raise SystemExit(f"{name} and {OURS} disagree by {(one - other).abs().max()}")


def measured(n: int, batch: int, repeats: int, *, inputs: bool) -> dict[str, Any]:
    """Wall and processor seconds of each engine and repetition."""
    rows = torch.randn(batch, n, requires_grad=inputs)
    cotangents = torch.randn(batch, n)
    layers = engines(n)
    check(layers, rows, cotangents)
    taken: dict[str, dict[str, list[float]]] = {name: {"seconds": [], "cpu_seconds": []} for name in layers}
    for _ in range(repeats):
        for name, layer in layers.items():
            wall, cpu = once(layer, lambda layer=layer: call(layer, rows, cotangents), 50 if name == OURS else 1)
            taken[name]["seconds"].append(wall)
            taken[name]["cpu_seconds"].append(cpu)
    return {"qubits": n, "batch": batch, "inputs": inputs, "engines": taken}


def once(layer: torch.nn.Module, work: Callable[[], Any], calls: int) -> tuple[float, float]:
    """Seconds of a call, wall and processor; the mean of as many as the clock needs."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(calls):
        with torch.no_grad():
            next(layer.parameters()).uniform_(-3, 3)
        work()
    return (time.perf_counter() - wall) / calls, (time.process_time() - cpu) / calls


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--batches", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--qubits", type=int, nargs="+", default=[4, 6])
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    torch.manual_seed(0)
    found: dict[str, Any] = {
        "machine": description(),
        "versions": {name: version(name) for name in PACKAGES},
        "cases": [],
    }
    for n in given.qubits:
        for batch in given.batches:
            for inputs in (False, True):
                case = measured(n, batch, given.repeats, inputs=inputs)
                found["cases"].append(case)
                shown = {name: 1e3 * median(each["cpu_seconds"]) for name, each in case["engines"].items()}
                print(
                    n, batch, "inputs" if inputs else "data", {k: f"{v:.2f} ms" for k, v in shown.items()}, flush=True
                )
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
