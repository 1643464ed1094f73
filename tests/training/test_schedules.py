from __future__ import annotations

import pytest

from q_store.errors import ConfigError
from q_store.training.schedules import SCHEDULES, constant, cosine, one_cycle, schedule


@pytest.mark.parametrize(
    ("rule", "points"),
    [
        (constant, {0: 1, 0.5: 1, 1: 1}),
        (cosine, {0: 1, 0.5: 0.5, 1: 0}),
        (one_cycle, {0: 0.04, 0.15: 0.52, 0.3: 1, 0.65: (1 + 4e-6) / 2, 1: 4e-6}),
    ],
)
def test_known_points(rule, points):
    for progress, value in points.items():
        assert rule(progress) == pytest.approx(value, abs=1e-12)


def test_one_cycle_rises_then_falls():
    values = [one_cycle(k / 100) for k in range(101)]
    assert values[:31] == sorted(values[:31])
    assert values[30:] == sorted(values[30:], reverse=True)


def test_names():
    assert {name: schedule(name) for name in SCHEDULES} == SCHEDULES
    with pytest.raises(ConfigError, match="did you mean 'one_cycle'"):
        schedule("onecycle")
