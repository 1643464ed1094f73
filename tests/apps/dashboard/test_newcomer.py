"""The page as somebody meets it who never saw it: it ends, it is far away, the window is small, there is no mouse."""

import os
import re
import signal
import subprocess
import sys

import pytest
from dashboard_browser import FIRST, LONG, MARKS, number, says, training, until

from q_store.apps.history import History

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
            says(page, "#h-confusion", "Confusion on the validation part, as it is now")
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


class SlowLink:
    """400 ms there and back, 50 kB a second; counts what comes."""

    def __init__(self):
        self.bytes = 0

    def __call__(self, context, page):
        self.wire = context.new_cdp_session(page)
        self.wire.send("Network.enable")
        self.wire.on("Network.dataReceived", self._came)
        limits = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
        self.wire.send("Network.emulateNetworkConditions", limits)

    def _came(self, event):
        self.bytes += event["encodedDataLength"]


def test_a_long_history_through_a_slow_link(opened, dashboard, long):
    """Small on its way, and on the page before all of it is there."""
    link, seen = SlowLink(), []
    page = opened(dashboard(long)[1], prepare=link)
    until(page, "() => document.querySelectorAll('.card canvas').length > 3")
    seen.append(number(page, "Step"))
    says(page, "#status", "completed")
    assert 0 < seen[0] < 6_400
    assert number(page, "Step") == 6_400
    assert 40_000 < link.bytes < 400_000


def test_a_live_run_through_a_slow_link_stays_live(opened, dashboard, data_file, tmp_path):
    out = tmp_path / "mine"
    with training(out, "ring", "--data", data_file, "--epochs", "100000"):
        link = SlowLink()
        page = opened(dashboard(out)[1], prepare=link)
        says(page, "#status", "running")
        page.wait_for_selector(".card[data-id=loss] canvas")
        began = link.bytes
        for _ in range(3):
            page.wait_for_timeout(2_000)
            now = last_step(out)
            page.wait_for_function(f"now => {FIRST} >= now", arg=now, timeout=10_000)
        assert link.bytes - began < 10 * 50_000  # or they would wait for each other


def last_step(out):
    return next(each.values["step"] for each in reversed(History(out).read()) if each.kind == "StepDone")


@pytest.mark.parametrize("tested", ['{"classes": 5, "counts": "x"}', "[]", '{"images": [{}], "classes": []}', "broken"])
def test_damaged_files_are_said_and_the_rest_is_shown(opened, dashboard, run, tested):
    (run / "tested.json").write_text(tested)
    (run / "result.json").write_text('{"accuracy": {"test": 0.5}, "test_interval": 7}')
    with (run / "events.jsonl").open("a") as file:
        file.write("broken\n" * 3)
    page = opened(dashboard(run)[1])
    page.wait_for_selector(".card[data-id=loss] canvas")
    says(page, "#trouble", "3 damaged or unknown events were left out")
    says(page, "#trouble", "cannot be shown: figures" + (", confusion and images" if tested.startswith("{") else ""))
    page.wait_for_selector(".card[data-id=accuracy] canvas")
