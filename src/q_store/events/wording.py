"""Events in words, for the log of decisions; no paths in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_PATH = re.compile(r"(?<![\w/:.])(?:~|[A-Za-z]:)?[/\\](?:[\w.@ +-]+[/\\])+([\w.@+-]+)")


def plain(text: object) -> str:
    """Without the folders of paths."""
    return _PATH.sub(r"\1", str(text))


def decision(kind: str, values: Mapping[str, Any]) -> str:
    """Of an event that somebody decided something by; empty for all others."""
    text = _WORDS[kind](values) if kind in _WORDS else ""
    return plain(text)


def _decided(values: Mapping[str, Any]) -> str:
    what, member, to = str(values["what"]), str(values["member"]), values.get("to")
    count, reason = int(values.get("circuits") or 0), str(values.get("reason") or "")
    circuits = f"{count:,} circuit{'s' * (count != 1)}" if count else "circuits"
    text = {
        "moved": f"{circuits} moved from {member} to {to}" if to else f"{circuits} taken from {member}",
        "sent again": f"{circuits} sent to {member} again",
        "hedged": f"{circuits} that {member} is late with sent to {to} as well",
        "recalled": f"a job of {member} called back",
    }.get(what, f"{member}: {what}" if member else what)
    return f"{text}: {reason}" if reason else text


def _layers(values: Mapping[str, Any]) -> str:
    depth, after, before = values["depth"], values["after"], values["before"]
    gates = f"{after.get('gates', 0):,} of {before.get('gates', 0):,} gates"
    layers = "" if depth is None else f"{depth} layer{'s' * (depth != 1)}, "
    return f"from epoch {values['epoch']} the circuit has {layers}{gates}"


def _chosen(values: Mapping[str, Any]) -> str:
    recipe, asked, expected = values["recipe"], values["asked"], values.get("expected")
    parts = [
        f"recipe {recipe}: {values['reason']}" if asked == recipe else f"{asked} chose {recipe}: {values['reason']}"
    ]
    if expected is not None:
        parts.append(
            f"{100 * expected:.1f} % expected, reached in the benchmark with {values['expected_with']:,} circuits"
        )
    if values.get("price"):
        parts.append(f"at most about {values['price']:,.2f} {values['currency']}")
    return "; ".join(parts)


def _planned(values: Mapping[str, Any]) -> str:
    training, validation, test = (values[name] for name in ("training", "validation", "test"))
    until = values.get("accuracy")
    early = "" if until is None else f", fewer where {100 * until:g} % are seen twice"
    return (
        f"{values['recipe']} begins: at most {training + validation + test:,} circuits, {training:,} for training, "
        f"{validation:,} for validation, {test:,} for the test{early}"
    )


def _finished(values: Mapping[str, Any]) -> str:
    epochs = values["epochs"]
    return f"trained: {values['reason']}" + (f" after {epochs} epochs" if epochs else "")


_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "Decided": _decided,
    "PoolPaused": lambda v: f"the run pauses, {v['patience']:.0f} s at most: {v['reason']}",
    "PoolResumed": lambda v: f"a backend is back after {v['seconds']:.1f} s",
    "PoolBought": lambda v: f"{v['circuits']:,} circuits of {v['member']} bought again: {v['reason']}",
    "CircuitChosen": _layers,
    "StepBlocked": lambda v: f"step {v['step']} taken back: its loss went from {v['before']:.4g} to {v['after']:.4g}",
    "EarlyStopped": lambda v: f"stopped early: the best {v['monitor']} was in epoch {v['best_epoch']}",
    "RunHeld": lambda _: "somebody asked the run to wait",
    "RunReleased": lambda v: f"the run goes on after waiting for {v['seconds']:.1f} s",
    "RunStopped": lambda _: "somebody asked the run to stop",
    "ProcessStarted": lambda v: f"q-store {v['version']} began to work on the run",
    "ProcessEnded": lambda v: f"the process ended: {v['status']}" + (f", {v['reason']}" if v.get("reason") else ""),
    "RecipeChosen": _chosen,
    "RecipeStarted": _planned,
    "RunFinished": _finished,
}
