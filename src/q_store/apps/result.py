"""The figures of `train --json`: which keys there are, and the digest of the trained parameters."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

KEYS = (
    "model", "seed", "parameters", "two_qubit_gates", "accuracy", "test_interval", "classical_control", "seconds",
    "samples_per_second", "parameters_sha256", "remote", "recipe", "run",
)  # fmt: skip
"""Of the JSON object of a training run, in this order."""
DETAILS = "details"
"""Where result.json keeps what the summary needs beside them."""


def parameters_sha256(vector: ArrayLike) -> str:
    """sha256, as hex digits, of the little-endian float64 bytes of the vector: circuit parameters, then readout."""
    return hashlib.sha256(np.ascontiguousarray(np.ravel(vector), dtype="<f8").tobytes()).hexdigest()


def published(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that `train --json` prints, out of what result.json holds."""
    return {name: {"remote": None, "recipe": None, **stored}[name] for name in KEYS}
