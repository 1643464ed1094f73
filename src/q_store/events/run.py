"""What a command tells of a run beside its training: what it is, and what was measured after the training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunDescribed:
    """What the run is, once it is known; no key and no path in it.

    Attributes:
        name: of its folder.
        parameters: what was asked for, and sizes.
        tags: `version` of q-store, `seed`, `place`, versions of what computes.
    """

    name: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RunMeasured:
    """What was measured after the training.

    Attributes:
        figures: `test_accuracy`, `test_low` and `test_high` (95 %), `train_accuracy`, `validation_accuracy`,
            `control_accuracy` (the classical control on the same test rows), `remote_accuracy` (as a remote backend
            measures it), `parameters`, `seconds`; those that there are.
    """

    figures: Mapping[str, float]


RunEvent = RunDescribed | RunMeasured
