"""IonQ's cloud: the wire format, and an asynchronous client that never pays twice."""

from q_store.backends.ionq.client import IonQBackend, Service
from q_store.backends.ionq.settings import IonQSettings

__all__ = ["IonQBackend", "IonQSettings", "Service"]
