"""A service that speaks IonQ's API v0.4 on this machine, for development offline and for tests."""

from q_store.emulator.clock import run_virtual
from q_store.emulator.emulator import Emulator

__all__ = ["Emulator", "run_virtual"]
