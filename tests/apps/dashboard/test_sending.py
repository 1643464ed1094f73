"""How the page goes out: compressed, files only where they are lacking, to so many readers and slow ones."""

import asyncio
import gzip
import json
import zlib

import httpx
import pytest
from dashboard_runs import folder_of_run, step, write

from q_store.apps.dashboard.app import PAGE, application
from q_store.apps.dashboard.feed import Feed
from q_store.apps.dashboard.sending import READERS

TOKEN = "t" * 32
KNOWN = {"authorization": f"Bearer {TOKEN}"}


class Reader:
    """Asks for the events as a server would for a client, and takes what comes only when told to."""

    def __init__(self, app, accept="", method="GET"):
        headers = [(b"host", b"127.0.0.1:8080"), (b"authorization", f"Bearer {TOKEN}".encode())]
        headers += [(b"accept-encoding", accept.encode())] if accept else []
        self._scope = {
            "type": "http", "method": method, "path": "/events", "raw_path": b"/events", "query_string": b"",
            "headers": headers, "http_version": "1.1", "scheme": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
        }  # fmt: skip
        self._app, self.sent, self.status, self.headers = app, [], 0, {}
        self.ready, self.gone = asyncio.Event(), asyncio.Event()
        self.ready.set()

    async def __call__(self):
        await self._app(self._scope, self._receive, self._send)

    async def _receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], {k.decode(): v.decode() for k, v in message["headers"]}
            return
        await self.ready.wait()
        self.sent.append(message.get("body", b""))
        await asyncio.sleep(0)

    @property
    def messages(self):
        return [each for each in self.sent if each.startswith(b"id:")]


def watching(folder, work):
    """Do `work(feed, app)` without a server."""

    async def do():
        feed = Feed(folder)
        await asyncio.wait_for(work(feed, application(feed, TOKEN, "127.0.0.1", 8080)), 30)

    asyncio.run(do())


async def _turn(feed):
    while await feed.look():
        pass
    for _ in range(20):
        await asyncio.sleep(0)


def test_what_is_sent_packed_can_be_read_message_by_message(run):
    async def work(feed, app):
        reader = Reader(app, "gzip, br")
        task = asyncio.create_task(reader())
        unpacker = zlib.decompressobj(31)
        await _turn(feed)
        first = b"".join(map(unpacker.decompress, reader.sent))
        assert reader.headers["content-encoding"] == "gzip"
        assert json.loads(first.partition(b"data: ")[2])["progress"]["step"] == 5
        seen = len(reader.sent)
        write(run, step(6))
        await _turn(feed)
        second = b"".join(map(unpacker.decompress, reader.sent[seen:]))
        assert json.loads(second.partition(b"data: ")[2])["progress"]["step"] == 6
        reader.gone.set()
        await task

    watching(run, work)


def test_a_slow_reader_gets_the_last_state_and_nothing_piles_up(tmp_path):
    folder = folder_of_run(tmp_path / "run")
    write(folder, *map(step, range(1, 201)))

    async def work(feed, app):
        slow, quick = Reader(app), Reader(app)
        tasks = [asyncio.create_task(slow()), asyncio.create_task(quick())]
        await _turn(feed)
        slow.ready.clear()  # takes what is on its way to it, and nothing more
        before = len(slow.messages)
        for k in range(20):
            write(folder, *map(step, range(201 + 20 * k, 221 + 20 * k)))
            await _turn(feed)
        assert len(quick.messages) > 20
        slow.ready.set()
        await _turn(feed)
        late = slow.messages[before:]
        assert len(late) <= 2  # the one that was on its way, and one of all that happened since
        assert json.loads(late[-1].partition(b"data: ")[2])["progress"]["step"] == 600
        for reader in (slow, quick):
            reader.gone.set()
        await asyncio.gather(*tasks)

    watching(folder, work)


def test_one_reader_too_many_is_told_so_until_one_goes(run):
    async def work(feed, app):
        readers = [Reader(app) for _ in range(READERS)]
        tasks = [asyncio.create_task(each()) for each in readers]
        await _turn(feed)
        assert {each.status for each in readers} == {200}
        for method in ("GET", "HEAD"):
            late = Reader(app, method=method)
            await late()
            assert late.status == 503
        assert late.sent == [b""] or b"".join(late.sent).startswith(b"expected at most 32 open pages")
        readers[0].gone.set()
        await tasks[0]
        again = Reader(app)
        tasks.append(asyncio.create_task(again()))
        await _turn(feed)
        assert again.status == 200
        for each in (*readers, again):
            each.gone.set()
        await asyncio.gather(*tasks)

    watching(run, work)


def test_readers_hear_of_the_end_and_are_let_go(run):
    async def work(feed, app):
        reader = Reader(app)
        task = asyncio.create_task(reader())
        await _turn(feed)
        feed.end()
        await _turn(feed)
        await asyncio.wait_for(task, 5)
        assert json.loads(reader.messages[-1].partition(b"data: ")[2])["over"] == {"training": False}

    watching(run, work)


def test_a_look_at_the_events_alone_ends_at_once(run):
    async def work(_feed, app):
        reader = Reader(app, method="HEAD")
        await asyncio.wait_for(reader(), 5)
        assert (reader.status, reader.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")

    watching(run, work)


def ask(run, path, **headers):
    async def call():
        transport = httpx.ASGITransport(application(Feed(run), TOKEN, "127.0.0.1", 8080))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            return await client.get(path, headers={"accept-encoding": "identity", **KNOWN, **headers})

    return asyncio.run(call())


@pytest.mark.parametrize("path", ["/", "/uplot.js", "/page.css"])
def test_files_are_packed_and_come_once(run, path):
    plain, packed = ask(run, path), ask(run, path, **{"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content  # unpacked
    again = ask(run, path, **{"if-none-match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert ask(run, path, **{"if-none-match": '"old"'}).status_code == 200


def test_the_page_is_small_on_its_way():
    files = [each for each in PAGE.iterdir() if each.name.endswith((".html", ".js", ".css", ".svg"))]
    assert sum(len(gzip.compress(each.read_bytes())) for each in files) < 45_000
