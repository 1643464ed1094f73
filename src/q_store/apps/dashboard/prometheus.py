"""`GET /metrics`: the state of the run for Prometheus, in its text format 0.0.4.

Labels are names of backends, accounts, currencies, shares and states: of a run there are few of them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from q_store.apps.dashboard.facts import Facts
from q_store.apps.dashboard.feed import Feed

PREFIX = "q_store_"
TYPE = "text/plain; version=0.0.4; charset=utf-8"
STATES = ("running", "held", "stopping", "measuring", "completed", "failed", "paused", "stopped")
HEALTH = ("working", "failing", "paused", "probing", "on trial", "barred")
INFO = ("name", "model", "data", "seed", "backend", "target", "recipe", "version")
Sample = tuple[Mapping[str, str], Any]
Family = tuple[str, str, str, Sequence[Sample]]
"""Name without the prefix, `gauge` or `counter`, help, and values by their labels; None: there is none."""


def metrics(feed: Feed) -> Callable[[Request], Awaitable[Response]]:
    """Answers with what a feed knows now."""
    facts = Facts(feed.folder)

    async def answer(_request: Request) -> Response:
        about = await asyncio.to_thread(facts.look)
        state = {**feed.view.sections(), **about, "last": feed.view.last}
        state["events"] = {"number": feed.view.number, "damaged": feed.damaged}
        return Response(exposition(families(state)), media_type=TYPE)

    return answer


def exposition(found: Iterator[Family]) -> str:
    """As text; what has no value is left out."""
    lines = []
    for name, kind, about, samples in found:
        own = [(labels, value) for labels, value in samples if isinstance(value, int | float)]
        if own:
            lines += [f"# HELP {PREFIX}{name} {about}", f"# TYPE {PREFIX}{name} {kind}"]
            lines += [f"{PREFIX}{name}{_labels(labels)} {_number(value)}" for labels, value in own]
    return "".join(f"{line}\n" for line in lines)


def families(state: Mapping[str, Any]) -> Iterator[Family]:
    """Everything, from the sections that the page gets."""
    run, result, progress = state["run"], state["result"], state["progress"]
    yield _info(run)
    status = progress["status"]
    yield "run_status", "gauge", "1 for the state of the run", [({"status": s}, int(s == status)) for s in STATES]
    yield _one("run_alive", "Whether a process works on the run", run["alive"])
    yield from _progress(progress, state["last"], state["recipe"])
    accuracy = result.get("accuracy")
    yield _one(
        "test_accuracy_ratio", "Share of test rows", (accuracy if isinstance(accuracy, dict) else {}).get("test")
    )
    yield _one("control_accuracy_ratio", "The same of the classical control", result.get("control"))
    yield from _spend(state["spend"])
    yield from _backends(state["members"])
    split = [
        ({"backend": name, "share": share}, seconds)
        for name, own in state["split"]["backends"].items()
        for share, seconds in own.items()
    ]
    yield "time_seconds", "gauge", "Wall time by share of the ledger", split
    yield _one("decisions_total", "Decisions that were made", state["decisions"]["all"], "counter")
    yield _one("events_total", "Events of the run that were read", state["events"]["number"], "counter")
    yield _one("events_damaged_total", "Events that could not be read", state["events"]["damaged"], "counter")
    yield _one("last_event_timestamp_seconds", "When the last event was told", progress["time"] or None)


def _progress(progress: Mapping[str, Any], last: Mapping[str, Any], recipe: Mapping[str, Any]) -> Iterator[Family]:
    yield _one("step", "Number of the step, within its stage", progress["step"])
    yield _one("steps_planned", "Steps that are planned", progress["steps"])
    yield _one("epoch", "Number of the epoch", progress["epoch"])
    yield _one("epochs_planned", "Epochs that are planned", progress["epochs"])
    yield _one("steps_per_second", "Steps a second, lately", progress["pace"])
    yield _one("loss", "Mean loss over the rows of the last step", last.get("loss"))
    yield _one("gradient_norm", "Euclidean norm of the last gradient", last.get("gradient_norm"))
    yield _one("gradient_norm_error", "Standard error of it by the shots", last.get("gradient_error"))
    yield _one("learning_rate", "Of the circuit parameters", last.get("learning_rate"))
    yield _one("depth_layers", "Layers that are trained, by a schedule", last.get("depth"))
    yield _one("shots_per_circuit", "Shots of a circuit of the gradient", last.get("shots_each"))
    yield _one("train_loss", "Mean loss of the last epoch", progress["train_loss"])
    yield _one("validation_loss", "Mean loss of the validation rows", progress["validation_loss"])
    yield _one("train_accuracy_ratio", "Share of training rows, as they were visited", progress["train_accuracy"])
    yield _one("validation_accuracy_ratio", "Share of validation rows", progress["validation_accuracy"])
    looked = recipe.get("look") or {}
    share = [({"on": str(looked["on"])}, looked["accuracy"])] if looked else []
    yield "look_accuracy_ratio", "gauge", "Share of the rows of a recipe's last look", share
    yield _one("circuits_total", "Circuits of the training", progress["circuits"], "counter")
    yield _one("shots_total", "Shots of the training", progress["shots"], "counter")


def _spend(spend: Mapping[str, Any]) -> Iterator[Family]:
    costs = [({"currency": currency}, cost) for currency, cost in spend["costs"].items()]
    yield "cost_total", "counter", "What was charged, by currency", costs
    yield _one("circuits_charged_total", "Circuits that somebody charged", spend["circuits"], "counter")
    yield _one("shots_charged_total", "Shots that somebody charged", spend["shots_paid"], "counter")
    caps = [({"account": account or "all", "unit": unit}, spent, cap) for account, unit, spent, cap in spend["caps"]]
    yield (
        "budget_spent",
        "gauge",
        "What was spent of a cap, in its unit",
        [(labels, spent) for labels, spent, _ in caps],
    )
    yield "budget_limit", "gauge", "A cap of the budget, in its unit", [(labels, cap) for labels, _, cap in caps]


BACKEND = {
    "circuits_per_second": ("gauge", "rate", "Circuits a second"),
    "latency_seconds": ("gauge", "latency", "Seconds of a job beside its circuits"),
    "jobs_in_flight": ("gauge", "in_flight", "Jobs on their way"),
    "jobs_window": ("gauge", "window", "Jobs that it may have on their way"),
    "circuits_answered_total": ("counter", "circuits", "Circuits that came back"),
    "circuits_failed_total": ("counter", "failed", "Circuits that failed"),
    "jobs_total": ("counter", "jobs_ended", "Jobs that ended"),
    "jobs_failed_total": ("counter", "jobs_failed", "Jobs that failed, or whose fate nobody knows"),
    "shots_charged_total": ("counter", "shots_paid", "Shots that it charged"),
}


def _backends(members: list[dict[str, Any]]) -> Iterator[Family]:
    states = [
        ({"backend": own["name"], "health": health}, int(own["health"] == health))
        for own in members
        if "health" in own
        for health in HEALTH
    ]
    yield "backend_health", "gauge", "1 for the health of a backend", states
    for name, (kind, key, about) in BACKEND.items():
        yield f"backend_{name}", kind, about, [({"backend": own["name"]}, own.get(key)) for own in members]
    costs = [({"backend": own["name"], "currency": own["currency"]}, own["cost"]) for own in members if own["cost"]]
    yield "backend_cost_total", "counter", "What a backend charged", costs


def _info(run: Mapping[str, Any]) -> Family:
    labels = {("run" if name == "name" else name): str(run[name]) for name in INFO if run.get(name) is not None}
    return "run_info", "gauge", "What the run is", [(labels, 1)]


def _one(name: str, about: str, value: Any, kind: str = "gauge") -> Family:
    return name, kind, about, [({}, value)]


def _labels(labels: Mapping[str, str]) -> str:
    own = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
    return f"{{{own}}}" if own else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(float(value)) if isinstance(value, float) else str(int(value))
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
