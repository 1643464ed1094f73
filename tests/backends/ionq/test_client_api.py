"""Calls: what is repeated, how fast, what errors say, and that the key is said nowhere."""

from __future__ import annotations

import asyncio
import io
import logging
import pickle
import socket
import ssl
import traceback

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.backends.ionq.scripted import KEY, URL, Scripted, backend, job, run

from q_store.backends.ionq.client.api import Api
from q_store.backends.ionq.client.clock import MARGIN, ServiceClock, seconds
from q_store.backends.ionq.client.failures import NotFoundError, refused, text_of, unreachable
from q_store.backends.ionq.client.pace import LONGEST_DELAY, Bucket, back_off, bucket, retry_after
from q_store.backends.ionq.settings import IonQSettings
from q_store.emulator.clock import run_virtual
from q_store.errors import AuthenticationError, InputError, QStoreError, UnreachableError


def get(replies, path="/jobs", **options):
    """GET a path from a service that answers like this, one after the other; (body or error, calls, seconds)."""
    left, calls = list(replies), []

    def handle(request):
        calls.append(request)
        step = left.pop(0) if left else httpx.Response(200, json={"ok": True})
        if isinstance(step, Exception):
            raise step
        return step

    async def go():
        api = Api(IonQSettings(key=KEY, url=URL, jitter_seed=1, **options), httpx.MockTransport(handle))
        try:
            got = await api.get(path, read=lambda body: body)
        except QStoreError as error:
            got = error
        await api.aclose()
        return got, calls, asyncio.get_running_loop().time()

    return run_virtual(go())


def answer(status, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json={"message": "no"}, headers=named)


@pytest.mark.parametrize("status", [409, 429, 500, 502, 503, 504, 520, 525, 529])
def test_a_passing_failure_is_repeated(status):
    got, calls, took = get([answer(status)] * 3)
    assert got == {"ok": True}
    assert len(calls) == 4
    assert took < 10


@pytest.mark.parametrize("broken", [httpx.ReadError("x"), httpx.ConnectError("x"), httpx.ReadTimeout("x")])
def test_a_broken_connection_is_repeated(broken):
    assert get([broken, broken])[0] == {"ok": True}


@pytest.mark.parametrize("content", [b'{"ok": tr', b"", b"<html>", b"\xff\xfe\x00", b"[" * 100_000])
def test_what_is_no_json_is_repeated(content):
    got, calls, _ = get([httpx.Response(200, content=content)])
    assert got == {"ok": True}
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InputError), (401, AuthenticationError), (403, AuthenticationError), (404, NotFoundError)],
)
def test_a_lasting_failure_is_not_repeated(status, kind):
    got, calls, _ = get([answer(status)])
    assert isinstance(got, kind)
    assert len(calls) == 1


def test_the_service_may_ask_for_time():
    assert get([answer(429, Retry_After="17")])[2] == pytest.approx(17, abs=1)
    dated = answer(503, Retry_After="Wed, 21 Oct 2026 07:28:30 GMT", Date="Wed, 21 Oct 2026 07:28:00 GMT")
    assert get([dated])[2] == pytest.approx(30, abs=1)


def test_repeating_has_an_end():
    got, _, took = get([answer(503)] * 10_000, call_deadline=60.0)
    assert isinstance(got, UnreachableError)
    assert "tries" in str(got)
    assert 45 < took <= 60
    got, calls, _ = get([answer(429, Retry_After="86400")], call_deadline=60.0)
    assert isinstance(got, UnreachableError)
    assert len(calls) == 1


@pytest.mark.parametrize(
    "answered",
    [httpx.ConnectError("Connection refused"), httpx.ReadError("reset by peer"), httpx.Response(200, text="<html>")],
    ids=["nothing", "no HTTP", "another server"],
)
def test_a_host_where_no_service_ever_answered_is_given_up_soon(answered):
    got, calls, took = get([answered] * 99)
    assert isinstance(got, UnreachableError)
    assert len(calls) == 5
    assert took < 10


