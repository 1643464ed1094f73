"""JSON Schemas of the formats of circuits and results, as GET /schemas/formats/{format} serves them."""

from __future__ import annotations

from typing import Any

_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
_COUNT = {"type": "integer", "minimum": 0}
_BIT = {"type": "integer", "enum": [0, 1]}


def _by_state(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "patternProperties": {"^[0-9]+$": value}, "additionalProperties": False}


def _by_register(key: str, value: dict[str, Any]) -> dict[str, Any]:
    bits = {"type": "object", "patternProperties": {"^[01]+$": value}, "additionalProperties": False}
    registers = {"type": "object", "properties": {"registers": {"type": "object", "additionalProperties": bits}}}
    return {"type": "object", "properties": {key: registers}, "required": [key]}


_SHOT = {
    "type": "object",
    "properties": {"registers": {"type": "object", "additionalProperties": {"type": "array", "items": _BIT}}},
    "required": ["registers"],
}
_NATIVE_GATE = {
    "type": "object",
    "properties": {
        "gate": {"enum": ["gpi", "gpi2", "ms", "zz", "nop"]},
        "target": {"type": "integer"},
        "targets": {"type": "array", "items": {"type": "integer"}},
        "phase": {"type": "number"},
        "phases": {"type": "array", "items": {"type": "number"}},
        "angle": {"type": "number"},
    },
    "required": ["gate"],
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "ionq.native.v1": {
        "type": "object",
        "description": "a circuit in native gates; phases and angles in turns",
        "properties": {"qubits": {"type": "integer"}, "circuit": {"type": "array", "items": _NATIVE_GATE}},
    },
    "ionq.result.probabilities.json.v1": {**_by_state(_PROBABILITY), "description": "by decimal state"},
    "ionq.result.probabilities.json.v2": {
        **_by_register("probabilities", _PROBABILITY),
        "description": "by register and zero-padded binary state",
    },
    "ionq.result.probabilities-aggregate.json.v1": {
        "type": "object",
        "additionalProperties": _by_state(_PROBABILITY),
        "description": "by child job and decimal state",
    },
    "ionq.result.histogram.json.v1": {**_by_state(_COUNT), "description": "by decimal state"},
    "ionq.result.histogram.json.v2": {
        **_by_register("histogram", _COUNT),
        "description": "by register and zero-padded binary state",
    },
    "ionq.result.shots.json.v1": {
        "type": "array",
        "items": {"type": "string", "pattern": "^[0-9]+$"},
        "description": "the decimal state of each shot",
    },
    "ionq.result.shots.json.v2": {
        "type": "object",
        "properties": {"shots": {"type": "array", "items": _SHOT}},
        "required": ["shots"],
        "description": "the bits of each register of each shot, qubit 0 first",
    },
}


def schema(form: str) -> dict[str, Any] | None:
    """The schema document of a format; None: there is no such format."""
    if form not in SCHEMAS:
        return None
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": form, **SCHEMAS[form]}
