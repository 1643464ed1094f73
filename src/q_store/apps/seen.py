"""What a model in training takes the validation part for, in `validated.json` of its folder, for those who watch.

The test part is not looked at before the end. The validation rows are evaluated after every epoch anyway.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from q_store.apps.run_folder import VALIDATED
from q_store.apps.tested import drawn
from q_store.models.data import Dataset
from q_store.models.metrics import confusion_matrix

EVERY = 2.0
"""Seconds between two writings, at least."""
SHARE = 0.01
"""Of the time that writing may take."""


class Seen:
    """Hears the outputs of the validation rows.

    Args:
        folder: of the run. data: what it is of. chosen: positions of the rows in the validation part; None for all.
        clock: seconds.
    """

    def __init__(
        self,
        folder: Path,
        data: Dataset,
        chosen: NDArray[Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._data, self._clock = folder / VALIDATED, data, clock
        rows: Any = slice(None) if chosen is None else chosen
        self._x, self._y = data.validation.x[rows], data.validation.y[rows]
        self._next = -np.inf

    def __call__(self, outputs: NDArray[Any]) -> None:
        """Write down outputs[rows, classes], unless that was done a moment ago; a disk that refuses stops nothing."""
        began = self._clock()
        if began < self._next:
            return
        with suppress(OSError):
            self._write(outputs.argmax(axis=1))
        ended = self._clock()
        self._next = ended + max(EVERY, (ended - began) / SHARE)

    def _write(self, predicted: NDArray[Any]) -> None:
        counts = confusion_matrix(self._y, predicted, self._data.n_classes)
        body = {"part": "validation", **drawn(self._data, self._x, self._y, predicted, counts)}
        draft = self._path.with_name(f".{self._path.name}.part")
        draft.write_text(json.dumps(body, ensure_ascii=False), encoding="utf-8")
        os.replace(draft, self._path)  # noqa: PTH105  # not flushed to the disk: it is worth nothing after a crash
