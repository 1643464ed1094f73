"""Elsewhere: trainings told to TensorBoard, to MLflow, or to any Python callable.

    with TensorBoard("curves") as board:
        model.fit(x, y, sinks=[board])

A tracker is a sink of `q_store.events` with a thread of its own: the training never waits for it, and goes on as it
would without when it fails. See docs/trackers.md.
"""

from q_store.trackers.calls import Calls
from q_store.trackers.mlflow import MLflow
from q_store.trackers.tensorboard import TensorBoard
from q_store.trackers.tracker import Tracker

__all__ = ["Calls", "MLflow", "TensorBoard", "Tracker"]
