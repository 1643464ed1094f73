"""Who gets in, and what the page may do: wrong tokens, foreign hosts and sites, big bodies, other methods."""

import asyncio
import json

import httpx
import pytest

from q_store.apps.control import asked
from q_store.apps.dashboard.app import application
from q_store.apps.dashboard.feed import Feed
from q_store.apps.dashboard.security import allowed
from q_store.apps.run_folder import RunFolder

TOKEN = "t" * 32
EVERYWHERE = "0.0.0.0"  # noqa: S104  # a word in a test
HERE = "http://127.0.0.1:8080"
COOKIE = {"cookie": f"q-store-8080={TOKEN}"}
JSON = {**COOKIE, "content-type": "application/json"}


def ask(run, method, path="/", *, base=HERE, host="127.0.0.1", **given):
    async def call():
        transport = httpx.ASGITransport(application(Feed(run), TOKEN, host, 8080))
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            return await client.request(method, path, **given)

    return asyncio.run(call())


@pytest.fixture
def trains(run):
    """The run is being trained, as far as the folder tells."""
    folder = RunFolder.find(run)
    folder.lock()
    yield run
    folder.close()


def test_link_leads_to_the_page_and_hides_the_token(run):
    answer = ask(run, "GET", f"/?token={TOKEN}")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("q-store-8080=")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_page_is_for_those_who_have_the_token(run):
    assert "<title>q-store</title>" in ask(run, "GET", headers=COOKIE).text
    assert ask(run, "GET", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/page.js", "/events", "/control", "/?token=wrong", "/nothing", "/?token="])
@pytest.mark.parametrize(
    "headers", [{}, {"cookie": "q-store-8080=wrong"}, {"authorization": "Bearer x"}, {"cookie": "=;"}]
)
def test_nobody_else_gets_anything(run, path, headers):
    answer = ask(run, "GET", path, headers=headers)
    assert answer.status_code == 401
    assert "expected the token of this dashboard" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("status", [200, 303, 401, 404, 421])
def test_every_answer_has_the_headers(run, status):
    answer = {
        200: lambda: ask(run, "GET", headers=COOKIE),
        303: lambda: ask(run, "GET", f"/?token={TOKEN}"),
        401: lambda: ask(run, "GET"),
        404: lambda: ask(run, "GET", "/other", headers=COOKIE),
        421: lambda: ask(run, "GET", headers={**COOKIE, "host": "evil.example"}),
    }[status]()
    assert answer.status_code == status
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert not {"access-control-allow-origin", "server"} & set(answer.headers)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "10.0.0.1:8080", "[::2]:8080"]
)
def test_foreign_host_is_refused(run, host):
    answer = ask(run, "GET", headers={**COOKIE, "host": host})
    assert answer.status_code == 421
    assert "expected a request to 127.0.0.1:8080" in answer.text


@pytest.mark.parametrize(
    ("header", "host", "passes"),
    [
        ("localhost:9000", "127.0.0.1", True), ("[::1]:8080", "127.0.0.1", True), ("LOCALHOST:8080", "::1", True),
        ("192.168.1.7:8080", EVERYWHERE, True), ("[fe80::1]:8080", "::", True), ("localhost:8080", EVERYWHERE, True),
        ("evil.example:8080", EVERYWHERE, False), ("lab.example:8080", "lab.example", True),
        ("other.example:8080", "lab.example", False),
    ],
)  # fmt: skip
def test_hosts(header, host, passes):
    assert allowed(header, host) is passes


@pytest.mark.parametrize("wanted", ["pause", "run", "stop"])
def test_control_says_what_is_wanted(trains, wanted):
    answer = ask(trains, "POST", "/control", headers=JSON, json={"wanted": wanted})
    assert answer.status_code == 200
    assert asked(trains) == wanted


def test_control_of_a_run_that_ended_changes_nothing(run):
    answer = ask(run, "POST", "/control", headers=JSON, json={"wanted": "stop"})
    assert answer.status_code == 409
    assert not (run / "control.json").exists()


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({**JSON, "origin": "http://evil.example"}, '{"wanted": "stop"}', 403),
        ({**JSON, "origin": "http://127.0.0.1:9999"}, '{"wanted": "stop"}', 403),
        ({**JSON, "origin": "null"}, '{"wanted": "stop"}', 403),
        ({**JSON, "sec-fetch-site": "same-site"}, '{"wanted": "stop"}', 403),
        ({**COOKIE, "content-type": "text/plain"}, '{"wanted": "stop"}', 415),
        ({"content-type": "application/json"}, '{"wanted": "stop"}', 401),
        (JSON, '{"wanted": "burn"}', 400),
        (JSON, '{"wanted": ["stop"]}', 400),
        (JSON, "[" * 900, 400),
        (JSON, "", 400),
        (JSON, " " * 5000, 413),
        ({**JSON, "content-length": "9" * 5000}, "{}", 413),
    ],
)
def test_control_refuses(trains, headers, body, status):
    answer = ask(trains, "POST", "/control", headers=headers, content=body)
    assert answer.status_code == status
    assert asked(trains) == "run"


def test_upload_that_hides_its_length_is_cut(trains):
    async def endless():
        for _ in range(1000):
            yield b" " * 1000

    assert ask(trains, "POST", "/control", headers=JSON, content=endless()).status_code == 413


@pytest.mark.parametrize("path", ["/control", "/control?wanted=stop"])
def test_get_changes_nothing(trains, path):
    assert ask(trains, "GET", path, headers=COOKIE).status_code == 405
    assert asked(trains) == "run"


@pytest.mark.parametrize(
    "path", ["/../config.json", "/%2e%2e/config.json", "/page.js/../app.py", "/app.py", "/config.json"]
)
def test_no_file_of_the_run_is_served(run, path):
    assert ask(run, "GET", path, headers=COOKIE).status_code == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(run, method):
    assert ask(run, method, "/control", headers=COOKIE).status_code == 405


def test_page_needs_no_other_host():
    from q_store.apps.dashboard.app import PAGE

    for each in PAGE.iterdir():
        text = each.read_text(encoding="utf-8")
        for word in ("http://", "https://"):
            where = [text[k : k + 40] for k in range(len(text)) if text.startswith(word, k)]
            assert all("www.w3.org" in w or "github.com/leeoniya" in w for w in where), each.name


def test_token_is_in_no_json(run):
    page = ask(run, "GET", headers=COOKIE)
    assert TOKEN not in page.text
    assert json.dumps(TOKEN) not in str(page.headers)


def test_circuit_is_served_where_it_is_drawn(run):
    assert ask(run, "GET", "/circuit.svg", headers=COOKIE).status_code == 404
    (run / "circuit.svg").write_text("<svg/>")
    answer = ask(run, "GET", "/circuit.svg", headers=COOKIE)
    assert (answer.status_code, answer.text) == (200, "<svg/>")
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert ask(run, "GET", "/circuit.svg").status_code == 401
