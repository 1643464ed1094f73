"""Caps in words."""

from __future__ import annotations

import pytest

from q_store.apps.caps import line, parse
from q_store.errors import ConfigError
from q_store.store import Caps


@pytest.mark.parametrize(
    ("text", "caps"),
    [
        ("5USD", Caps(money=5)),
        ("2.50EUR", Caps(money=2.5, currency="EUR")),
        ("5USD,10000circuits", Caps(money=5, circuits=10_000)),
        ("10_000 shots, 1circuit", Caps(shots=10_000, circuits=1)),
        ("90seconds", Caps(seconds=90)),
        ("1.5h", Caps(seconds=5400)),
        ("2min,3USD", Caps(money=3, seconds=120)),
    ],
)
def test_caps_are_read(text, caps):
    assert parse(text) == caps


@pytest.mark.parametrize("text", ["5 USD, 10,000 circuits, 2,000 shots, 60 seconds", "0.25 EUR"])
def test_caps_are_written_as_they_are_read(text):
    assert line(parse(text.replace(",000", "000"))) == text


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "such as 5USD,10000circuits"),
        ("5", "such as 5USD"),
        ("-5USD", "such as 5USD"),
        ("1e3USD", "such as 5USD"),
        ("5USD,", "such as 5USD"),
        ("0USD", "above 0"),
        ("0circuits", "above 0"),
        ("5USD,6USD", "money twice"),
        ("5USD,6EUR", "money twice"),
        ("1h,5seconds", "seconds twice"),
        ("1.5circuits", "a whole number"),
        ("5circuts", "did you mean 'circuits'?"),
        ("5usd", "did you mean 'USD'?"),
    ],
)
def test_what_is_no_cap_is_refused(text, part):
    with pytest.raises(ConfigError, match="here") as caught:
        parse(text, "here")
    assert part in str(caught.value)
