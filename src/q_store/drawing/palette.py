"""Colours of light and of dark screens, as variables of CSS."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Palette:
    """Declarations for a `page` or card, a `chart`, and a `circuit`."""

    page: str
    chart: str
    circuit: str


LIGHT = Palette(
    "--back:#f6f7f9;--card:#fff;--ink:#14181f;--soft:#4d5866;--line:#d7dce3;--warn:#8a5300",
    "--ink:#14181f;--soft:#4d5866;--grid:#e4e8ee;--c0:#1f5fbf;--c1:#b8500b;--c2:#1b7a4b;--c3:#8a3ea8;--c4:#1b8f78;"
    "--c5:#b9c1cc;--cell:31,95,191",
    "--ink:#14181f;--soft:#4d5866;--line:#8d99a8;--box:#fff;--edge:#1f5fbf",
)
DARK = Palette(
    "--back:#10141a;--card:#181e26;--ink:#e8ecf2;--soft:#a3afbf;--line:#313a46;--warn:#f0b660",
    "--ink:#e8ecf2;--soft:#a3afbf;--grid:#2b3440;--c0:#7fb0ff;--c1:#ffad6b;--c2:#6fd39b;--c3:#d59bf0;--c4:#35b39a;"
    "--c5:#5d6978;--cell:78,149,234",
    "--ink:#e8ecf2;--soft:#a3afbf;--line:#6b7889;--box:#181e26;--edge:#7fb0ff",
)
