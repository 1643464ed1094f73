"""The page in a real browser: live trainings, buttons, reloads, cut connections, accessibility."""

import json
import re
import time
from pathlib import Path

from dashboard_browser import FIRST, LONG, MARKS, Wire, number, says, training, until
from dashboard_runs import step, write

pytestmark = MARKS


def test_live_training_is_shown_held_and_stopped(opened, dashboard, data_file, tmp_path):
    out = tmp_path / "live"
    with training(out, "ring", "--data", data_file, "--epochs", "100000") as process:
        page = opened(dashboard(out)[1])
        says(page, "#status", "running")
        page.wait_for_selector(".card[data-id=loss] canvas")
        until(page, f"() => {FIRST} > 0")
        before = number(page, "Step")
        until(
            page,
            f"before => {FIRST} > before",
            before,
        )
        page.keyboard.press("Tab")
        page.get_by_role("button", name="Pause").click()
        says(page, "#status", "held")
        held = number(page, "Step")
        time.sleep(1.5)
        assert number(page, "Step") == held
        page.get_by_role("button", name="Resume").click()
        says(page, "#status", "running")
        until(
            page,
            f"held => {FIRST} > held",
            held,
        )
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Go on training").click()
        assert process.poll() is None
        page.get_by_role("button", name="Stop").click()
        page.locator("dialog").get_by_role("button", name="Stop").click()
        assert process.wait(LONG / 1000) == 130
        says(page, "#status", "stopped")
        assert page.locator("#controls").is_hidden()
        says(page, "#decisions", "somebody asked the run to stop")


def test_100_000_events(opened, dashboard, long):
    process, url = dashboard(long)
    page = opened(url)
    paint = page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
    assert paint < 2_000
    for _ in range(2):  # opened late, and reloaded
        says(page, "#figures", "6,400")
        says(page, "#status", "completed")
        label = page.locator(".card[data-id=loss] .plot").get_attribute("aria-label")
        assert label.startswith("Loss at step 6,400")
        says(page, "#spent", "Charged: 1,920 USD for 192,000 circuits, 19,200,000 shots.")
        page.reload()
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    peak = int(re.search(r"VmHWM:\s+(\d+)", status).group(1))
    assert peak < 200_000  # KiB


def test_keyboard_reads_a_curve(opened, dashboard, run):
    _, url = dashboard(run)
    page = opened(url)
    plot = page.locator(".card[data-id=loss] .plot")
    plot.wait_for()
    plot.focus()
    page.keyboard.press("Home")
    until(page, "() => document.querySelector('.card[data-id=loss] .plot').ariaLabel.startsWith('Loss at step 1:')")
    page.keyboard.press("ArrowRight")
    until(page, "() => document.querySelector('.card[data-id=loss] .plot').ariaLabel.startsWith('Loss at step 2:')")


def test_connection_that_is_cut_comes_back(opened, dashboard, run):
    _, url = dashboard(run)
    port = int(re.search(r":(\d+)/", url).group(1))
    wire = Wire(port)
    opened.cut = True
    page = opened(url.replace(f":{port}/", f":{wire.port}/"))
    says(page, "#figures", "of 10")
    wire.cut()
    says(page, "#link", "connection lost")
    write(run, step(6), step(7))
    wire.whole = True
    until(page, "() => document.querySelector('#link').textContent === ''")
    until(page, f"() => {FIRST} === 7")
    wire.close()


def test_wrong_token_says_what_to_do(chromium, dashboard, run):
    _, url = dashboard(run)
    page = chromium.new_page()
    answer = page.goto(url[:-3] + "abc")
    assert answer.status == 401
    assert "open the whole link" in page.content()
    page.close()


def test_text_of_a_run_is_never_markup(opened, dashboard, run):
    config = json.loads((run / "config.json").read_text())
    config["request"]["model"] = "<img src=x onerror=alert(1)>"
    (run / "config.json").write_text(json.dumps(config))
    _, url = dashboard(run)
    page = opened(url)
    says(page, "#asked", "<img src=x")
    assert page.locator("#asked img").count() == 0