def test_a_reply_that_never_ends_is_given_up():
    async def slow(_request):
        await asyncio.sleep(1e6)

    async def go():
        api = Api(IonQSettings(key=KEY, url=URL, timeout=3.0, call_deadline=20.0), httpx.MockTransport(slow))
        with pytest.raises(UnreachableError, match="too long"):
            await api.get("/jobs", read=lambda body: body)
        return asyncio.get_running_loop().time()

    assert run_virtual(go()) < 30


@given(st.integers(1, 10_000), st.floats(0, 0.999))
def test_back_off_has_full_jitter(attempt, share):
    assert 0 <= back_off(attempt, share) <= LONGEST_DELAY
    assert back_off(attempt, 0) == 0


@pytest.mark.parametrize("text", ["soon", "", "-5", "1e9", "nan"])
def test_an_odd_retry_after_is_ignored(text):
    assert retry_after({"retry-after": text}) is None


def test_a_bucket_bursts_then_paces_and_halves_on_429():
    pace = Bucket(10.0, 5, 0.0)
    assert pace.wait(0.0) == 0.0

    async def take(count):
        for _ in range(count):
            await mine.take()
        return asyncio.get_running_loop().time()

    async def paced():
        nonlocal mine
        mine = Bucket(10.0, 5, 0.0)
        return await take(25)

    async def throttled():
        nonlocal mine
        mine = Bucket(10.0, 5, 0.0)
        for _ in range(9):  # calls that were under way together count once
            mine.throttled(0.0, 2.0)
        assert mine.rate == 5.0
        first = await take(1)
        return first, await take(1) - first, mine

    mine = pace
    assert run_virtual(paced()) == pytest.approx(2.0)
    first, second, mine = run_virtual(throttled())
    assert first == pytest.approx(2.0)
    assert 0 <= second <= 0.2
    mine.wait(1000.0)
    assert mine.rate == 10.0


def test_one_bucket_serves_all_backends_of_a_key():
    async def go():
        one, same = (bucket(SecretStr("k"), URL, 10.0, 5) for _ in range(2))
        other = bucket(SecretStr("j"), URL, 10.0, 5)
        elsewhere = bucket(SecretStr("k"), "http://other/v0.4", 10.0, 5)
        slower = bucket(SecretStr("k"), URL, 2.0, 5)
        return one is same, one is other, one is elsewhere, slower is one, one.nominal

    assert run_virtual(go()) == (True, False, False, True, 2.0)


def test_429_slows_every_call_down():
    service = Scripted(duration=30.0)
    service.script = {"GET": ["429"] * 3}
    far = backend(service)

    async def go():
        await far.run_async([job(3)])
        return far._link().api._pace

    pace = run_virtual(go())
    assert pace.nominal == 30.0
    assert pace._halved_at > 0


def test_the_service_s_clock_is_bounded_from_both_sides():
    clock = ServiceClock()
    assert clock.earliest(5.0) is None
    clock.note(None, 1.0)
    clock.note(1000.0, 10.0)
    clock.note(1003.0, 12.0)
    assert clock.earliest(20.0) == 20 + 990 - MARGIN
    assert clock.epoch(20.0, 0.0) == 20 + 991


@pytest.mark.parametrize(
    ("text", "at"),
    [("1970-01-01T00:01:00Z", 60.0), ("1970-01-01T00:01:00.500+00:00", 60.5), (60, 60.0), ("x", None), (None, None)],
)
def test_times_are_read(text, at):
    assert seconds(text) == at


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {"statusCode": 400, "error": "Bad Request", "message": "no good", "validation": {"keys": ["shots"]}},
            "no good (shots)",
        ),
        ({"code": "X", "message": "m"}, "m"),
        ({"error": {"type": "t", "message": "inner"}}, "inner"),
        ({"error": "Bad"}, "Bad"),
        ("<html>\n gateway  </html>", "<html> gateway </html>"),
        (None, "no reason given"),
        ({}, "no reason given"),
        ({"other": 1}, '{"other": 1}'),
        ([1, 2], "[1, 2]"),
    ],
)
def test_error_bodies_are_read_in_every_shape(body, said):
    assert text_of(body) == said


