"""How much one job may ask of the simulators.

Effort is estimated by counting, not by a clock, so that the same job always has the same fate.
"""

from __future__ import annotations

SECONDS = 60.0
"""Of simulation a job, as estimated for one ordinary core."""
MOST_ENTRIES = 1 << 23
"""Probabilities in the answer to one job."""


class ImpossibleJobError(Exception):
    """A job that is accepted and then fails.

    Attributes:
        code: the failure code of the API.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Budget:
    """What is left of the time and the memory for a job.

    Attributes:
        left: seconds.
        room: probabilities.
    """

    def __init__(self, seconds: float = SECONDS, entries: int = MOST_ENTRIES) -> None:
        self._seconds, self._entries = seconds, entries
        self.left, self.room = seconds, entries

    def spend(self, seconds: float, ahead: float = 0.0) -> None:
        """Take estimated seconds off, in view of others that will follow.

        Raises:
            ImpossibleJobError: SimulationTimeout, if both together are more than is left.
        """
        self.left -= seconds
        if self.left < ahead:
            asked = self._seconds - self.left + ahead
            msg = (
                f"expected a job of at most about {self._seconds:g} s of simulation, got one of about {asked:.3g} s or "
                "more; use fewer qubits, shots or circuits a job"
            )
            raise ImpossibleJobError("SimulationTimeout", msg)

    def hold(self, entries: int) -> None:
        """Make room for so many probabilities of the answer.

        Raises:
            ImpossibleJobError: SimulationTimeout, if there is no room left.
        """
        self.room -= entries
        if self.room < 0:
            msg = (
                f"expected an answer of at most {self._entries} probabilities, got more; "
                "use fewer qubits or circuits a job"
            )
            raise ImpossibleJobError("SimulationTimeout", msg)
