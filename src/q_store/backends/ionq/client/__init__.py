"""The asynchronous client of IonQ's API v0.4."""

from q_store.backends.ionq.client.backend import IonQBackend
from q_store.backends.ionq.client.service import Service

__all__ = ["IonQBackend", "Service"]
