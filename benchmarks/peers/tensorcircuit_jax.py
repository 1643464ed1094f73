"""tensorcircuit-ng with JAX (jit, complex64), written in several ways: the driver times the first and the fastest.

How the states of a batch are computed:

    vmap      tensorcircuit's customary way: one Circuit with `inputs=x`, vectorised over x by jax.vmap
    kron      RZ RY of up to three neighbouring qubits merged to one matrix, the CNOT chain one gather; vmap over x
    unitary   the circuit's matrix first (its 2^n columns by vmap of `kron`), then one matrix product for all inputs
    trick     W3 only: from P derivative states, psi(theta_k +- pi/2) = (psi +- 2 d_k psi) / sqrt 2

How samples are drawn (W3): `multinomial` is jax.random's; `compare` counts the uniform numbers below every cumulative
probability, which XLA vectorises best while 2^n is small; `search` is the inverse transform by binary search.

Tried and not faster at n = 6: 2 x 2 gates without kron (1.0 to 1.5 times as fast as vmap), lax.scan over the layers (W1
a tie, W2 1.1 to 1.8 times slower), jax.random.categorical (100 times slower than compare), sorted uniforms with
searchsorted, alias tables (their construction costs more than all else), the rbg generators, 512-bit vectors (a tie),
XLA's fast-math (a tie or worse).
"""

from __future__ import annotations

import time

_STARTED = time.perf_counter()

from collections.abc import Callable, Sequence  # noqa: E402
from functools import partial, reduce  # noqa: E402
from typing import Any  # noqa: E402

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import tensorcircuit as tc  # noqa: E402
from protocol import serve  # noqa: E402
from workloads import LAYERS, SHOTS, Case, signs  # noqa: E402

tc.set_backend("jax")
tc.set_dtype("complex64")
jax.config.update("jax_threefry_partitionable", False)  # noqa: FBT003  # twice as fast here

Array = Any


def state_vmap(n: int, x: Array, theta: Array) -> Array:
    """psi[2^n]; tensorcircuit's wire 0 is the most significant bit, so our qubit q is its wire n - 1 - q."""
    angles = theta.reshape(LAYERS, 2, n)
    circuit = tc.Circuit(n, inputs=x)
    for layer in range(LAYERS):
        for q in range(n):
            circuit.ry(n - 1 - q, theta=angles[layer, 0, q])
        for q in range(n):
            circuit.rz(n - 1 - q, theta=angles[layer, 1, q])
        for q in range(n - 1):
            circuit.cnot(n - 1 - q, n - 2 - q)
    return circuit.state()


def _merged(angles: Array) -> Array:
    """RZ RY as [L, n, 2, 2]."""
    c, s = jnp.cos(angles[:, 0] / 2), jnp.sin(angles[:, 0] / 2)
    phase = jnp.exp(-0.5j * angles[:, 1])
    up, down = phase, phase.conj()
    return jnp.stack([jnp.stack([up * c, -up * s], -1), jnp.stack([down * s, down * c], -1)], -2)


def chain_source(n: int) -> np.ndarray:
    """new[i] = old[source[i]] for CNOT(0, 1) ... CNOT(n-2, n-1)."""
    index = np.arange(2**n)
    return index ^ ((index << 1) & (2**n - 1))


def state_kron(n: int, x: Array, theta: Array) -> Array:
    gates = _merged(theta.reshape(LAYERS, 2, n))
    groups = [list(range(low, min(low + 3, n))) for low in range(0, n, 3)]
    state = x
    for layer in range(LAYERS):
        circuit = tc.Circuit(n, inputs=state)
        for group in groups:
            high_first = group[::-1]
            matrix = reduce(jnp.kron, [gates[layer, q] for q in high_first])
            circuit.any(*[n - 1 - q for q in high_first], unitary=matrix)
        state = circuit.state()[chain_source(n)]
    return state


STATES = {"vmap": state_vmap, "kron": state_kron}


def batch_states(n: int, formulation: str, x: Array, theta: Array) -> Array:
    """psi[B, 2^n] of every input."""
    if formulation == "unitary":
        columns = jax.vmap(partial(state_kron, n), (0, None))(jnp.eye(2**n, dtype=jnp.complex64), theta)
        return jax.lax.complex(x @ columns.real, x @ columns.imag)
    return jax.vmap(partial(STATES[formulation], n), (0, None))(x.astype(jnp.complex64), theta)


def probabilities(states: Array) -> Array:
    return states.real**2 + states.imag**2


def _edges(p: Array) -> Array:
    cumulative = jnp.cumsum(p, axis=1)
    return cumulative / cumulative[:, -1:]


def _averages(counts: Array) -> Array:
    n = int(counts.shape[1]).bit_length() - 1
    return counts.astype(jnp.float32) @ jnp.asarray(signs(n), jnp.float32) / SHOTS


def draw_compare(key: Array, p: Array) -> Array:
    """Estimates [R, n] of <Z_q> from SHOTS samples of each row of p[R, 2^n]."""
    uniform = jax.random.uniform(key, (len(p), SHOTS))
    below = jax.lax.map(lambda row: jnp.sum(row[1][:, None] < row[0][None, :], axis=0), (_edges(p), uniform))
    return _averages(jnp.diff(below.at[:, -1].set(SHOTS), axis=1, prepend=0))


