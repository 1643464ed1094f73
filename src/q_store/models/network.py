"""Softmax classifiers with no or one hidden layer: cross-entropy and its gradient over a whole training set.

Logits l[K-1] = V [a, 1] with a = tanh(W [x, 1]) for h hidden units, or a = x for h = 0; the last class has logit 0.
Parameters are one float64 vector, W[h, d+1] then V[K-1, h+1] (or V[K-1, d+1]), biases in the last columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROWS = 4096
"""Rows of a block at most: its arrays stay in the second-level cache."""
PRODUCTS = 900_000
"""Multiplications of one matrix product at most: OpenBLAS runs such products in the calling thread. Its own threads
wait for each other by spinning, which costs a hundredfold when the machine has other work."""


@dataclass(frozen=True)
class Shape:
    """d inputs, h hidden units (0: logistic regression) and K classes."""

    inputs: int
    hidden: int
    classes: int

    @property
    def parameters(self) -> int:
        """h (d + 1) + (K - 1)(h + 1), or (K - 1)(d + 1) without a hidden layer."""
        last = self.hidden or self.inputs
        return self.hidden * (self.inputs + 1) + (self.classes - 1) * (last + 1)

    @property
    def step(self) -> int:
        """Rows of a block."""
        return max(1, min(ROWS, PRODUCTS // ((self.inputs + 1) * max(self.hidden, self.classes))))

    def split(self, theta: NDArray[Any]) -> tuple[NDArray[Any] | None, NDArray[Any]]:
        """(W or None, V), views of `theta`."""
        first = self.hidden * (self.inputs + 1)
        W = theta[:first].reshape(self.hidden, self.inputs + 1) if self.hidden else None
        return W, theta[first:].reshape(self.classes - 1, -1)

    def start(self, seed: int) -> NDArray[np.float64]:
        """Zeros for the convex problem; else weights of variance 1 / fan-in and biases 0, from `seed`."""
        theta = np.zeros(self.parameters)
        W, V = self.split(theta)
        if W is not None:
            generator = np.random.default_rng(seed)
            W[:, :-1] = generator.normal(size=(self.hidden, self.inputs)) / np.sqrt(max(1, self.inputs))
            V[:, :-1] = generator.normal(size=(self.classes - 1, self.hidden)) / np.sqrt(self.hidden)
        return theta


def logits(shape: Shape, theta: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
    """l[B, K] of rows x[B, d] in the type of x, the last column 0."""
    W, V = shape.split(theta.astype(x.dtype))
    scores = np.zeros((len(x), shape.classes), dtype=x.dtype)
    for start in range(0, len(x), shape.step):
        rows = x[start : start + shape.step]
        a = rows if W is None else np.tanh(rows @ W[:, :-1].T + W[:, -1])
        scores[start : start + len(rows), :-1] = a @ V[:, :-1].T + V[:, -1]
    return scores


class CrossEntropy:
    """theta -> (mean cross-entropy, gradient[P]) over fixed rows x[B, d] and labels y[B]; callable for SciPy.

    The matrix products run in `precision`; sums over blocks run in float64 and in the order of the rows, so that the
    result does not depend on the number of threads.
    """

    def __init__(
        self, shape: Shape, x: NDArray[Any], y: NDArray[np.int64], precision: type[np.floating[Any]] = np.float32
    ) -> None:
        self.shape = shape
        self.precision = precision
        self.rows = len(y)
        step = shape.step
        self.blocks = [
            _block(shape, x[start : start + step], y[start : start + step], precision)
            for start in range(0, self.rows, step)
        ]

    def __call__(
        self, theta: NDArray[np.float64], threads: ThreadPoolExecutor | None = None
    ) -> tuple[float, NDArray[np.float64]]:
        """(loss, gradient) at theta[P]; with `threads`, two halves of the blocks at a time."""
        W, V = self.shape.split(theta.astype(self.precision))
        half = len(self.blocks) // 2
        if threads is None or not half:
            terms = _sweep(self.blocks, W, V)
        else:
            second = threads.submit(_sweep, self.blocks[half:], W, V)
            terms = _sweep(self.blocks[:half], W, V) + second.result()
        loss = sum(term[0] for term in terms)
        gradient: NDArray[np.float64] = np.sum([term[1] for term in terms], axis=0, dtype=np.float64)
        return loss / self.rows, np.asarray(gradient / self.rows)


_Block = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


def _block(shape: Shape, x: NDArray[Any], y: NDArray[np.int64], precision: type[np.floating[Any]]) -> _Block:
    """(x with a row of ones [d+1, n], one-hot labels of the first K-1 classes [K-1, n], mask of the last class [n])."""
    inputs = np.ones((shape.inputs + 1, len(x)), dtype=precision)
    inputs[:-1] = x[:, : shape.inputs].T
    hot = (np.arange(shape.classes - 1)[:, None] == y).astype(precision)
    return inputs, hot, (y == shape.classes - 1).astype(precision)


def _sweep(blocks: Sequence[_Block], W: NDArray[Any] | None, V: NDArray[Any]) -> list[tuple[float, NDArray[Any]]]:
    """(summed loss, summed gradient) of each block."""
    return [_loss_and_gradient(block, W, V) for block in blocks]


def _loss_and_gradient(block: _Block, W: NDArray[Any] | None, V: NDArray[Any]) -> tuple[float, NDArray[Any]]:
    x, hot, last = block
    if W is None:
        loss, errors = _softmax(V @ x, hot, last)
        return loss, (errors @ x.T).ravel()
    a = np.empty((len(W) + 1, x.shape[1]), dtype=x.dtype)
    a[-1] = 1
    active = a[:-1]
    np.matmul(W, x, out=active)
    np.tanh(active, out=active)
    loss, errors = _softmax(V @ a, hot, last)
    to_v = errors @ a.T
    np.multiply(active, active, out=active)
    np.subtract(1, active, out=active)
    active *= V[:, :-1].T @ errors
    return loss, np.concatenate([(active @ x.T).ravel(), to_v.ravel()])


def _softmax(scores: NDArray[Any], hot: NDArray[Any], last: NDArray[Any]) -> tuple[float, NDArray[Any]]:
    """Summed loss, and d loss / d scores [K-1, n], which takes the place of the scores."""
    top = np.maximum(scores.max(axis=0), 0)
    scores -= top
    chosen = float(np.vdot(hot, scores)) - float(np.vdot(last, top))
    np.exp(scores, out=scores)
    total = scores.sum(axis=0)
    total += np.exp(-top)
    loss = float(np.log(total).sum()) - chosen
    scores /= total
    scores -= hot
    return loss, scores
