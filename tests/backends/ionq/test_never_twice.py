"""A fraction of `tools/soak_never_twice.py`: the service breaks in every way, its ledger judges who paid twice."""

import pytest
from soak_never_twice import trial


@pytest.mark.parametrize(("seed", "circuits"), [(999, 1000), (1001, 1000), (1003, 150)])
def test_nothing_is_paid_twice_lost_or_mixed_up_whatever_breaks(seed, circuits):
    found = trial(seed, circuits, "all:0.1")
    assert found.faults > 20
    assert found.fault(late=True) == ""


def test_nothing_stays_uncertain_while_the_list_of_jobs_is_consistent():
    spec = "drop-before:0.1,drop-after:0.1,503-after:0.05,520-before:0.05,truncated:0.05,failed-child:0.02"
    found = trial(1004, 120, spec)
    assert found.faults > 20
    assert found.fault(late=False) == ""


def test_the_judge_sees_what_is_wrong():
    found = trial(1007, 10, "")
    assert found.fault(late=False) == ""
    for field, text in [
        ("twice", "charged twice"),
        ("wrong", "differ"),
        ("failed", "failed"),
        ("uncertain", "uncertain"),
    ]:
        worse = type(found)(**{**vars_of(found), field: 1})
        assert text in worse.fault(late=True)


def vars_of(found):
    return {name: getattr(found, name) for name in found.__dataclass_fields__}
