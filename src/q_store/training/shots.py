"""How many shots the circuits of a step get: always the same, by the phase of the training, or by measured noise.

A rule is frozen; what it remembers of the last steps is a dict of arrays, which a checkpoint keeps as it is.

    phase      the allocator of the v3.5 design: `least` shots for progress < .3, `base` for < .7, else `most`; times
               1.5 where the norms of the last gradients have a standard deviation above .1, times .75 below .01 (from
               three gradients on); times .75 where the loss is flat; within [least, most]
    variance   shots so that the noise of the next gradient is `share` of its norm:

                   shots = sum_i v_i / (share^2 |g|^2),    v_i: variance of entry i from a single shot

               as means over the last steps, |g|^2 without the noise in it; rounded up to least * 2^k. The rows of the
               batch share a step's shots by their noise (`spread`), at most four different values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from q_store.errors import ConfigError
from q_store.training.adaptive import NOISE_SHARE, shot_range
from q_store.training.settings import TrainingSettings

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Memory = dict[str, npt.NDArray[Any]]

WINDOW = 10
"""Steps that are remembered."""
FIRST = 3
"""Steps before anything is concluded from them; that of the design document."""
EARLY, LATE = 0.3, 0.7
UNSTEADY, STEADY = 0.1, 0.01
FLAT = 0.01
"""The loss is flat where the means of the older and the newer half of the window differ by less than this share."""
LEVELS = 4
"""Different numbers of shots in a step."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """`least` <= `base` <= `most`, shots a circuit."""

    least: int
    base: int
    most: int

    def clip(self, shots: float) -> int:
        """The nearest number within the bounds."""
        return int(min(max(shots, self.least), self.most))

    @property
    def levels(self) -> tuple[int, ...]:
        """least, 2 least, 4 least, ... and most."""
        steps = [self.least]
        while steps[-1] * 2 < self.most:
            steps.append(steps[-1] * 2)
        return tuple(sorted({*steps, self.most}))


@dataclass(frozen=True, slots=True)
class Step:
    """What a step showed.

    Attributes:
        loss: before the update. norm: of the gradient before clipping. shots: a circuit, as asked for.
        circuit_norm: of the circuit part of the gradient. noise: sum of the variances of its entries that shots cause;
            None where the estimator does not say.
    """

    loss: float
    norm: float
    shots: int
    circuit_norm: float
    noise: float | None


class ShotRule(Protocol):
    """A rule for the shots of the next step."""

    def start(self) -> Memory:
        """The memory before the first step."""

    def shots(self, progress: float, memory: Memory) -> int | None:
        """For the step at this progress in [0, 1); None for exact values."""

    def record(self, memory: Memory, step: Step) -> None:
        """Remember a step, in place."""

    def spread(self, shots: int | None) -> Callable[[Reals], Ints] | None:
        """From the noise of every row to its shots, `shots` on average; None for the same for all."""


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same, or exact values."""

    base: int | None

    def start(self) -> Memory:
        """Nothing."""
        return {}

    def shots(self, progress: float, memory: Memory) -> int | None:  # noqa: ARG002
        """`base`."""
        return self.base

    def record(self, memory: Memory, step: Step) -> None:
        """Nothing."""

    def spread(self, shots: int | None) -> None:  # noqa: ARG002
        """The same for all rows."""
        return


@dataclass(frozen=True, slots=True)
class Phase:
    """By the phase of the training, see the module."""

    bounds: Bounds

    def start(self) -> Memory:
        """No gradients and no losses yet."""
        return {"norms": np.zeros(0), "losses": np.zeros(0)}

    def shots(self, progress: float, memory: Memory) -> int:
        """`phase_shots`."""
        return phase_shots(progress, memory["norms"], memory["losses"], self.bounds)

    def record(self, memory: Memory, step: Step) -> None:
        """Keep the norm and the loss."""
        _push(memory, norms=step.norm, losses=step.loss)

    def spread(self, shots: int | None) -> None:  # noqa: ARG002
        """The same for all rows."""
        return


