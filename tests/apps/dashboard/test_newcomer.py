"""The page as somebody meets it who never saw it: it ends, it is far away, the window is small, there is no mouse."""

import os
import re
import signal
import subprocess
import sys

import pytest
from dashboard_browser import LONG, MARKS, says, until

pytestmark = MARKS


@pytest.mark.parametrize("how", ["the training ends", "the training is killed", "the dashboard ends"])
def test_the_end_is_said_and_the_last_state_stays(opened, dashboard, data_file, tmp_path, how):
    """Nothing is in the console of the browser, as `opened` sees to."""
    out = tmp_path / "mine"
    words = ["train", "ring", "--data", str(data_file), "--epochs", "100000", "--out", str(out), "--no-control"]
    shown = ["--dashboard", "--port", "0"] if how != "the dashboard ends" else []
    command = [sys.executable, "-m", "q_store", *words, *shown]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            if shown:
                url = re.search(r"http://\S+", process.stdout.readline()).group()
            else:
                while "loss" not in process.stdout.readline():
                    assert process.poll() is None
                server, url = dashboard(out)
            page = opened(url)
            page.wait_for_selector(".card[data-id=accuracy] canvas")
            says(page, "#status", "running")
            os.kill(
                server.pid if how == "the dashboard ends" else process.pid,
                signal.SIGKILL if "kill" in how else signal.SIGINT,
            )
            said = "The dashboard was ended" if how == "the dashboard ends" else "The training is over"
            says(page, "#over", said)
            says(page, "#over", "q-store dashboard RUN, with the folder of mine")
            status = {"the training ends": "stopped", "the training is killed": "interrupted"}.get(how, "running")
            says(page, "#status", status)
            process.kill()
            process.wait(LONG / 1000)
            page.wait_for_timeout(2_500)  # no further try
            assert page.locator("#controls").is_hidden()
            assert page.locator("#link").inner_text() == ""
            assert page.locator(".card[data-id=loss] canvas").is_visible()
            until(page, "() => document.querySelector('#figures dd').textContent.length > 2")
        finally:
            process.kill()


def test_a_dashboard_that_was_started_anew_is_named(opened, dashboard, run):
    """Its token is another one: the page says what to do instead of trying for ever."""
    server, url = dashboard(run)
    port = re.search(r":(\d+)/", url).group(1)
    opened.cut = True
    page = opened(url)
    says(page, "#figures", "of 10")
    server.kill()
    server.wait(LONG / 1000)
    says(page, "#link", "connection lost")
    command = [sys.executable, "-m", "q_store", "dashboard", str(run), "--port", port]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as again:
        try:
            assert f":{port}/" in again.stdout.readline()
            says(page, "#link", "open the link that it printed")
        finally:
            again.kill()
