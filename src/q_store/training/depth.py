"""Which circuit a step trains: how many whole layers, without which entanglers, merged or not.

    progress = epoch / epochs,    e = lowest + (highest - lowest) f(progress),    depth = ceil(e)

    fixed         highest
    linear        f = 1 - progress
    exponential   f = exp(-3 progress)
    step          f = 1 for progress < .3, 1/2 for < .7, else 0
    grow          lowest + floor((highest - lowest + 1) progress): each depth for the same share of the epochs

linear, exponential and step are those of the v3.5 design, from deep to shallow. With `grow`, layers that have not
entered have parameters 0 and are the identity, so nothing jumps when one enters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from q_store.circuits.circuit import Circuit
from q_store.circuits.layers import parameters, require_layers, truncated, why_not_identity, without
from q_store.circuits.pruning import Pruned, merge, prune, remove_identities
from q_store.errors import ConfigError
from q_store.training.objective import Objective
from q_store.training.settings import TrainingSettings
from q_store.training.shots import EARLY, LATE

Reals = npt.NDArray[np.float64]
DEPTH_SCHEDULES = ("fixed", "linear", "exponential", "step", "grow")
LEAST_DEPTH = 2
"""Where none is given; that of the design document."""
JUDGED_ROWS = 16
"""Training rows, evenly spaced, on which the fidelity of a pruned circuit is measured."""


def depth_at(schedule: str, progress: float, lowest: int, highest: int) -> int:
    """Layers at this progress in [0, 1], see the module."""
    span = highest - lowest
    if schedule == "linear":
        return math.ceil(highest - span * progress)
    if schedule == "exponential":
        return math.ceil(lowest + span * math.exp(-3 * progress))
    if schedule == "step":
        return math.ceil(highest if progress < EARLY else (highest + lowest) / 2 if progress < LATE else lowest)
    if schedule == "grow":
        return min(highest, lowest + math.floor((span + 1) * progress))
    return highest


@dataclass(frozen=True)
class Form:
    """Which circuit: `depth` layers (None: all of it), and of these all but the operations at some positions."""

    depth: int | None = None
    removed: tuple[int, ...] = ()


@dataclass(eq=False)
class Forms:
    """The circuits of one run.

    Attributes:
        objective: with the whole circuit, `max_depth` layers deep.
        settings: of the run.
    """

    objective: Objective
    settings: TrainingSettings
    _made: dict[Form, Objective] = field(default_factory=dict)

    @property
    def changing(self) -> bool:
        """Whether the circuit that is trained may differ from the whole one, and from epoch to epoch."""
        return self.settings.depth_schedule != "fixed" or self.settings.prune is not None

    @property
    def validates_whole(self) -> bool:
        """Whether the whole circuit must be validated for itself; with `grow` the layers left out are the identity."""
        return self.settings.depth_schedule != "grow"

    @property
    def whole(self) -> Form:
        """All layers."""
        return Form(len(self.objective.circuit.layers)) if self.settings.depth_schedule != "fixed" else Form()

    def at(self, form: Form) -> Objective:
        """The objective of this form."""
        if form not in self._made:
            circuit = without(self._deep(form.depth), form.removed)
            made = merge(circuit) if self.settings.optimise else circuit
            same = made.ops == self.objective.circuit.ops
            self._made[form] = self.objective if same else replace(self.objective, circuit=made)
        return self._made[form]

    def enter(self, epoch: int, vector: Reals, data: npt.NDArray[np.generic] | None) -> tuple[Form, Pruned | None]:
        """The form of an epoch (from 0) that begins with this vector, and what pruning did."""
        settings, progress = self.settings, epoch / self.settings.epochs
        depth = None
        if settings.depth_schedule != "fixed":
            depth = depth_at(settings.depth_schedule, progress, *self.range)
        if settings.prune is None or progress < EARLY:  # the first angles are small: all entanglers would go, for good
            return Form(depth), None
        circuit = self._deep(depth)
        rows = None if data is None else data[np.linspace(0, len(data) - 1, min(JUDGED_ROWS, len(data))).astype(int)]
        found = prune(circuit, rows, vector[: circuit.n_params], settings.prune)
        return Form(depth, found.removed), found

    @property
    def range(self) -> tuple[int, int]:
        """(lowest, highest) depth."""
        return depth_range(self.settings, self.objective.circuit)

    def active(self, form: Form) -> npt.NDArray[np.bool_]:
        """[N], which entries of the vector the form uses; readout weights always."""
        circuit = self.at(form).circuit
        weights = np.ones(self.objective.size - circuit.n_params, dtype=bool)
        return np.concatenate([parameters(circuit), weights])

    def result(self, form: Form, vector: Reals) -> Circuit:
        """The circuit that the trained vector is for; with `optimise`, without what is the identity there."""
        circuit = self.at(form).circuit
        return remove_identities(circuit, vector[: circuit.n_params]) if self.settings.optimise else circuit

    def _deep(self, depth: int | None) -> Circuit:
        circuit = self.objective.circuit
        return circuit if depth is None else truncated(circuit, depth)


def prepared(objective: Objective, settings: TrainingSettings) -> Objective:
    """The objective at full depth, `max_depth` layers, once the settings fit its circuit.

    Raises:
        CircuitError: for a circuit without layers. ConfigError: for depths out of its range, or layers that cannot
            enter as the identity.
    """
    if settings.depth_schedule == "fixed" and settings.max_depth is None:
        return objective
    circuit = objective.circuit
    require_layers(circuit)
    _, highest = depth_range(settings, circuit)
    circuit = truncated(circuit, highest)
    if settings.depth_schedule == "grow":
        _check_growth(settings, circuit)
    return replace(objective, circuit=circuit)


def depth_range(settings: TrainingSettings, circuit: Circuit) -> tuple[int, int]:
    """(lowest, highest) number of layers.

    Raises:
        ConfigError: for depths out of the range of the circuit.
    """
    count = len(circuit.layers)
    highest = count if settings.max_depth is None else settings.max_depth
    lowest = min(LEAST_DEPTH, highest) if settings.min_depth is None else settings.min_depth
    if not lowest <= highest <= count:
        msg = (
            f"expected min_depth <= max_depth <= the {count} layers of the circuit, got {lowest} and {highest}; "
            "lower them, or take a deeper circuit"
        )
        raise ConfigError(msg)
    return lowest, highest


def epoch_circuits(circuit: Circuit, settings: TrainingSettings) -> list[Circuit]:
    """The circuit of every epoch, as far as it is known beforehand: without pruning.

    Raises:
        CircuitError, ConfigError: as `prepared`.
    """
    depths: list[int | None] = [settings.max_depth] * settings.epochs
    if settings.depth_schedule != "fixed":
        require_layers(circuit)
        limits = depth_range(settings, circuit)
        depths = [depth_at(settings.depth_schedule, e / settings.epochs, *limits) for e in range(settings.epochs)]
    made = {depth: circuit if depth is None else truncated(circuit, depth) for depth in set(depths)}
    return [merge(made[depth]) if settings.optimise else made[depth] for depth in depths]


def silenced(vector: Reals, objective: Objective, settings: TrainingSettings) -> Reals:
    """The first vector; with `grow`, the parameters of layers that enter later are 0."""
    if settings.depth_schedule != "grow":
        return vector
    lowest, _ = depth_range(settings, objective.circuit)
    later = parameters(objective.circuit) & ~parameters(truncated(objective.circuit, lowest))
    return np.where(np.concatenate([later, np.zeros(len(vector) - len(later), dtype=bool)]), 0.0, vector)


def _check_growth(settings: TrainingSettings, circuit: Circuit) -> None:
    lowest, highest = depth_range(settings, circuit)
    for layer in range(lowest, highest):
        if why := why_not_identity(circuit, layer):
            msg = (
                f"expected layers that can enter as the identity with depth_schedule='grow', got another: {why}; "
                "take so4_layers or the entangler 'rzz', or another schedule"
            )
            raise ConfigError(msg)
