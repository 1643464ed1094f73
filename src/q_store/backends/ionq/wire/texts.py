"""Circuits as text, written once: templates by structure, and bound circuits by structure and numbers."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from q_store.backends.ionq.wire.template import Template
from q_store.circuits.circuit import Circuit


@dataclass(slots=True)
class Hits:
    """How often something was there already, and how often it had to be made."""

    hits: int = 0
    misses: int = 0

    def count(self, *, found: bool) -> None:
        """Count one look."""
        self.hits += found
        self.misses += not found


class Texts:
    """Two levels. Equal rows after rounding are equal circuits, see `Template.numbers`.

    Args:
        structures: templates kept; 0: each is made anew for every job.
        circuits: texts of bound circuits kept, the last ones used; 0 for none.

    Attributes:
        templates, bound: what the levels had. With a level switched off all are misses.
    """

    def __init__(self, structures: int = 128, circuits: int = 0) -> None:
        self._structures, self._circuits = structures, circuits
        self._templates: OrderedDict[tuple[str, bool], Template] = OrderedDict()
        self._bound: OrderedDict[tuple[str, bool, bytes], bytes] = OrderedDict()
        self.templates, self.bound = Hits(), Hits()

    def write(self, circuit: Circuit, angles: npt.ArrayLike, *, native: bool) -> list[bytes]:
        """As `Template.write`, with the same errors."""
        template = self._template(circuit, native=native)
        if not self._circuits:
            texts = template.write(angles)
            self.bound.misses += len(texts)
            return texts
        own = circuit.digest, native
        return [self._text(template, (*own, row.tobytes()), row) for row in template.numbers(angles)]

    def _template(self, circuit: Circuit, *, native: bool) -> Template:
        key = circuit.digest, native
        found = self._templates.pop(key, None)
        self.templates.count(found=found is not None)
        if not self._structures:
            return Template.made(circuit, native=native)
        made = self._templates[key] = Template.of(circuit, native=native) if found is None else found
        if len(self._templates) > self._structures:
            self._templates.popitem(last=False)
        return made

    def _text(self, template: Template, key: tuple[str, bool, bytes], row: npt.NDArray[Any]) -> bytes:
        found = self._bound.pop(key, None)
        self.bound.count(found=found is not None)
        made = self._bound[key] = template.filled(row) if found is None else found
        if len(self._bound) > self._circuits:
            self._bound.popitem(last=False)
        return made
