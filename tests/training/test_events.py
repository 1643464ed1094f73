from __future__ import annotations

import warnings

import pytest

from q_store.events import Announcer, StageStarted


def test_nobody_listening_is_false():
    assert not Announcer()
    assert Announcer([print])


def test_every_sink_gets_every_event_in_order():
    seen = []
    tell = Announcer([lambda e: seen.append((1, e)), lambda e: seen.append((2, e))])
    tell(StageStarted("epochs"))
    assert seen == [(1, StageStarted("epochs")), (2, StageStarted("epochs"))]


def test_a_failing_sink_is_warned_about_once_and_dropped():
    seen = []

    def broken(_event):
        raise OSError("no space")

    tell = Announcer([broken, seen.append])
    with pytest.warns(RuntimeWarning, match=r"broken failed on StageStarted .*no space"):
        tell(StageStarted("epochs"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tell(StageStarted("finish"))
    assert seen == [StageStarted("epochs"), StageStarted("finish")]


def test_an_interrupt_passes_through():
    def stop(_event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Announcer([stop])(StageStarted("epochs"))