def caused(kind, cause):
    error = kind("outer")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (caused(httpx.ConnectError, ssl.SSLCertVerificationError("self-signed")), "certificate is not trusted"),
        (caused(httpx.ConnectError, ssl.SSLError("WRONG_VERSION_NUMBER")), "http or https"),
        (caused(httpx.ConnectError, socket.gaierror(-2, "Name or service not known")), "spelling"),
        (httpx.ConnectError("refused"), "address and port"),
        (httpx.ConnectTimeout("t"), "address and port"),
        (httpx.ReadTimeout("t"), "too long"),
        (TimeoutError(), "too long"),
        (httpx.ReadError("reset"), "try again"),
    ],
)
def test_unreachable_says_why_and_what_to_do(error, remedy):
    got = unreachable(error, "GET /jobs", URL)
    assert isinstance(got, UnreachableError)
    assert remedy in str(got)
    assert URL in str(got)


def test_a_broken_certificate_is_not_tried_again():
    got, calls, _ = get([caused(httpx.ConnectError, ssl.SSLCertVerificationError("self-signed"))] * 9)
    assert isinstance(got, UnreachableError)
    assert len(calls) == 1


def test_a_url_that_cannot_be_called_is_an_input_error():
    settings = IonQSettings(key=KEY, url="http://[::1/v0.4")

    async def go():
        with pytest.raises(InputError, match="IONQ_API_URL"):
            await Api(settings).get("/jobs", read=lambda body: body)

    run_virtual(go())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 418, 422, 429, 500, 503])
def test_a_refusal_is_one_line_with_a_remedy(status):
    text = str(refused(status, {"message": "said\nso"}, "POST /jobs"))
    assert "\n" not in text
    assert f"got {status}: said so; " in text


class Echo(Scripted):
    """Repeats the key in its errors, as a careless gateway might."""

    def _broken(self, fault):
        return httpx.Response(int(fault), json={"message": f"the header was: apiKey {KEY}"})


def test_the_key_is_said_nowhere(caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "asyncio", "hpack", "q_store"):
        caplog.set_level(logging.DEBUG, logger=name)
    service = Echo()
    service.script = {"POST /jobs": ["503", "429"], "GET": ["500"]}
    far = backend(service)
    run(service, job(3))
    told = [repr(far), str(far.settings), repr(far.settings), far.settings.model_dump_json(), repr(vars(far))]
    told.append(repr(pickle.loads(pickle.dumps(far.capabilities))))  # noqa: S301  # our own bytes
    for fault in ("400", "401", "404", "413", "418"):
        service.script = {"POST /jobs": [fault] * 9}
        with pytest.raises(QStoreError) as caught:
            run(service, job(3))
        stream = io.StringIO()
        traceback.print_exception(caught.value, file=stream)
        told += [repr(caught.value), str(caught.value), stream.getvalue()]
    (tmp_path / "log").write_text(caplog.text)
    assert any("HTTP Request" in record.message for record in caplog.records)
    assert all(KEY not in text for text in [*told, caplog.text])


@pytest.mark.socket
def test_the_key_is_in_no_debug_log_of_a_real_connection(caplog):
    caplog.set_level(logging.DEBUG)

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def go():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        api = Api(IonQSettings(key=KEY, url=f"http://127.0.0.1:{port}/v0.4"))
        with pytest.raises(AuthenticationError):
            await api.get("/jobs", read=lambda body: body)
        await api.aclose()
        server.close()
        await server.wait_closed()

    asyncio.run(go())
    assert any(record.name.startswith("httpcore") for record in caplog.records)
    assert KEY not in caplog.text
