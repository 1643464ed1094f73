"""The page in small windows and large letters, in both colours, to somebody who sees little or uses keys only."""

import pytest
from dashboard_browser import MARKS, says, until

pytestmark = MARKS
WINDOWS = {
    "phone": {"viewport": {"width": 320, "height": 640}},
    "laptop": {"viewport": {"width": 1024, "height": 600}},
    "twice as large": {"viewport": {"width": 512, "height": 300}, "device_scale_factor": 2},
    "wide": {"viewport": {"width": 1440, "height": 900}},
}
CUT = """() => [...document.querySelectorAll('body *')].filter(e => {
  const box = e.getBoundingClientRect();
  if (!box.width || e.closest('.wide, .unseen, .skip, .uplot, [hidden]')) return false;
  const cut = getComputedStyle(e).overflowX === 'hidden' && e.scrollWidth > e.clientWidth + 1 && e.textContent.trim();
  return box.right > innerWidth + 1 || box.left < -1 || cut;
}).map(e => e.outerHTML.slice(0, 120))"""
"""What sticks out of the window, and text that is cut off; but for what can be scrolled."""
OVER = """() => { const boxes = [...document.querySelectorAll('.figures > div, .card, header > *, section > h2')]
  .filter(e => e.offsetParent).map(e => [e, e.getBoundingClientRect()]);
  return boxes.flatMap(([a, p], k) => boxes.slice(k + 1).filter(([b, q]) => !a.contains(b) && !b.contains(a)
    && Math.min(p.right, q.right) - Math.max(p.left, q.left) > 2
    && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 2 && !a.closest('header') === !b.closest('header'))
    .map(([b]) => [a.textContent.slice(0, 40), b.textContent.slice(0, 40)])); }"""
"""Boxes that lie over each other."""


FOCUSED = """() => {
  const e = document.activeElement, style = getComputedStyle(e);
  const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  return [e.id || e.className || e.tagName, seen, e.getBoundingClientRect().height > 0];
}"""
"""What has the focus, whether that is seen, and whether it is there at all."""


def whole(page):
    """Wait until every part is there."""
    page.wait_for_selector(".card[data-id=loss] canvas")
    for part in (
        "#members tr:nth-child(4)",
        "#images li:nth-child(24)",
        "#confusion tr:nth-child(10)",
        "#caps .share",
        "#decisions li",
    ):
        page.wait_for_selector(part)
    until(page, "() => document.querySelector('#circuit').naturalWidth > 0")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("window", WINDOWS)
def test_nothing_is_cut_and_nothing_lies_over_anything(opened, dashboard, rich, window, scheme):
    page = opened(dashboard(rich)[1], color_scheme=scheme, **WINDOWS[window])
    whole(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= WINDOWS[window]["viewport"]["width"]
    assert page.evaluate(CUT) == []
    assert page.evaluate(OVER) == []
    if WINDOWS[window]["viewport"]["width"] >= 1024:  # nothing that has to be scrolled sideways
        wide = "() => [...document.querySelectorAll('.wide')].map(e => [e.ariaLabel, e.scrollWidth - e.clientWidth])"
        assert {name: more for name, more in page.evaluate(wide) if more > 0} == {}
    page.get_by_role("button", name="Stop").click()
    box = page.locator("dialog").bounding_box()
    size = WINDOWS[window]["viewport"]
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= size["width"]
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= size["height"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", ["laptop", "phone", "dialog", "over"])
def test_every_part_of_the_page_is_accessible(opened, dashboard, rich, scheme, state):
    from axe_playwright_python.sync_playwright import Axe

    process, url = dashboard(rich)
    page = opened(url, color_scheme=scheme, bypass_csp=True, **WINDOWS["phone" if state == "phone" else "laptop"])
    whole(page)
    if state == "dialog":
        page.get_by_role("button", name="Stop").click()
    if state == "over":
        process.terminate()
        says(page, "#over", "The dashboard was ended")
    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["impact"], [n["html"][:100] for n in each["nodes"][:3]]) for each in found] == []


def test_by_keys_alone(opened, dashboard, rich):
    """Every part that can be used is reached, is seen to be, and acts."""
    page = opened(dashboard(rich)[1])
    whole(page)
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        own = page.evaluate(FOCUSED)
        if own[0] == "BODY":
            break
        reached.append(own)
    names = [name for name, *_ in reached]
    assert names[:3] == ["skip", "pause", "stop"]
    assert {"lanes", "decisions"} <= set(names)
    assert names.count("plot") == page.locator(".plot").count()
    assert sum("wide" in name for name in names) == page.locator(".wide:visible").count()
    assert [name for name, focused, there in reached if not (focused and there)] == []


def test_stop_is_asked_about_and_escape_leaves(opened, dashboard, rich):
    from q_store.apps.control import asked

    page = opened(dashboard(rich)[1])
    whole(page)
    page.locator("#pause").focus()
    page.keyboard.press("Enter")
    until(page, "() => document.querySelector('#pause').textContent === 'Resume'")
    assert asked(rich) == "pause"
    page.keyboard.press("Space")
    until(page, "() => document.querySelector('#pause').textContent === 'Pause'")
    page.locator("#stop").focus()
    for leave in ("Escape", "Enter"):  # what has the focus is to go on
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog[open]")
        page.keyboard.press(leave)
        until(page, "() => !document.querySelector('dialog[open]')")
        assert page.evaluate("document.activeElement.id") == "stop"
        assert asked(rich) == "run"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    says(page, "#status", "stopping")
    assert asked(rich) == "stop"
