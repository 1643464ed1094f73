"""Settings: keys from the environment or a file, and one clear line for what cannot be used."""

from __future__ import annotations

import copy
import pickle
import traceback
from functools import partial

import pytest
from pydantic import SecretStr
from tests.backends.ionq.scripted import KEY

from q_store.backends.ionq.settings import URL, IonQSettings
from q_store.errors import AuthenticationError, ConfigError, QStoreError


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in ("IONQ_API_KEY", "IONQ_API_KEY_FILE", "IONQ_API_URL"):
        monkeypatch.delenv(name, raising=False)


def test_the_environment_gives_key_and_url(monkeypatch):
    monkeypatch.setenv("IONQ_API_KEY", KEY)
    assert IonQSettings.from_environment().url == URL
    monkeypatch.setenv("IONQ_API_URL", "http://127.0.0.1:9000/v0.4/")
    got = IonQSettings.from_environment(noise="aria-1")
    assert got.url == "http://127.0.0.1:9000/v0.4"
    assert got.key.get_secret_value() == KEY
    assert IonQSettings.from_environment(key="mine", url=URL).key.get_secret_value() == "mine"


def test_a_file_may_hold_the_key(monkeypatch, tmp_path):
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    monkeypatch.setenv("IONQ_API_KEY_FILE", str(path))
    assert IonQSettings.from_environment().key == SecretStr(KEY)
    path.unlink()
    with pytest.raises(AuthenticationError, match="IONQ_API_KEY_FILE"):
        IonQSettings.from_environment()


@pytest.mark.parametrize("key", [None, "", "   ", "two words", "line\nline", "schlüssel", 17, b"bytes", SecretStr("")])
def test_a_key_that_cannot_be_sent_is_refused_without_saying_it(key):
    with pytest.raises(AuthenticationError, match="IONQ_API_KEY") as caught:
        IonQSettings(key=key)
    assert "words" not in str(caught.value)
    assert "schl" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nois": "aria-1"}, "did you mean 'noise'"),
        ({"noise": "aria1"}, "aria-1"),
        ({"backend": "qpu"}, "qpu.NAME"),
        ({"backend": "simulatr"}, "did you mean 'simulator'"),
        ({"backend": "qpu.forte-1", "noise": "aria-1"}, "simulator only"),
        ({"debiasing": True}, "QPU"),
        ({"gateset": "pulses"}, "gateset"),
        ({"url": "ftp://x"}, "https://"),
        ({"rate": 0}, "rate"),
        ({"settle": float("nan")}, "settle"),
        ({"min_interval": 9.0}, "min_interval"),
        ({"min_interval": 9.0, "backend": "qpu.forte-1", "max_interval": 8.0}, "got 9.0 and 8.0"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(options, said):
    with pytest.raises(ConfigError, match=said) as caught:
        IonQSettings(**{"key": KEY, **options})
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "noise_id", "exact", "qubits"),
    [
        ({}, "ideal", True, 29),
        ({"noise": "aria-1"}, "ionq:simulator:aria-1", False, 25),
        ({"backend": "qpu.forte-1"}, "ionq:qpu.forte-1", False, 36),
        ({"backend": "qpu.forte-1", "debiasing": True}, "ionq:qpu.forte-1:debiased", False, 36),
        ({"backend": "qpu.new-9"}, "ionq:qpu.new-9", False, 62),
    ],
)
def test_what_the_backend_is(options, noise_id, exact, qubits):
    got = IonQSettings(key=KEY, **options)
    assert (got.noise_id, got.is_exact, got.max_qubits) == (noise_id, exact, qubits)


def test_nothing_shows_the_key():
    got = IonQSettings(key=KEY)
    assert KEY not in f"{got} {got!r} {got.model_dump()} {got.model_dump_json()}"
    assert copy.deepcopy(got) == got
    with pytest.raises(TypeError, match="from the environment"):
        pickle.dumps(got)


@pytest.mark.parametrize(
    ("key", "options"),
    [(f"{KEY} and more", {}), (KEY, {"tieout": 1}), (KEY, {"timeout": -1}), (KEY, {"url": "ftp://x"})],
)
def test_no_frame_of_a_traceback_holds_the_key(key, options, monkeypatch):
    """Reports of crashes show the variables of all frames."""
    monkeypatch.setenv("IONQ_API_KEY", key)
    for make in (IonQSettings.from_environment, partial(IonQSettings, key=key)):
        with pytest.raises(QStoreError) as refused:
            make(**options)
        frames = traceback.TracebackException.from_exception(refused.value, capture_locals=True).stack
        ours = [frame.locals or {} for frame in frames if frame.filename.endswith("ionq/settings.py")]
        assert ours
        assert not any(KEY in shown for held in ours for shown in held.values())


def test_machines_get_more_time_than_simulators():
    assert IonQSettings(key=KEY).longest(100) == 900 + 200
    assert IonQSettings(key=KEY, backend="qpu.forte-1").longest(100) == 86_400
    assert IonQSettings(key=KEY, deadline=5.0).longest(100) == 5