@dataclass(frozen=True, slots=True)
class Variance:
    """By measured noise, see the module.

    Attributes:
        share: wanted noise of the gradient over its norm.
    """

    bounds: Bounds
    share: float

    def start(self) -> Memory:
        """Nothing measured yet."""
        return {"squares": np.zeros(0), "single": np.zeros(0)}

    def shots(self, progress: float, memory: Memory) -> int:  # noqa: ARG002
        """`base` for the first three steps, then as measured."""
        if len(memory["single"]) < FIRST:
            return self.bounds.base
        return variance_shots(float(memory["squares"].mean()), float(memory["single"].mean()), self.share, self.bounds)

    def record(self, memory: Memory, step: Step) -> None:
        """Keep |g|^2 less the noise in it, and the noise of a single shot."""
        if step.noise is not None:
            _push(memory, squares=step.circuit_norm**2 - step.noise, single=step.noise * step.shots)

    def spread(self, shots: int | None) -> Callable[[Reals], Ints] | None:
        """By `spread`."""
        return None if shots is None else lambda noise: spread(noise, shots, self.bounds)


def shot_rule(settings: TrainingSettings, threshold: int = 1) -> ShotRule:
    """The rule that the settings ask for, on a backend that must not get fewer shots than `threshold`.

    Raises:
        ConfigError: where that is above the usual number.
    """
    if settings.shots is None or settings.shot_schedule == "constant":
        return Constant(settings.shots)
    least, most = shot_range(settings)
    if settings.shots < threshold:
        msg = f"expected shots of {threshold} or more, the least of this backend, got {settings.shots}; raise shots"
        raise ConfigError(msg)
    bounds = Bounds(max(least, threshold), settings.shots, most)
    if settings.shot_schedule == "phase":
        return Phase(bounds)
    return Variance(bounds, NOISE_SHARE if settings.noise_share is None else settings.noise_share)


def phase_shots(progress: float, norms: Reals, losses: Reals, bounds: Bounds) -> int:
    """Shots by phase, steadiness of the gradients' `norms` and flatness of the `losses`, oldest first."""
    shots = bounds.least if progress < EARLY else bounds.base if progress < LATE else bounds.most
    if len(norms) >= FIRST:
        deviation = float(np.std(norms))
        shots = int(shots * (1.5 if deviation > UNSTEADY else 0.75 if deviation < STEADY else 1))
    if is_flat(losses):
        shots = int(shots * 0.75)
    return bounds.clip(shots)


def is_flat(losses: Reals) -> bool:
    """Whether a whole window of losses shows no progress: the means of its halves differ by less than 1 %."""
    if len(losses) < WINDOW:
        return False
    old, new = float(np.mean(losses[: WINDOW // 2])), float(np.mean(losses[-(WINDOW // 2) :]))
    return abs(new - old) <= FLAT * abs(old)


def variance_shots(square: float, single: float, share: float, bounds: Bounds) -> int:
    """Shots for noise of `share` of the norm: |g|^2 = `square`, noise of a single shot `single`; a level of bounds."""
    if single <= 0:
        return bounds.least
    wanted = np.inf if square <= 0 else single / (share**2 * square)
    return next((level for level in bounds.levels if level >= wanted), bounds.most)


def spread(noise: Reals, shots: int, bounds: Bounds) -> Ints:
    """Shots of every row, not more than `shots` on average unless `least` is, by their noise.

    Args:
        noise: [R], variance of what a row adds to the gradient, from a single shot.
        shots: mean.
        bounds: of every row.

    Noise sum_r noise_r / shots_r at a given sum of shots is least for shots_r ~ sqrt(noise_r) (Neyman, J. R. Stat. Soc.
    97, 558); rounded down to at most four levels around `shots`, and never worse than the same for all.
    """
    rows = len(noise)
    alike = np.full(rows, shots, dtype=np.int64)
    weight = np.sqrt(np.maximum(noise, 0.0))
    levels = np.array([bounds.clip(shots * 2.0**k) for k in range(-2, LEVELS - 2)], dtype=np.int64)
    if not weight.sum():
        return alike
    low, high = 0.0, 4.0 * rows
    best = alike
    for _ in range(40):  # the largest scale that the shots pay for
        scale = (low + high) / 2
        wanted = scale * shots * rows * weight / weight.sum()
        chosen = levels[np.maximum(np.searchsorted(levels, wanted, side="right") - 1, 0)]
        if chosen.sum() > rows * shots:
            high = scale
            continue
        low = scale
        best = min(best, chosen, key=lambda each: float(np.sum(noise / each)))
    return best


def _push(memory: Memory, **values: float) -> None:
    for name, value in values.items():
        memory[name] = np.append(memory[name], value)[-WINDOW:]
