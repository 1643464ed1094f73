"""Hypothesis profiles, a headless matplotlib, and the guard that keeps tests off the network."""

from __future__ import annotations

import os
import signal
import socket

import hypothesis
import pytest

# Deadlines are off everywhere: the first example compiles kernels. HYPOTHESIS_PROFILE names a profile.
hypothesis.settings.register_profile("dev", deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.register_profile("nightly", deadline=None, print_blob=True, max_examples=2_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))

os.environ["MPLBACKEND"] = "Agg"
for name in ("PY_COLORS", "FORCE_COLOR", "CLICOLOR_FORCE", "GITHUB_ACTIONS"):  # Typer would take a pipe for a terminal
    os.environ.pop(name, None)

LIMIT = 60
"""Seconds after which a test with the fixture `ends` fails that hangs."""
GUARDED = ("bind", "connect", "connect_ex", "sendto")


def _guard(method: str):
    """The method of `socket.socket`, refusing the internet families; AF_UNIX stays (event loops, worker processes)."""
    original = getattr(socket.socket, method)

    def guarded(self, *args):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            pytest.fail(f"socket.{method}{args}: a unit test opens no socket; inject a transport or mark it `socket`")
        return original(self, *args)

    return guarded


def _refuse_lookup(host, *_args, **_kwargs):
    pytest.fail(f"look-up of {host!r}: a unit test opens no socket; inject a transport or mark it `socket`")


@pytest.fixture(autouse=True)
def _no_sockets(request):
    """Fail a test that opens a socket in this process unless it is marked `socket`; child processes are not seen."""
    if request.node.get_closest_marker("socket"):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        for method in GUARDED:
            patch.setattr(socket.socket, method, _guard(method), raising=False)
        patch.setattr(socket, "getaddrinfo", _refuse_lookup)
        yield


@pytest.fixture
def ends():
    """Virtual time and loops over circuits can hang; a test that does fails instead."""

    def expired(_signal, _frame):
        raise TimeoutError(f"expected an end within {LIMIT} s, got none")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    """The address of a database of MLflow: one for all tests, as it takes seconds to make its tables."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"
