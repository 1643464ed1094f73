"""First-order optimisers: frozen options, and a dict of arrays for what changes, which a checkpoint keeps as it is.

`step` changes `vector` and `state` in place. `rates[N]` is the learning rate of each entry, so groups cost nothing;
`decay` is the decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101): vector *= 1 - rates * decay, before
the step. An entry whose rate is 0 does not move; where entries may rest so, Adam counts the steps of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from q_store.errors import ConfigError, suggestion

Reals = npt.NDArray[np.float64]
State = dict[str, npt.NDArray[Any]]


class Optimiser(Protocol):
    """A rule for one step."""

    def start(self, size: int, *, resting: bool = False) -> State:
        """The state before the first step, for a vector of this length; `resting`: rates may be 0."""

    def step(self, vector: Reals, gradient: Reals, rates: Reals, state: State, decay: Reals | None = None) -> None:
        """One step, in place."""


@dataclass(frozen=True, slots=True)
class Adam:
    """m <- b1 m + (1-b1) g, v <- b2 v + (1-b2) g^2, vector -= rate (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps).

    Kingma and Ba, arXiv:1412.6980; with a decay it is AdamW.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def start(self, size: int, *, resting: bool = False) -> State:
        """m = v = 0, t = 0."""
        return {"m": np.zeros(size), "v": np.zeros(size), "t": np.zeros(size if resting else (), dtype=np.int64)}

    def step(self, vector: Reals, gradient: Reals, rates: Reals, state: State, decay: Reals | None = None) -> None:
        """See the class."""
        m, v, t = state["m"], state["v"], state["t"]
        t += 1 if t.ndim == 0 else rates > 0
        m *= self.beta1
        m += (1 - self.beta1) * gradient
        v *= self.beta2
        v += (1 - self.beta2) * gradient * gradient
        if decay is not None:
            vector *= 1 - rates * decay
        root = np.sqrt(v)
        steps = int(t) if t.ndim == 0 else np.maximum(t, 1)
        root *= 1 / np.sqrt(1 - self.beta2**steps)
        root += self.epsilon
        move = m * rates
        move /= root
        move *= 1 / (1 - self.beta1**steps)
        vector -= move


@dataclass(frozen=True, slots=True)
class SGD:
    """u <- momentum u + g, vector -= rate u."""

    momentum: float = 0.0

    def start(self, size: int, *, resting: bool = False) -> State:  # noqa: ARG002
        """u = 0."""
        return {"u": np.zeros(size)}

    def step(self, vector: Reals, gradient: Reals, rates: Reals, state: State, decay: Reals | None = None) -> None:
        """See the class."""
        u = state["u"]
        u *= self.momentum
        u += gradient
        if decay is not None:
            vector *= 1 - rates * decay
        vector -= rates * u


ROTOSOLVE = "rotosolve"
OPTIMISERS = ("adam", "sgd", ROTOSOLVE)


def optimiser(name: str, momentum: float = 0.9, beta2: float = 0.999) -> Optimiser:
    """The optimiser of this name; `momentum` is beta1 of Adam. With `rotosolve` it is Adam, of the readout alone.

    Raises:
        ConfigError: for an unknown name.
    """
    if name in {"adam", ROTOSOLVE}:
        return Adam(momentum, beta2)
    if name == "sgd":
        return SGD(momentum)
    msg = f"expected a known optimiser, got {name!r}{suggestion(name, OPTIMISERS)}"
    raise ConfigError(msg)
