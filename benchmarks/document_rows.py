"""Rows of the table of document.py, made of its raw figures; those from other benchmarks are in document_others.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

SECONDS, TRIP = 1.7, 0.1
BATCH, STEPS, EPOCHS = 20, 10, 3
POOL = "three backends, times as fast as one"
SIMPLER = "batch of 20 with half the layers, times as fast"
FEWER = "batch of 20 with half the shots, times as fast"
BEFORE = "`v34` as it is"
WITHOUT = "without"
"""The base of the ablation."""
MEASURED_BEFORE = {"after_600": "24 to 30 %", "to_65": "7,230", "to_70": "13,320"}
"""What was measured of the earlier way, with two seeds, to 1.4 points."""
Part = dict[str, Any]
Runs = list[dict[str, Any]]


@dataclass(frozen=True)
class Row:
    """A figure of the document; `least`: more is better."""

    what: str
    target: float | None
    measured: float | None
    unit: str = ""
    least: bool = True
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Measured over target, or the other way round: 1 or more reaches it; none where nothing is to be divided."""
        if self.target is None or self.measured is None:
            return None
        over, under = (self.measured, self.target) if self.least else (self.target, self.measured)
        return over / under if under else None

    @property
    def reached(self) -> bool | None:
        """None without a target or without a figure."""
        if self.target is None or self.measured is None:
            return None
        return self.measured >= self.target if self.least else self.measured <= self.target

    @property
    def line(self) -> str:
        """For people: target, measured, ratio."""
        target = (
            "none" if self.target is None else f"{'>=' if self.least else '<='} {self.target:g} {self.unit}".strip()
        )
        measured = "not measured" if self.measured is None else f"{self.measured:.4g} {self.unit}".strip()
        ratio = "" if self.ratio is None else f", ratio {self.ratio:.2f}"
        missed = ", missed" if self.reached is False else ""
        return f"{self.what}: target {target}, measured {measured}{ratio}{missed}" + (
            f" ({self.note})" * bool(self.note)
        )


def all_rows(found: dict[str, Part], results: Path) -> dict[str, list[Row]]:
    """Rows by part, in the order of the document; a part that is missing is named."""
    from document_others import adaptive, natural, projections, to_accuracy

    data = next(iter(found.values()), {}).get("data", "bundled")

    def other(name: str) -> Path:
        return results / f"{name}.json" if data == "bundled" else Path(f"{name}-{Path(data).stem}.json")

    rows = {name: make(found[name]["raw"]) if name in found else missing(name) for name, make in OWN.items()}
    rows["claims"] = claims(found["flags"]["raw"]) if "flags" in found else missing("flags")
    rows["written"] = as_written(found["learning"]["raw"]) if "learning" in found else missing("learning")
    rows |= {"time": to_accuracy(other("recipes")), "adaptive": adaptive(other("adaptive"))}
    rows["natural"] = natural(other("natural"))
    return {**rows, "projections": projections(rows)}


def missing(part: str) -> list[Row]:
    return [Row(f"the part `{part}`", None, None, note=f"not measured yet: benchmarks/document.py --part {part}")]


def _seconds(calls: Runs) -> float:
    return float(sum(call["seconds"] for call in calls))


def speed(raw: Part) -> list[Row]:
    """Batches, epochs, and what several backends bring."""
    rows = []
    for n in ("1", "3"):
        calls, name = raw[n], f"{n} backend{'s' * (n != '1')}"
        batch, whole = median(call["seconds"] for call in calls), _seconds(calls)
        rows += [
            Row(f"circuits a second, {name}", 1.2, BATCH * len(calls) / whole, note="v3.4: .57; optimistic: 1.5"),
            Row(f"batch of 20, {name}", 20, batch, "s", least=False, note="v3.4: 35 s; optimistic: 15 s"),
            Row(f"epoch of 10 batches, {name}", 200, _seconds(calls[:STEPS]), "s", least=False, note="v3.4: 350 s"),
            Row(f"3 epochs, {name}", 600, whole, "s", least=False, note="v3.4: 1,050 s; optimistic: 450 s"),
            Row(f"3 epochs, {name}, times as fast as the 1,050 s of v3.4", 1.75, 1050 / whole, note="optimistic: 2.3"),
        ]  # fmt: skip
    batch, alone = (median(call["seconds"] for call in raw[n]) for n in ("3", "1"))
    shares = [100 * share / sum(raw["shares"]) for share in raw["shares"]]
    rows += [
        Row(POOL, 2.0, _seconds(raw["1"]) / _seconds(raw["3"]), note="wanted: 2 to 3"),
        Row("circuits that the least used of three equal backends got", None, min(shares), "%", note="20 over 3"),
        Row("share of a batch that is not execution, 1 backend", 10, 100 * (1 - BATCH * SECONDS / alone), "%",
            least=False, note="document: execution is 90 %"),
    ]  # fmt: skip
    note = "one circuit, to be sent and looked for; document: about 2 s"
    rows.append(Row("inference of an image, 1 backend", 2, raw["inference"], "s", least=False, note=note))
    for what in (SIMPLER, FEWER):
        took = median(call["seconds"] for call in raw[what])
        rows.append(Row(what, None, batch / took, note="a circuit takes the same 1.7 s on this emulator"))
    return rows


