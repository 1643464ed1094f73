"""Everything that happens in a run, as lines of `events.jsonl` in its folder: written while it runs, read anew.

    {"format": 1, "q_store": "0.1.0", "run": "compact-ionq"}
    {"n": 1, "t": 1790000000.25, "kind": "RunStarted", "values": {"epochs": 20, ...}}

Numbers count from 1 and go on where a resumed run does; times are `events.moment`. Training pays for putting an event
into a queue and nothing else: a thread writes. Of steps that come quicker than `BETWEEN` one in that time is written,
and the last one before anything else. What a full queue or a disk that refuses loses is counted, and never stops the
training.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from q_store import __version__
from q_store.errors import RunError
from q_store.events import (
    KINDS,
    EpochDone,
    Event,
    Looked,
    RecipeStarted,
    RunStarted,
    Sink,
    StageStarted,
    StepDone,
    moment,
)
from q_store.events.aside import BETWEEN, EVERY, LIMIT, Aside, Timed

FORMAT = 1
EVENTS = "events.jsonl"
EPOCHS, FINISH = "epochs", "finish"
"""Stages of a training; those of recipes have other names."""
LATEST = 1e11
"""Seconds since 1970 that a time is before."""
_MARK = 1024
"""Of every so many entries a reader remembers where it begins."""


def _types(annotation: str) -> tuple[type, ...]:
    """What the values of a field are in JSON."""
    first, _, rest = annotation.partition(" | ")
    others = (type(None),) if rest else ()
    return {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}.get(
        first, (list,) if first.startswith("tuple") else (dict,)
    ) + others


_NAMES = {kind: tuple(each.name for each in fields(kind)) for kind in KINDS.values()}
_NEEDED = {
    name: frozenset(f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING)
    for name, kind in KINDS.items()
}
_TYPES = {name: {f.name: _types(str(f.type)) for f in fields(kind)} for name, kind in KINDS.items()}
_VALUES = {kind: attrgetter(*names) for kind, names in _NAMES.items() if names}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line.

    Attributes:
        number: from 1. time: seconds since 1970. kind: name of a class of `q_store.events`. values: its fields.
    """

    number: int
    time: float
    kind: str
    values: Mapping[str, Any]


