"""The page on migration has the tables of `q_store.names`, and every name that can be imported."""

from __future__ import annotations

from pathlib import Path

import docs_names
import pytest

import q_store
from q_store.config.training_config import SECTIONS
from q_store.names import NAMES

PAGE = Path(__file__).parents[3] / "docs" / "migration.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_code():
    assert docs_names.rendered(TEXT) == TEXT
    assert all(docs_names.rendered(TEXT.replace(f"| `{name}` |", "| ? |")) == TEXT for name in ("epochs", "spsa"))


def test_every_name_has_a_row():
    assert all(f"`{name}`" in TEXT for name in NAMES)


def test_fields_without_a_flat_name_are_told():
    flat = {entry.place for entry in NAMES.values()}
    for section, kind in SECTIONS.items():
        for field in kind.model_fields:
            assert (section, field) in flat or f"`{section}.{field}`" in TEXT


@pytest.mark.parametrize(
    "name",
    sorted(
        set(q_store.LAZY)
        - {
            "BackendManager",
            "create_default_backend_manager",
            "GradientResult",
            "TrainingMetrics",
            "QuantumBackend",
            "open_run",
            "Run",
        }
    ),
)
def test_every_class_is_told(name):
    assert name in TEXT
