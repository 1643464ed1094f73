"""Reports, comparisons and cards of notebooks in a real browser: without a network, light and dark, small and large."""

import shutil

import pytest
from dashboard_browser import CHROMIUM, FLAGS, LONG, MARKS
from dashboard_runs import OPENING, folder_of_run, step, write
from pages import change

import q_store as package

playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install 'q-store[dev]'")
pytestmark = MARKS
NAMES = ["</style><script>alert(1)</script>", "a very long name " * 20, "\u202eright to left"]
THEMES = ["light", "dark"]
COLOURS = """() => [...document.querySelectorAll('th, td, p, summary, text')].filter(each => each.textContent).map(
  each => {
    const none = 'rgba(0, 0, 0, 0)', style = getComputedStyle(each)
    let behind = each
    while (getComputedStyle(behind).backgroundColor === none) behind = behind.parentElement
    return [each instanceof SVGElement ? style.fill : style.color, getComputedStyle(behind).backgroundColor]
  }
)"""
"""Of every text, and of what it stands on."""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def opened(browser):
    """Opens a file without a network; at the end nothing was asked for, and nothing was complained about."""
    contexts, trouble = [], []

    def visit(file, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_offline(True)
        page = context.new_page()
        page.set_default_timeout(LONG)
        page.on("console", lambda said: trouble.append(said.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("dialog", lambda dialog: trouble.append(dialog.message))
        page.on("request", lambda asked: None if asked.url == file.as_uri() else trouble.append(asked.url))
        page.goto(file.as_uri())
        return page

    yield visit
    for context in contexts:
        context.close()
    assert trouble == []


def accessible(page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found]


@pytest.fixture
def hostile(trained, tmp_path):
    """A finished run with names that nobody would choose, and an ablation."""
    run = shutil.copytree(trained, tmp_path / "<b>run")
    change(run / "tested.json", classes=NAMES)
    return run


@pytest.fixture
def reported(hostile, trained, q_store):
    assert q_store("report", hostile, "--ablation", trained).code == 0
    return hostile


@pytest.mark.parametrize("scheme", THEMES)
@pytest.mark.parametrize("width", [390, 1100])
def test_a_report_needs_no_network_and_is_readable(reported, opened, scheme, width):
    page = opened(reported / "report.html", color_scheme=scheme, viewport={"width": width, "height": 800})
    for each in page.locator("summary").all():
        each.click()
    assert page.locator("h1").inner_text().startswith("ring on blobs.npz")
    assert page.locator("h2").all_inner_texts()[-1] == "Do it again"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert accessible(page) == []


@pytest.mark.parametrize("scheme", THEMES)
def test_an_unfinished_run_and_a_comparison_are_too(hostile, q_store, opened, tmp_path, scheme):
    begun = folder_of_run(tmp_path / "begun")
    write(begun, *OPENING, *map(step, range(1, 40)))
    assert q_store("report", begun).code == 0
    assert q_store("compare", hostile, begun, "--out", tmp_path / "both.html").code == 0
    for file in (begun / "report.html", tmp_path / "both.html"):
        page = opened(file, color_scheme=scheme, viewport={"width": 700, "height": 800})
        assert accessible(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 700


NOTEBOOKS = {
    "a light screen": ("light", "<!doctype html>", "<body>"),
    "a dark screen, quirks": ("dark", "", "<body>"),
    "JupyterLab, light, on a dark screen": ("dark", "<!doctype html>", "<body data-jp-theme-light=true>"),
    "JupyterLab, dark, on a light screen, quirks": ("light", "", "<body data-jp-theme-light=false>"),
}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_several_cards_of_a_notebook_do_not_meet(hostile, opened, tmp_path, name):
    scheme, doctype, body = NOTEBOOKS[name]
    run = package.open_run(hostile)
    cards = [run._repr_html_(), run.model._repr_html_(), run._repr_html_()]
    file = tmp_path / "notebook.html"
    head = f"{doctype}<html lang='en'><title>notebook</title><meta charset=utf-8>"
    file.write_text(
        f"{head}{body}<main><h1 style='color:#777;background:#000'>own</h1>{''.join(cards)}</main></body></html>",
        encoding="utf-8",
    )
    page = opened(file, color_scheme=scheme)
    for each in page.locator("summary").all():
        each.click()
    found = page.evaluate(COLOURS)
    assert len(found) > 100
    assert [pair for pair in found if contrast(*pair) < 4.5] == []
    assert page.locator("h1").evaluate("each => getComputedStyle(each).color") == "rgb(119, 119, 119)"


def contrast(ink, back):
    """Ratio of WCAG 2 of two colours as a browser says them."""
    light, dark = sorted((brightness(each) for each in (ink, back)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def brightness(colour):
    channels = [int(each) / 255 for each in colour.removeprefix("rgb(").removesuffix(")").split(", ")]
    linear = [each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