class HistoryWriter:
    """A sink that writes events into the folder of a run; close it, or use it in `with`.

    Args:
        folder: of the run; what is there already is kept.
        clock: seconds since 1970.
        every: seconds between two writings. between: seconds between two steps that are written, at least.
        beside: get every event too.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = moment,
        every: float = EVERY,
        between: float = BETWEEN,
        beside: Sequence[Sink] = (),
    ) -> None:
        self.path = folder / EVENTS
        self._aside = Aside(self._keep, clock=clock, every=every, between=between, limit=LIMIT, name="q-store history")
        self._beside = tuple(beside)
        self._refusal = ""
        self._number: int | None = None

    @property
    def lost(self) -> int:
        """Events that could not be written."""
        return self._aside.lost

    def __call__(self, event: Event) -> None:
        """Take in one event; in any thread."""
        self._aside(event)
        for sink in self._beside:
            sink(event)

    def flush(self) -> None:
        """Write what waits."""
        self._aside.flush()

    def close(self) -> None:
        """Write what waits, and end; warns where events are lost."""
        self._aside.close()
        if self.lost:
            why = self._refusal or "more than could be written"
            warnings.warn(
                f"{self.path}: expected to write all events, {self.lost} are lost: {why}", RuntimeWarning, stacklevel=2
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keep(self, lines: Sequence[Timed]) -> bool:
        """Whether they are written; perhaps there is room again later."""
        try:
            self._write(lines)
        except (OSError, RunError) as error:
            self._refusal = (isinstance(error, OSError) and error.strerror) or str(error)
            return False
        self._refusal = ""
        return True

    def _write(self, lines: Sequence[Timed]) -> None:
        """All of the lines, or none of them."""
        number = self._begin() if self._number is None else self._number
        text = "".join(_line(number + k, at, event) for k, (at, event) in enumerate(lines, 1)).encode()
        size = self.path.stat().st_size
        try:
            with self.path.open("ab") as file:
                file.write(text)
        except OSError:
            with suppress(OSError):
                os.truncate(self.path, size)
            raise
        self._number = number + len(lines)

    def _begin(self) -> int:
        """The number of the last entry that is there; makes the file, and mends one whose writer was killed."""
        content = _last_byte(self.path)
        if content not in {b"", b"\n"} and _is_one_line(self.path):  # not even its first line was complete
            content = b""
        if not content:
            header = {"format": FORMAT, "q_store": __version__, "run": self.path.parent.name}
            self.path.write_bytes(json.dumps(header).encode() + b"\n")
            return 0
        if content != b"\n":
            with self.path.open("ab") as file:
                file.write(b"\n")
        last = 0
        for entry in History(self.path.parent).read():
            last = entry.number
        return last


class History:
    """The events of a run, as far as they are written; a file that grows is read on from where it was.

    Args:
        folder: of the run; without events it has none.
    """

    def __init__(self, folder: Path) -> None:
        self.path = Path(folder) / EVENTS
        self.damaged = 0
        """Lines that could not be read, or are of a kind that this version does not know."""
        self._numbers, self._offsets = [0], [0]
        """Marks: behind which number the line at which offset comes; the last one is how far was ever read."""
        self._counted = 0
        """Up to which offset damaged lines are counted."""

    @property
    def header(self) -> Mapping[str, Any]:
        """The first line: `format`, `q_store` and `run`; empty where nothing is written yet.

        Raises RunError for a file of another format.
        """
        try:
            with self.path.open("rb") as file:
                return self._header(file)
        except FileNotFoundError:
            return {}

    def read(self, after: int = 0, limit: int | None = None) -> list[Entry]:
        """The entries behind number `after`, at most `limit`, in order.

        Takes as long as what is new: of every thousandth entry the place is remembered.

        Raises RunError for a file of another format.
        """
        try:
            with self.path.open("rb") as file:
                if not self._header(file):
                    return []
                found: list[Entry] = []
                for entry in self._entries(file, after):
                    if limit is not None and len(found) >= limit:
                        break
                    found.append(entry)
                return found
        except FileNotFoundError:
            return []

    def _header(self, file: BinaryIO) -> Mapping[str, Any]:
        first = file.readline()
        if not first.endswith(b"\n"):  # nothing, or it is just being written
            return {}
        header = _object(first)
        if header is None or header.get("format") != FORMAT:
            got = "no readable first line" if header is None else f"format {header.get('format')!r}"
            raise RunError(
                f"{self.path}: expected events of format {FORMAT}, got {got}; use the q-store that wrote them"
            )
        return header

    def _entries(self, file: BinaryIO, after: int) -> Iterator[Entry]:
        place = bisect_right(self._numbers, after) - 1
        offset, number = self._offsets[place], self._numbers[place]
        if offset:
            file.seek(offset)
        offset = file.tell()
        for line in file:
            if not line.endswith(b"\n"):  # it is just being written
                break
            entry = _entry(line)
            offset += len(line)
            if entry is None or entry.number <= number:
                self._count(offset, entry)
                continue
            number = entry.number
            self._mark(number, offset)
            if number > after:
                yield entry

    def _count(self, offset: int, entry: Entry | None) -> None:
        if offset > self._counted:
            self._counted = offset
            self.damaged += entry is None

    def _mark(self, number: int, offset: int) -> None:
        if number <= self._numbers[-1]:
            return
        if len(self._numbers) > 1 and number - self._numbers[-2] < _MARK:
            self._numbers[-1], self._offsets[-1] = number, offset
        else:
            self._numbers.append(number)
            self._offsets.append(offset)


def current(entries: Iterable[Entry]) -> list[Entry]:
    """Without the steps, epochs and looks that a resumed run did again: of those the last ones count."""
    kept: list[tuple[str, Entry]] = []
    stage = ""
    for entry in entries:
        again = _again(entry)
        if again is not None:
            kept = [each for each in kept if not again(*each)]
        stage = str(entry.values["stage"]) if entry.kind == StageStarted.__name__ else stage
        kept.append((stage, entry))
    return [entry for _, entry in kept]


def _again(start: Entry) -> Callable[[str, Entry], bool] | None:
    """Which entries, each with its stage, come again behind this one; None: it is no beginning.

    A training goes on behind its last checkpoint, but begins its finish anew, and a recipe all of its own steps.
    """
    values = start.values
    if start.kind == RunStarted.__name__:
        step = values.get("first_step", 0)
        epoch = step * values["epochs"] // max(1, values["steps"])
        last = {StepDone.__name__: ("step", step), EpochDone.__name__: ("epoch", epoch)}

        def behind(stage: str, entry: Entry) -> bool:
            name, done = last.get(entry.kind, ("", 0))
            return bool(name) and stage in {"", EPOCHS} and entry.values[name] > done

        return behind
    if start.kind == StageStarted.__name__ and values["stage"] == FINISH:
        return lambda stage, entry: stage == FINISH and entry.kind in {StepDone.__name__, EpochDone.__name__}
    if start.kind == RecipeStarted.__name__:
        return lambda stage, entry: (
            entry.kind == Looked.__name__ or (entry.kind == StepDone.__name__ and stage not in {EPOCHS, FINISH})
        )
    return None


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def _line(number: int, at: float, event: Event) -> str:
    kind = type(event)
    names = _NAMES[kind]
    values = () if not names else _VALUES[kind](event) if len(names) > 1 else (_VALUES[kind](event),)
    body = {"n": number, "t": round(at, 6), "kind": kind.__name__, "values": dict(zip(names, values, strict=True))}
    try:
        return _encode(body) + "\n"
    except (ValueError, TypeError):
        return _encode(_plain(body)) + "\n"


def _plain(value: Any) -> Any:
    """As JSON knows it: no infinities, numbers of NumPy as Python's."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _entry(line: bytes) -> Entry | None:
    """The entry of a line; None for one that is damaged or unknown."""
    match _object(line):
        case {"n": int(number), "t": int(at) | float(at), "kind": str(kind), "values": dict(values)} if (
            0 <= at < LATEST
        ):
            types = _TYPES.get(kind)
        case _:
            return None
    if types is None or not _NEEDED[kind] <= values.keys():
        return None
    right = all(isinstance(values[name], own) for name, own in types.items() if name in values)
    return Entry(number, float(at), kind, values) if right else None


def _last_byte(path: Path) -> bytes:
    """Empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 1))
            return file.read(1)
    except FileNotFoundError:
        return b""


def _is_one_line(path: Path) -> bool:
    with path.open("rb") as file:
        return not file.readline().endswith(b"\n")