def quality(raw: dict[str, Runs]) -> list[Row]:
    """Accuracy, and how much the loss differs over the seeds."""
    base, rows = mean(run["test"] for run in raw["v34"]), []
    for name, runs in raw.items():
        accuracy, losses = mean(run["test"] for run in runs), [run["loss"] for run in runs]
        spent = f"{runs[0]['circuits']} circuits"
        rows.append(Row(f"accuracy, {name}", 70, 100 * accuracy, "%", note=f"{spent}; document: 70 to 75 %"))
        if name != "v34":
            share = 100 * accuracy / base
            rows.append(Row(f"accuracy, {name}, share of that of v34 after 600", 95, share, "%", note=spent))
        if len(losses) > 1:
            what = f"standard deviation of the final loss over seeds, {name}"
            rows.append(Row(what, 10, 100 * stdev(losses) / mean(losses), "%", least=False,
                            note=f"{len(losses)} seeds"))  # fmt: skip
    return rows


def faults(raw: Part) -> list[Row]:
    """Circuits without an answer."""
    rows = []
    for kind, how in (("random", f"under {raw['faults']}"), ("dies", "one of three backends dies after 30 s")):
        circuits = sum(run["circuits"] for run in raw[kind])
        share = 100 * sum(run["lost"] for run in raw[kind]) / circuits
        name = "failed circuits" if kind == "random" else "failed circuits, with failover"
        rows.append(Row(name, 1, share, "%", least=False, note=f"{circuits:,} circuits, {how}"))
    return rows


def local(raw: Part) -> list[Row]:
    """Sizes, inference, memory, the control."""
    size, written, network = sum(raw["parameters"]), sum(raw["as_written"]), raw["control"]
    rows = [
        Row("parameters", 250, size, least=False,
            note="{} in the circuit, {} in the readout".format(*raw["parameters"])),
        Row("parameters of the document's classifier as written", 250, written, least=False,
            note="{} and {}".format(*raw["as_written"])),
        Row("memory, increase", 2, raw["memory_gb"], "GB", least=False, note="peak of a training on three backends"),
        Row("inference of an image, simulated here", 2, raw["inference_s"], "s", least=False),
    ]  # fmt: skip
    if not network:
        return [*rows, Row("CNN control", None, None, note="the data are no images")]
    best, accuracies = network[0], [100 * run["test"] for run in network]
    said = ", ".join(f"{each:.1f}" for each in accuracies)
    return [
        *rows,
        Row("times fewer parameters than the CNN", 400, best["parameters"] / size),
        Row("CNN control: accuracy", 88, mean(accuracies), "%", note=f"{said}; document: 88 to 90 %, on 60,000 images"),
        Row("CNN control: parameters", None, best["parameters"], note="document: about 100,000"),
        Row("CNN control: training", 300, mean(run["seconds"] for run in network), "s", least=False,
            note="processor time; document: 5 minutes of a GPU"),
        Row("CNN control: inference of an image", 1e-3, min(run["inference"] for run in network), "s", least=False),
    ]  # fmt: skip


def _flag(raw: dict[str, Runs], name: str, key: str) -> float:
    return float(mean(run[key] for run in raw[name]))


def claims(raw: dict[str, Runs]) -> list[Row]:
    """What v3.4 claimed of its parts, as the document tells it, by switching each off."""

    def ratio(name: str, key: str = "seconds") -> float:
        return _flag(raw, name, key) / _flag(raw, WITHOUT, key)

    def saved(name: str) -> float:
        return round(100 * (1 - ratio(name)), 1) + 0.0  # no -0

    return [
        Row("concurrent submission, times as fast", 1.6, ratio("use_concurrent_submission=False"),
            note="v3.4 claimed 12; one circuit at a time runs in either case"),
        Row("native gates, times as fast", 1.3, ratio("use_native_gates=False"),
            note="sent and counted; a circuit takes the same 1.7 s on this emulator"),
        Row("smart cache, times less processor time", 3, ratio("enable_smart_caching=False", "processor_seconds"),
            note="document: 3 to 4, v3.4 claimed 10; emulators included"),
        Row("smart cache, times as fast", None, ratio("enable_smart_caching=False"),
            note="this machine's work is little"),
        Row("all of v3.4, times as fast as none of it", 2, ratio("none of v3.4"), note="v3.4 claimed 8 to 10"),
        Row("time saved by adaptive_shot_allocation", 20, saved("adaptive_shot_allocation"), "%",
            note="a circuit takes the same 1.7 s with any number of shots"),
        Row("time saved by adaptive_circuit_depth, exponential", 30, saved("adaptive_circuit_depth, exponential"), "%",
            note="with SPSA; gates are below"),
    ]  # fmt: skip


def as_written(raw: dict[str, Runs]) -> list[Row]:
    """The document's classifier, trained as its configuration says."""
    base, rows = _flag(raw, WITHOUT, "test"), []
    every = "enable_all_v35_features, natural_gradient"
    ways = {
        WITHOUT: "without its new flags, SPSA",
        "enable_all_v35_features, spsa": "all flags, SPSA",
        "natural_gradient": "natural gradient alone",
        every: "all flags, natural gradient",
    }
    for name, what in ways.items():
        accuracy, circuits = _flag(raw, name, "test"), _flag(raw, name, "circuits")
        note = f"{circuits:,.0f} circuits"
        rows.append(Row(f"accuracy as configured, {what}", 70, 100 * accuracy, "%", note=note))
        if name != WITHOUT:
            rows.append(Row(f"accuracy as configured, {what}, share of that without", 95, 100 * accuracy / base, "%"))
    each = _flag(raw, every, "circuits") / raw[every][0]["steps"]
    hours = each * 20 * STEPS * SECONDS / 3
    rows.append(Row("training as configured, 20 epochs of 10 batches, 3 backends", 900, hours, "s", least=False,
                    note=f"computed: {each:,.0f} circuits a step; document: 10 to 15 min"))  # fmt: skip
    return rows


OWN: dict[str, Callable[[Any], list[Row]]] = {"speed": speed, "quality": quality, "faults": faults, "local": local}
