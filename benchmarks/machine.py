"""What the machine can do, and what the workloads need at least.

Run as a script (pinned and limited by the driver) it prints the measured peaks as JSON:

    sgemm_gflops   NumPy's single-precision matrix product, 1024 x 1024
    fma_gflops     chains of fused multiply-adds in vector registers, by Numba: 2 operations each

`vector_operations` counts the arithmetic that a workload needs with the usual algorithms; its share of the peak is

    operations / (seconds * fma rate),    fma rate = fma_gflops / 2,

an operation being one multiply, add or fused multiply-add of one number (so a share of 1 means that every slot of the
vector unit did counted work). N = 2^n amplitudes. A rotation costs 2 N operations on a real state (every new amplitude
is one multiply and one fused multiply-add) and 4 N on a complex one; a layer of RZ is one diagonal, 2 N on a real and
4 N on a complex state; CNOTs are index maps and cost nothing; the last RZ layer and the last CNOTs are folded into the
observables where only probabilities matter.
"""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

from workloads import LAYERS, SHOTS, Case

SHOT_OPERATIONS = 8
"""Arithmetic of a sample: about five for the random number, three for an alias table. Its look-ups and the counting are
not arithmetic and cost several times as much, so W3 cannot come near a share of 1."""


def vector_operations(case: Case) -> float:
    """Counted operations of one call."""
    n, size, p = case.n, 2**case.n, case.n_params
    layer = 4 * size * n + 4 * size
    forward = 2 * size * n + 2 * size + (LAYERS - 2) * layer + 4 * size * n
    read = 2 * size + 2 * size
    if case.workload == "W1":
        return float(case.batch * (forward + read))
    if case.workload == "W2":
        return float(case.batch * (forward + read + _adjoint(n, size, layer)))
    derivatives = _derivatives(n, layer)
    if case.workload == "W3":
        shifted = 8 * size * (p - n) + 2 * n * read
        return float(case.batch * (forward + derivatives + shifted + 2 * p * SHOTS * SHOT_OPERATIONS))
    gram = p * (p + 1) // 2 * 2 * size + p * 4 * size
    return float(case.batch * (forward + 4 * size + derivatives + gram))


def _adjoint(n: int, size: int, layer: int) -> int:
    """Observable on the state; per layer inner products (2 N a rotation, 4 N a diagonal), then undone on two states."""
    start = 2 * size + 2 * size
    products = 2 * size * n * (LAYERS - 1) + size * n + 4 * size * (LAYERS - 1)
    undo = 2 * (layer * (LAYERS - 1))
    return start + products + undo


def _derivatives(n: int, layer: int) -> int:
    """P derivative states, each carried through the layers after its own."""
    return sum(2 * n * (LAYERS - 1 - own) * layer for own in range(LAYERS))


def share_of_peak(case: Case, seconds: float, fma_gflops: float) -> float:
    """Between 0 and 1; above 1 only if a better algorithm than the counted one ran."""
    return vector_operations(case) / (seconds * fma_gflops / 2 * 1e9)


def description() -> dict[str, Any]:
    """CPU model, kernel, load and date."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), [])
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "avx512": "avx512f" in flags,
        "system": platform.platform(),
        "load_average": list(os.getloadavg()),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def best_of(function: Any, repeats: int = 7) -> float:
    """Seconds of the fastest call."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def sgemm_gflops(size: int = 1024) -> float:
    import numpy as np

    a = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
    out = a @ a
    return 2 * size**3 / best_of(lambda: np.matmul(a, a, out=out)) / 1e9


def fma_gflops(numbers: int = 2048, rounds: int = 2000) -> float:
    """x <- a x + b, 32 times in registers for each of `numbers` floats that stay in the L1 cache; one core."""
    import numba
    import numpy as np

    @numba.njit(fastmath={"contract", "reassoc", "nsz"})  # type: ignore[untyped-decorator]
    def chains(v: Any, a: Any, b: Any, rounds: int) -> None:
        for _ in range(rounds):
            for i in range(v.size):
                x = v[i]
                for _k in range(32):
                    x = a * x + b
                v[i] = x

    v = np.ones(numbers, dtype=np.float32)
    a, b = np.float32(0.999), np.float32(0.001)
    chains(v, a, b, 1)
    return 2 * 32 * numbers * rounds / best_of(lambda: chains(v, a, b, rounds)) / 1e9


if __name__ == "__main__":
    print(json.dumps({"sgemm_gflops": sgemm_gflops(), "fma_gflops": fma_gflops()}))
