"""`q-store train --dashboard`: a page as long as the training lasts, which is none the worse for it."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing, suppress
from pathlib import Path

import pytest

from q_store.apps.cli import main
from q_store.apps.dashboard.serve import listen

pytestmark = pytest.mark.socket


def answers(url):
    try:
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(url, timeout=20) as page:
            return page.status
    except (urllib.error.URLError, ConnectionError):
        return None


def begun(out, data_file, *options):
    command = [sys.executable, "-m", "q_store", "train", "ring", "--data", str(data_file), "--epochs", "100000"]
    return subprocess.Popen(
        [*command, "--out", str(out), "--dashboard", "--port", "0", *options],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_page_lives_as_long_as_the_training(tmp_path, data_file, end):
    with begun(tmp_path / "run", data_file) as process:
        try:
            url = re.search(r"dashboard: (http://127\.0\.0\.1:\d+/\?token=\S+)", process.stdout.readline()).group(1)
            assert answers(url) == 200
            while "loss" not in (line := process.stdout.readline()):
                assert line, "the training ended"
            process.send_signal(end)
            process.stdout.read()
        finally:
            with suppress(OSError):
                os.kill(process.pid, signal.SIGKILL) if process.poll() is None else None
    limit = time.monotonic() + 30
    while answers(url) is not None:
        assert time.monotonic() < limit, "the page outlived its training"
        time.sleep(0.1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="processes are found by /proc here")
def test_training_goes_on_when_the_page_dies(tmp_path, data_file):
    with begun(tmp_path / "run", data_file) as process:
        try:
            process.stdout.readline()
            while "loss" not in (line := process.stdout.readline()):
                assert line, "the training ended"
            (page,) = [each for each in Path("/proc").glob("[0-9]*/cmdline") if _is_page(each, process.pid)]
            os.kill(int(page.parent.name), signal.SIGKILL)
            for _ in range(20):
                assert "loss" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            process.stdout.read()
            assert process.wait(30) == 130
        finally:
            process.kill()


def _is_page(cmdline, parent):
    """Whether a process is the page beside that training."""
    try:
        status = (cmdline.parent / "status").read_text()
        return f"\nPPid:\t{parent}\n" in status and b"q_store.apps.dashboard" in cmdline.read_bytes()
    except OSError:
        return False


def test_taken_port_is_said_before_anything_is_trained(tmp_path, data_file, capsys):
    with closing(listen("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        out = tmp_path / "run"
        words = ["train", "ring", "--data", str(data_file), "--out", str(out), "--dashboard", "--port", port]
        assert main(words) == 2
    assert re.search(rf"got {port}, which another program uses; the next free one: --port \d+", capsys.readouterr().err)
    assert not out.exists()


def test_port_alone_is_refused(tmp_path, data_file, capsys):
    assert main(["train", "ring", "--data", str(data_file), "--out", str(tmp_path / "run"), "--port", "9"]) == 2
    assert "expected --port only with --dashboard" in capsys.readouterr().err
