"""The local engine: exact, batched, compiled simulation of small circuits."""

from q_store.backends.local.backend import LocalBackend

__all__ = ["LocalBackend"]
