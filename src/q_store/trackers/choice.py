"""Trackers by name, as a command or a file names them: `tensorboard[:DIR]`, `mlflow[:URI]`, `package.module:function`.

A name is checked when it is read, so that a training does not begin whose tracker cannot be had.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from q_store.errors import ConfigError, suggestion
from q_store.events import Sink
from q_store.trackers.calls import Calls
from q_store.trackers.mlflow import MLflow
from q_store.trackers.tensorboard import TensorBoard
from q_store.trackers.tracker import Tracker, hidden

TENSORBOARD, MLFLOW = "tensorboard", "mlflow"
FORMS = "tensorboard[:DIR], mlflow[:URI] or package.module:function"
OWN = "tensorboard"
"""Folder inside that of the run, where no other is named."""


@dataclass(frozen=True)
class Chosen:
    """A tracker that can be opened.

    Attributes:
        kind: `tensorboard`, `mlflow`, or empty for a function. rest: what stands behind the colon; it may hold a
            password. function: that is called.
    """

    kind: str
    rest: str = ""
    function: Sink | None = None

    @property
    def text(self) -> str:
        """As it was given."""
        return ":".join(each for each in (self.kind, self.rest) if each)

    def opened(
        self,
        run: Path,
        *,
        run_id: str | None = None,
        artifacts: Sequence[Path] = (),
        tell: Callable[[str], None] | None = None,
    ) -> Tracker:
        """The tracker of the run in the folder `run`. Raises as `TensorBoard` and `MLflow`."""
        if self.kind == TENSORBOARD:
            return TensorBoard(Path(self.rest) / run.name if self.rest else run / OWN, tell=tell)
        if self.kind == MLFLOW:
            return MLflow(self.rest or None, None, run.name, run_id=run_id, artifacts=artifacts, tell=tell)
        assert self.function is not None  # noqa: S101  # there are three kinds
        return Calls(self.function, self.rest, tell=tell)


def chosen(text: str) -> Chosen:
    """The tracker of that name.

    Raises:
        ConfigError: for one that is unknown, whose package is missing, or a function that cannot be called.
    """
    kind, _, rest = text.strip().partition(":")
    if kind in {TENSORBOARD, MLFLOW}:
        if find_spec(kind) is None:
            raise ConfigError(
                f"expected the package {kind} for --track {kind}, got none; pip install 'q-store[{kind}]'"
            )
        return Chosen(kind, rest)
    if not kind or not rest:
        hint = suggestion(kind, (TENSORBOARD, MLFLOW)) if kind else ""
        raise ConfigError(f"expected a tracker, {FORMS}, got {hidden(text)!r}{hint}")
    return Chosen("", f"{kind}:{rest}", _function(kind, rest))


def _function(module: str, name: str) -> Sink:
    """What a module of the user calls so."""
    if os.getcwd() not in sys.path:  # noqa: PTH109  # as `python` has it, and the command has not
        sys.path.append(os.getcwd())  # noqa: PTH109
    try:
        found: object = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # noqa: BLE001  # the module is the user's
        close = suggestion(module, (TENSORBOARD, MLFLOW))
        hint = close if "did you mean" in close else ""
        raise ConfigError(
            f"expected a tracker, {FORMS}, got {hidden(f'{module}:{name}')!r}: {hidden(error)}{hint}"
        ) from None
    if not callable(found) or inspect.isclass(found) or inspect.iscoroutinefunction(found):
        what = "a class" if inspect.isclass(found) else "a coroutine" if callable(found) else type(found).__name__
        raise ConfigError(f"expected {module}:{name} to be a function of an event, got {what}")
    return found
