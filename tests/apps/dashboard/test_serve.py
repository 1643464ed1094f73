"""The command: its link, its port, and runs that it cannot show."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import closing

import pytest

from q_store.apps.cli import main
from q_store.apps.dashboard.serve import latest, link, listen
from q_store.errors import ConfigError


@pytest.fixture
def served(run):
    command = [sys.executable, "-m", "q_store", "dashboard", str(run), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process, re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", process.stdout.readline()).group()
        process.kill()


@pytest.mark.socket
def test_link_opens_the_page_and_its_events(served):
    process, url = served
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(url, timeout=20) as page:
        assert page.status == 200
        assert "token" not in page.url
    with opener.open(url.partition("?")[0] + "events", timeout=20) as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        assert events.readline() == b"retry: 1000\n"
        lines = (events.readline() for _ in range(10))
        data = next(line for line in lines if line.startswith(b"data: "))
    assert json.loads(data[6:])["run"]["name"] == "compact-mine"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out.splitlines()[-1] == "ended"
    assert err == ""


@pytest.mark.socket
def test_nobody_gets_in_without_the_token(served):
    _, url = served
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(url.partition("?")[0], timeout=20)  # noqa: S310
    refused.value.close()


@pytest.mark.socket
def test_taken_port_names_the_next_free_one():
    with closing(listen("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"expected a free port, got {port}, which .*: --port (\d+)") as refused:
            listen("127.0.0.1", port)
        free = int(re.search(r"--port (\d+)", str(refused.value)).group(1))
        listen("127.0.0.1", free).close()


@pytest.mark.socket
@pytest.mark.parametrize(
    ("host", "port", "says"),
    [("127.0.0.1", 70_000, "from 0 to 65535, got 70000"), ("203.0.113.1", 0, "address of this machine")],
)
def test_wrong_place_is_refused(host, port, says):
    with pytest.raises(ConfigError, match=says):
        listen(host, port)


def test_link_of_an_open_port_names_the_machine():
    assert link("0.0.0.0", 80, "t") == f"http://{socket.gethostname()}:80/?token=t"  # noqa: S104
    assert link("::1", 80, "t") == "http://[::1]:80/?token=t"


def test_no_such_run(tmp_path, capsys):
    assert main(["dashboard", str(tmp_path / "none")]) == 2
    assert "expected a run folder at" in capsys.readouterr().err


def test_no_run_at_all(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["dashboard"]) == 2
    assert "expected a run below runs, got none" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "content"), [("config.json", '{"format": 99}'), ("events.jsonl", '{"format": 99}\n')])
def test_run_of_another_version(run, capsys, name, content):
    (run / name).write_text(content)
    assert main(["dashboard", str(run)]) == 2
    assert re.search("format 1, got (format )?99", capsys.readouterr().err)


def test_latest_run_is_the_one_that_something_happened_in(tmp_path, run):
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text("{}")
    for path, at in ((other / "config.json", 2_000), (run / "config.json", 1_000), (run / "events.jsonl", 3_000)):
        os.utime(path, (at, at))
    assert latest(tmp_path) == run


OWN = socket.gethostname()
ANY = "0.0.0.0"  # noqa: S104


@pytest.mark.socket
@pytest.mark.parametrize(
    ("host", "shown", "to", "names"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", ""), ("localhost", "localhost", "localhost", ""),
        ("::1", "[::1]", "::1", ""), (ANY, OWN, "127.0.0.1", f"{OWN}, localhost"),
        ("::", OWN, "::1", f"{OWN}, localhost"),
        ("127.0.0.2", "127.0.0.2", "127.0.0.2", f"127.0.0.2, {OWN}, localhost"),
    ],
)  # fmt: skip
def test_host(run, host, shown, to, names):
    """The printed link works, its token is needed, other names are refused; an open one says whom it answers."""
    try:
        listen(host, 0).close()
    except ConfigError:
        pytest.skip(f"this machine has no {host}")
    command = [sys.executable, "-m", "q_store", "dashboard", str(run), "--port", "0", "--host", host]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            name, port, token = re.search(r"http://(.+):(\d+)/\?token=(\S+)$", process.stdout.readline()).groups()
            assert name == shown
            assert "Open the link" in process.stdout.readline()
            if names:
                assert f"answers to the name {names} or an address" in process.stdout.readline()
            place, known = (to, int(port)), {"cookie": f"q-store-{port}={token}"}
            assert asked(place, f"/?token={token}", f"{shown}:{port}") == 303
            assert asked(place, "/", f"{shown}:{port}", known) == 200
            assert asked(place, "/", f"{shown}:{port}") == 401
            assert asked(place, "/?token=wrong", f"{shown}:{port}") == 401
            assert asked(place, "/", f"evil.example:{port}", known) == 421
        finally:
            process.kill()


def asked(to, path, name, headers=()):
    """The status of a GET at an address, to a host of that name."""
    with closing(http.client.HTTPConnection(*to, timeout=20)) as connection:
        connection.request("GET", path, headers={"host": name, **dict(headers)})
        return connection.getresponse().status
