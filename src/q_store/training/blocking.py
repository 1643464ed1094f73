"""Blocking: a step that makes the loss clearly worse is taken back.

    taken back where  after > before + allowed,    allowed = 2 std(the last five losses `before`) unless it is given

as Gacon, Zoufal, Carleo and Woerner, Quantum 5, 567 (2021) advise for QN-SPSA, whose steps are as long as a metric from
few samples happens to say. The loss of the step's rows is measured anew where the step began and where it led to: two
circuits a row. Values of SPSA itself will not do: they are means over points far from both. Samples of step s come from
the seed ([seed, 4, s]).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from q_store.events import StepBlocked
from q_store.gradients.estimator import answered
from q_store.jobs import Job, Output, Steps
from q_store.training.state import TrainingState

if TYPE_CHECKING:
    from q_store.training.plan import Plan

Array = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]
HISTORY = 5
LOSSES = "blocking.losses"
"""The last losses, among what a checkpoint keeps of the steps before."""


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Where a step begins: the vector [N] and the optimiser's arrays, copied."""

    vector: Reals
    optimiser: dict[str, Array]

    @staticmethod
    def of(state: TrainingState) -> Standing:
        """Where it stands."""
        return Standing(state.vector.copy(), {name: np.array(array) for name, array in state.optimiser.items()})

    def judge(self, plan: Plan, data: Array | None, targets: Array | None, shots: int | None) -> Steps[None]:
        """Take the step that led from here to where the plan stands back, if it is to be, and tell of it."""
        state, allowed = plan.state, plan.settings.allowed_increase
        before, after = yield from self._losses(plan, data, targets, shots)
        recent = np.append(state.allocator.get(LOSSES, np.zeros(0)), before)[-HISTORY:]
        state.allocator[LOSSES] = recent
        limit = 2 * float(recent.std()) if allowed is None else allowed
        if after > before + limit:
            state.vector[:] = self.vector
            state.optimiser.update(self.optimiser)
            plan.tell(StepBlocked(state.step, before, after, limit))

    def _losses(self, plan: Plan, data: Array | None, targets: Array | None, shots: int | None) -> Steps[list[float]]:
        """Here, and where the plan stands."""
        state, objective = plan.state, plan.forms.at(plan.form)
        n, measured, vectors = objective.circuit.n_params, objective.measured, (self.vector, state.vector)
        params = np.stack([vector[:n] for vector in vectors])
        seed = int(np.random.SeedSequence([plan.settings.seed, 4, state.step]).generate_state(1)[0])
        job = Job(objective.circuit, data, params, measured, Output.EXPECTATION, shots=shots, seed=seed, reuse=False)
        (outcome,) = yield [job]
        values = answered(outcome).reshape(-1, 2, measured.size)
        state.circuits += 2 * len(values) * (1 if shots is None else len(measured.groups()))
        state.shots += outcome.shots_paid
        return [objective.loss_of(values[:, k], vector[n:], targets) for k, vector in enumerate(vectors)]
