"""What only pennylane-ionq does: gradients as one multi-circuit job."""

from __future__ import annotations

import math

import pytest

pytestmark = [pytest.mark.socket, pytest.mark.slow]


def test_a_parameter_shift_gradient_is_one_job(pennylane, emulated):
    quiet = emulated()
    a, b = 0.7, -1.1
    shots = 20_000
    found = pennylane.gradient(quiet.url, theta=[a, b], shots=shots)
    error = 6 / math.sqrt(shots)
    # <Z1> = cos a cos b behind CNOT(0, 1)
    assert abs(found["value"] - math.cos(a) * math.cos(b)) < error
    assert abs(found["gradient"][0] + math.sin(a) * math.cos(b)) < error
    assert abs(found["gradient"][1] + math.cos(a) * math.sin(b)) < error
    ledger = quiet.ledger()
    # the value twice (the gradient asks for it again), the four shifted circuits as one job
    assert (ledger["accepted_jobs"], ledger["accepted_circuits"]) == (3, 6)
