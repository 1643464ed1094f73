"""Runs for MLflow: parameters, metrics, tags, final figures and files, through MLflow's own client."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from q_store.errors import ConfigError, UnreachableError
from q_store.events import ProcessEnded, RunDescribed, RunFinished, RunStarted
from q_store.events.aside import Timed
from q_store.trackers.series import Point
from q_store.trackers.tracker import Tracker, hidden

LOCAL = "sqlite:///mlflow.db"
"""Where runs go that no address is named for, by MLflow's own choice."""
EXPERIMENT = "q-store"
PATIENCE = 30.0
"""Seconds that the end of a training waits: files are sent then."""
REACH = 5.0
"""Seconds in which a server must answer, before the training."""
BATCH = 150
"""Events that become one request; MLflow takes at most 1,000 values in one."""
VALUES = 1_000
LONGEST = 5_000
"""Characters of a tag or a parameter."""
DECISION = "decision."
KEPT = 200
"""Decisions that become tags."""
SIZES = ("circuit_parameters", "readout_parameters", "rows", "validation_rows", "epochs", "steps")
"""Of `RunStarted`: parameters, unless the description of the run has them."""
STATUS = {"completed": "FINISHED", "failed": "FAILED"}


class MLflow(Tracker):
    """Writes a run of MLflow: parameters and tags as they are told, metrics by step and epoch, files at the end.

    Needs the extra `mlflow`. MLflow's own report of its usage to its makers is switched off, unless
    MLFLOW_DISABLE_TELEMETRY says otherwise. User and password belong into MLFLOW_TRACKING_USERNAME and
    MLFLOW_TRACKING_PASSWORD; those of an address are not shown anywhere.

    Args:
        tracking_uri: a server, or a database such as `sqlite:///mlflow.db`; None: MLFLOW_TRACKING_URI, else that one.
        experiment: is made where it does not exist; None: MLFLOW_EXPERIMENT_NAME, else `q-store`.
        run_name: None for one that MLflow chooses.
        run_id: a run to go on with. artifacts: files that are sent at the end, those that there are then.
        parameters: of the run, beside what events tell of it.
        tell: as `Tracker`.

    Attributes:
        run_id: of the run. uri: where it is, without user and password.

    Raises:
        ConfigError: without the package, for an address that MLflow does not know, or a run that does not exist.
        UnreachableError: for a server that does not answer.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        experiment: str | None = None,
        run_name: str | None = None,
        *,
        run_id: str | None = None,
        artifacts: Sequence[str | Path] = (),
        parameters: Mapping[str, object] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        uri = address(tracking_uri)
        self.uri = hidden(uri)
        self._client = _client(uri)
        self._status, self._said = "KILLED", 0
        self.run_id = self._begun(experiment, run_name, run_id)
        self._artifacts = [Path(each) for each in artifacts]
        self._parameters = dict(parameters or {})
        super().__init__(f"MLflow({self.uri})", tell=tell, most=BATCH, patience=PATIENCE)

    def write(self, told: Sequence[Timed]) -> None:
        """One request for the metrics of all of them."""
        from mlflow.entities import Metric

        metrics: list[Any] = []
        for at, event in told:
            if isinstance(event, RunDescribed):
                self._describe(event.parameters, event.tags)
            elif isinstance(event, RunStarted):
                self._describe({**self._parameters, **{name: getattr(event, name) for name in SIZES}})
            elif isinstance(event, ProcessEnded):
                self._status = STATUS.get(event.status, "KILLED")
            elif isinstance(event, RunFinished):
                self._status = "FINISHED"
            point = self._series.take(event)
            if point is not None:
                metrics += [Metric(tag, value, int(1000 * at), point.step) for tag, value in point.values.items()]
                self._say(point)
        for first in range(0, len(metrics), VALUES):
            self._client.log_batch(self.run_id, metrics=metrics[first : first + VALUES])

    def end(self) -> None:
        """Say how the run ended, and send the files."""
        self._client.set_terminated(self.run_id, self._status)
        for path in self._artifacts:
            if path.is_file():
                self._client.log_artifact(self.run_id, str(path))

    def _begun(self, experiment: str | None, name: str | None, run_id: str | None) -> str:
        try:
            if run_id is not None:
                self._client.update_run(run_id, status="RUNNING")
                self._said = sum(name.startswith(DECISION) for name in self._client.get_run(run_id).data.tags)
                return run_id
            wanted = experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
            found = self._client.get_experiment_by_name(wanted)
            own = self._client.create_experiment(wanted) if found is None else found.experiment_id
            return str(self._client.create_run(own, run_name=name).info.run_id)
        except Exception as error:  # noqa: BLE001  # whatever it raises: the training has not begun
            raise ConfigError(
                f"expected to begin a run of MLflow at {self.uri}, got: {hidden(error)}; see docs/trackers.md"
            ) from None

    def _describe(self, parameters: Mapping[str, object], tags: Mapping[str, str] | None = None) -> None:
        from mlflow.entities import Param, RunTag

        before = self._client.get_run(self.run_id).data.params  # which cannot change: a run that goes on has them
        new = [Param(name, str(value)[:LONGEST]) for name, value in parameters.items() if name not in before]
        own = [RunTag(name, text[:LONGEST]) for name, text in (tags or {}).items()]
        self._client.log_batch(self.run_id, params=new, tags=own)

    def _say(self, point: Point) -> None:
        if point.text and self._said < KEPT:
            self._said += 1
            self._client.set_tag(self.run_id, f"{DECISION}{self._said:03d}", f"step {point.step}: {point.text}")


def address(uri: str | None) -> str:
    """Where a run goes that is to go to `uri`, or where none is named."""
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or LOCAL


def _client(uri: str) -> Any:
    """A client of MLflow that reaches its server."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise ConfigError(
            f"expected the package mlflow, got none that works ({hidden(error)}); pip install 'q-store[mlflow]'"
        ) from None
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if uri.startswith(("http://", "https://")):
        _reach(uri)
    try:
        return MlflowClient(tracking_uri=uri)
    except Exception as error:  # noqa: BLE001  # whatever it raises: the training has not begun
        raise ConfigError(
            f"expected an address of MLflow such as {LOCAL} or http://127.0.0.1:5000, got {hidden(uri)}: "
            f"{hidden(error)}"
        ) from None


def _reach(uri: str) -> None:
    """Ask the server once: MLflow itself would try for minutes. Raises UnreachableError and ConfigError."""
    import httpx

    user = os.environ.get("MLFLOW_TRACKING_USERNAME")
    login = None if user is None else (user, os.environ.get("MLFLOW_TRACKING_PASSWORD", ""))
    try:
        answer = httpx.get(f"{uri.rstrip('/')}/health", auth=login, timeout=REACH)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnreachableError(
            f"expected a server of MLflow at {hidden(uri)}, got: {hidden(error) or type(error).__name__}; start it "
            "with: mlflow server, or leave the tracker out"
        ) from None
    if answer.status_code in {401, 403}:
        raise ConfigError(
            f"expected user and password that {hidden(uri)} accepts, got status {answer.status_code}; set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    if answer.status_code >= 500:
        raise UnreachableError(f"expected a server of MLflow at {hidden(uri)}, got status {answer.status_code}")
