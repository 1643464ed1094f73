"""From the files of a run to messages for the page, each with what is new to its reader."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from q_store.apps.dashboard.curve import NOTHING, Mark
from q_store.apps.dashboard.facts import Facts
from q_store.apps.dashboard.lanes import UNSEEN, LaneMark
from q_store.apps.dashboard.view import View
from q_store.apps.history import History
from q_store.errors import QStoreError
from q_store.events.wording import plain

EVERY = 0.25
"""Seconds between two looks at the files."""
CHUNK = 2_000
"""Events that are taken in at a time: the loop answers others in between."""
PATIENCE = 0.5
"""Seconds between two messages while there is more to take in."""
SILENCE = 10.0
"""Seconds after which a reader hears that there is nothing new; else a broken connection would not be noticed."""


class Feed:
    """Keeps the view of one run up to date; all readers share it.

    Args:
        folder: of the run.
        beside: whether there is a page only as long as the training lasts.
    """

    def __init__(self, folder: Path, *, beside: bool = False) -> None:
        self.view = View()
        self.folder = folder
        self._beside = beside
        self._ending = self._ended = False
        self._history, self._facts = History(folder), Facts(folder)
        self._size = -1
        self._number, self._shown = 0, self.view.sections()
        self._told = 0.0
        self._sections: dict[str, str] = {}
        self._news = asyncio.Condition()
        self._turn = 0

    @property
    def damaged(self) -> int:
        """Events that could not be read."""
        return self._history.damaged

    def end(self) -> None:
        """Let every reader hear that nothing more comes; also in a signal handler."""
        self._ending = True

    async def watch(self) -> None:
        """Look at the files until cancelled."""
        while True:
            if not await self.look():
                await asyncio.sleep(EVERY)

    async def look(self) -> bool:
        """Take in what is new, some of it; whether there is more."""
        more, trouble, ending = False, "", self._ending
        try:
            more = await self._read()
        except QStoreError as error:
            trouble = plain(error)
        if more and time.monotonic() - self._told < PATIENCE:
            return True
        if self.view.number != self._number:
            self._number, self._shown = self.view.number, self.view.sections()
        sections = {**self._shown, **await asyncio.to_thread(self._facts.look)}
        sections["trouble"] = {"text": trouble, "damaged": self._history.damaged}
        sections["over"] = {"training": self._beside} if ending else None
        if ending and self._beside:  # its process waits for us
            sections["run"]["alive"] = False
        self._sections = {name: json.dumps(value, ensure_ascii=False) for name, value in sections.items()}
        self._told = time.monotonic()
        async with self._news:
            self._turn, self._ended = self._turn + 1, ending
            self._news.notify_all()
        return more

    async def _read(self) -> bool:
        size = await asyncio.to_thread(_size, self._history.path)
        if size == self._size:
            return False
        entries = await asyncio.to_thread(self._history.read, self.view.number, CHUNK)
        for entry in entries:
            self.view.take(entry)
        if len(entries) < CHUNK:
            self._size = size
            return False
        return True

    async def messages(self) -> AsyncIterator[str]:
        """Server-sent events for one reader: everything first, then what changes."""
        yield "retry: 1000\n\n"
        reader, turn, last = Reader(), 0, time.monotonic()  # 0: before the first look
        while True:
            async with self._news:
                await self._news.wait_for(lambda seen=turn: self._turn != seen)  # type: ignore[misc]
                turn, ended = self._turn, self._ended
            message = reader.news(self.view, self._sections)
            if message:
                last = time.monotonic()
                yield f"id: {self.view.number}\ndata: {message}\n\n"
            if ended:
                return
            if not message and time.monotonic() - last > SILENCE:
                last = time.monotonic()
                yield ": nothing new\n\n"


class Reader:
    """What one reader has already."""

    def __init__(self) -> None:
        self._marks: dict[str, Mark] = {}
        self._lanes: LaneMark = UNSEEN
        self._sections: dict[str, str] = {}
        self._number = -1

    def news(self, view: View, sections: dict[str, str]) -> str:
        """A JSON object with what is new to it; empty where nothing is."""
        body: dict[str, Any] = {}
        changed = {name: text for name, text in sections.items() if self._sections.get(name) != text}
        if view.number != self._number:
            for name, curve in (("steps", view.steps), ("epochs", view.epochs), ("looks", view.recipe.looks)):
                at, rows, mark = curve.since(self._marks.get(name, NOTHING))
                self._marks[name] = mark
                if rows or not at:
                    body[name] = {"names": curve.names, "at": at, "rows": rows}
        if not changed and not body:
            return ""
        lanes = view.crew.lanes
        if view.number != self._number and lanes.began is not None:
            members, everything, self._lanes = lanes.since(self._lanes)
            about = {"began": lanes.began, "width": lanes.width, "all": everything, "members": members}
            changed = {**changed, "lanes": json.dumps(about)}
        parts = [f"{json.dumps(name)}: {text}" for name, text in changed.items()]
        head = {"whole": self._number < 0, "number": view.number, "now": time.time(), "curves": body}
        self._number, self._sections = view.number, dict(sections)
        return json.dumps(head, ensure_ascii=False)[:-1] + "".join(f", {part}" for part in parts) + "}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
