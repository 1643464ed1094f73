"""Classifiers: data sets, preprocessing, the model, the zoo, and the file that keeps a trained one."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from q_store.models.model import Model

__all__ = ["Model"]


def __getattr__(name: str) -> Any:
    """`Model`, imported on first use: reading data needs no trainer."""
    if name == "Model":
        from q_store.models.model import Model

        return Model
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
