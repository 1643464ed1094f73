"""Curves for TensorBoard: an event file, by the protocol buffers of the package `tensorboard`, without TensorFlow."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from q_store.errors import ConfigError
from q_store.events import RunDescribed
from q_store.events.aside import Timed
from q_store.files import refused
from q_store.trackers.series import Point
from q_store.trackers.tracker import Tracker

_numbers = itertools.count()


class TensorBoard(Tracker):
    """Writes curves by step and by epoch, decisions and the description of the run as texts: `tensorboard --logdir`.

    Needs the extra `tensorboard`. A run that goes on writes a further file into the same directory, whose beginning
    says what of the earlier ones is done again.

    Args:
        directory: of this run; is made.
        tell: as `Tracker`.

    Raises:
        ConfigError: without the package. StorageError: for a directory that cannot be written.
    """

    def __init__(self, directory: str | Path, *, tell: Callable[[str], None] | None = None) -> None:
        self._format = _Format()
        self.directory = Path(directory)
        when = f"{time.time():017.6f}"  # readers go by the order of names
        name = f"events.out.tfevents.{when}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._file = self._format.opened(self.directory / name)
        except OSError as error:
            raise refused(self.directory, error) from error
        super().__init__(f"TensorBoard({self.directory.name})", tell=tell)

    def write(self, told: Sequence[Timed]) -> None:
        """Into the file, and on to the disk."""
        for at, event in told:
            if isinstance(event, RunDescribed):
                for title in ("parameters", "tags"):
                    self._file.write(self._format.text(at, 0, f"run/{title}", _table(getattr(event, title))))
                continue
            point = self._series.take(event)
            if point is not None:
                for record in self._records(at, point):
                    self._file.write(record)
        self._file.flush()

    def end(self) -> None:
        """Close the file."""
        self._file.close()

    def _records(self, at: float, point: Point) -> list[bytes]:
        records = [self._format.start(at, point.step)] if point.again else []
        if point.values:
            records.append(self._format.scalars(at, point.step, point.values))
        if point.text:
            records.append(self._format.text(at, point.step, "decisions", point.text))
        return records


class _Format:
    """Records as TensorBoard reads them."""

    def __init__(self) -> None:
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError as error:
            raise ConfigError(
                f"expected the package tensorboard, got none that works ({error}); pip install 'q-store[tensorboard]'"
            ) from None
        self._event, self._summary, self._tensor = event_pb2, summary_pb2, tensor_pb2
        self._shape, self._string, self._writer = tensor_shape_pb2, types_pb2.DT_STRING, RecordWriter

    def opened(self, path: Path) -> Any:
        """A writer of records into a new file, which says its version."""
        writer = self._writer(path.open("xb"))
        writer.write(self._event.Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        writer.flush()
        return writer

    def scalars(self, at: float, step: int, values: Mapping[str, float]) -> bytes:
        """One value of each curve."""
        kind = self._summary.Summary
        own = kind(value=[kind.Value(tag=tag, simple_value=value) for tag, value in values.items()])
        return bytes(self._event.Event(wall_time=at, step=step, summary=own).SerializeToString())

    def text(self, at: float, step: int, tag: str, text: str) -> bytes:
        """For the page of texts, as Markdown."""
        plugin = self._summary.SummaryMetadata.PluginData(plugin_name="text")
        shape = self._shape.TensorShapeProto(dim=[self._shape.TensorShapeProto.Dim(size=1)])
        tensor = self._tensor.TensorProto(dtype=self._string, string_val=[text.encode()], tensor_shape=shape)
        about = self._summary.SummaryMetadata(plugin_data=plugin)
        value = self._summary.Summary.Value(tag=tag, metadata=about, tensor=tensor)
        own = self._summary.Summary(value=[value])
        return bytes(self._event.Event(wall_time=at, step=step, summary=own).SerializeToString())

    def start(self, at: float, step: int) -> bytes:
        """That what an earlier file has at this step and behind it comes again."""
        log = self._event.SessionLog(status=self._event.SessionLog.START)
        return bytes(self._event.Event(wall_time=at, step=step, session_log=log).SerializeToString())


def _table(values: Mapping[str, str]) -> str:
    rows = ["| {} | {} |".format(name, str(value).replace("|", "\\|")) for name, value in values.items()]
    return "\n".join(["| | |", "|---|---|", *rows])