def draw_search(key: Array, p: Array) -> Array:
    n = int(p.shape[1]).bit_length() - 1
    uniform = jax.random.uniform(key, (len(p), SHOTS))
    samples = jnp.minimum(jax.vmap(partial(jnp.searchsorted, side="right"))(_edges(p), uniform), p.shape[1] - 1)
    return jnp.stack([1.0 - 2.0 * jnp.mean((samples >> q) & 1, axis=1) for q in range(n)], axis=-1)


def draw_multinomial(key: Array, p: Array) -> Array:
    return _averages(jax.random.multinomial(key, jnp.float32(SHOTS), p / p.sum(axis=1, keepdims=True)))


DRAWS = {"compare": draw_compare, "search": draw_search, "multinomial": draw_multinomial}


def workload_values(case: Case, how: str) -> Callable[..., Array]:
    z = jnp.asarray(signs(case.n), jnp.float32)
    return lambda x, _labels, theta: probabilities(batch_states(case.n, how, x, theta)) @ z


def workload_gradient(case: Case, how: str) -> Callable[..., Array]:
    z = jnp.asarray(signs(case.n), jnp.float32)
    weight, bias = (jnp.asarray(a) for a in case.readout)

    def loss(x: Array, labels: Array, theta: Array) -> Array:
        values = probabilities(batch_states(case.n, how, x, theta)) @ z
        logits = jax.nn.log_softmax(values @ weight.T + bias)
        return -jnp.mean(jnp.take_along_axis(logits, labels[:, None], axis=1))

    return jax.value_and_grad(loss, argnums=2)


def shifted_rows(n: int, how: str, x: Array, theta: Array) -> Array:
    """Probabilities [B 2P, 2^n] of all shifted circuits of all inputs."""
    p = len(theta)
    if how == "trick":
        function = partial(batch_states, n, "kron", x)
        states, derivative = function(theta), jax.jacfwd(function)(theta)
        both = jnp.stack([states[..., None] + 2 * derivative, states[..., None] - 2 * derivative], -1)
        return 0.5 * jnp.transpose(probabilities(both), (0, 2, 3, 1)).reshape(-1, x.shape[1])
    steps = jnp.eye(p)[:, None, :] * jnp.array([1.0, -1.0])[:, None] * (jnp.pi / 2)
    thetas = (theta + steps).reshape(2 * p, p)
    states = jax.vmap(partial(batch_states, n, how, x), out_axes=1)(thetas)
    return probabilities(states).reshape(-1, x.shape[1])


def workload_shifted(case: Case, how: str) -> Callable[..., Array]:
    states, draw = how.split("+")

    def estimates(x: Array, _labels: Array, theta: Array, key: Array) -> Array:
        return DRAWS[draw](key, shifted_rows(case.n, states, x, theta))

    return estimates


def workload_fisher(case: Case, how: str) -> Callable[..., Array]:
    def fisher(x: Array, _labels: Array, theta: Array) -> Array:
        function = partial(batch_states, case.n, how, x)
        states, d = function(theta), jax.jacfwd(function)(theta)
        overlap = jnp.einsum("bxi,bx->bi", d.conj(), states)
        real = jnp.concatenate([d.real, d.imag], axis=1)
        gram = jnp.einsum("bxi,bxj->bij", real, real)
        outer = overlap[:, :, None] * overlap[:, None, :].conj()
        return 4.0 * (gram - outer.real)

    return fisher


BUILD = {"W1": workload_values, "W2": workload_gradient, "W3": workload_shifted, "W4": workload_fisher}
FORMULATIONS = {
    "W1": ["vmap", "kron", "unitary"],
    "W2": ["vmap", "kron", "unitary"],
    "W3": ["vmap+multinomial", "kron+compare", "trick+compare", "trick+search"],
    "W4": ["vmap", "kron"],
}
LARGEST_UNITARY = 8
"""Beyond, 4^n numbers and their derivatives neither fit nor pay."""


class JaxRunner:
    """One jitted function; inputs, labels and parameters are on the device before the clock starts."""

    def __init__(self, case: Case, function: Callable[..., Array]) -> None:
        self._sampled = case.workload == "W3"
        self._data = (jnp.asarray(case.inputs), jnp.asarray(case.labels))
        self._function = jax.jit(function)

    def stage(self, theta: np.ndarray) -> Sequence[Any]:
        return [jax.block_until_ready(jnp.asarray(row, jnp.float32)) for row in theta]

    def call(self, staged: Any, seed: int) -> Any:
        key = (jax.random.key(seed),) if self._sampled else ()
        return jax.block_until_ready(self._function(*self._data, staged, *key))

    def numbers(self, result: Any) -> np.ndarray:
        return np.concatenate([np.asarray(part, dtype=float).reshape(-1) for part in jax.tree.leaves(result)])


class TensorcircuitJax:
    """tensorcircuit-ng on JAX."""

    name = "tensorcircuit-ng"

    def versions(self) -> dict[str, str]:
        return {"tensorcircuit-ng": tc.__version__, "jax": jax.__version__}

    def formulations(self, workload: str, n: int) -> list[str]:
        names = FORMULATIONS[workload]
        return [name for name in names if name != "unitary" or n <= LARGEST_UNITARY]

    def prepare(self, case: Case, formulation: str) -> JaxRunner:
        return JaxRunner(case, BUILD[case.workload](case, formulation))


ENGINE = TensorcircuitJax()

if __name__ == "__main__":
    serve(ENGINE, _STARTED)
