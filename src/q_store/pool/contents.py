"""What the circuits of a job are, apart from who runs them: which are the same, and their keys in the sample cache.

A key is of the circuit as the job asks it, before a member compiles it: members of one domain compile alike (their gate
set is in `Domain.settings`), so it is as good as that of the circuit as sent, and it is known before anybody is chosen.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from q_store.backends.binding import Binder, wanted
from q_store.backends.expansion import Expansion
from q_store.jobs import Job
from q_store.store import Domain, keys

Ints = npt.NDArray[np.int64]
_FORMAT = b"q-store job 1"
_WORD = 2**64 - 1


class Contents:
    """The circuits of an expansion, bound.

    Args:
        expansion: of the job.
        binder: keeps what is computed once for a data set.
    """

    def __init__(self, expansion: Expansion, binder: Binder) -> None:
        bound = binder.settings(expansion, wanted(expansion))
        self._settings = [(each.circuit, each.angles(each.circuit, each.rows)) for each in bound]
        self._keys: dict[Domain, list[bytes]] = {}

    @property
    def gates(self) -> int:
        """Of the largest circuit."""
        return max(len(circuit.ops) for circuit, _ in self._settings)

    def keys(self, domain: Domain) -> list[bytes]:
        """A key for each circuit, in the order of the expansion."""
        if domain not in self._keys:
            self._keys[domain] = [key for each in self._settings for key in keys(*each, domain)]
        return self._keys[domain]

    def first(self, domain: Domain) -> Ints:
        """[size], for each circuit the first one that is the same."""
        place: dict[bytes, int] = {}
        own = self.keys(domain)
        return np.fromiter((place.setdefault(key, k) for k, key in enumerate(own)), np.int64, len(own))


def digest(job: Job) -> bytes:
    """Of all that decides what a job asks: a resumed run must ask the same again."""
    words = [job.output.value, job.seed, job.reuse, job.circuit.digest, job.measured.digest]
    out = hashlib.blake2b(_FORMAT + repr(words).encode(), digest_size=16)
    for name, array in (("data", job.data), ("params", job.params), ("pairs", job.pairs), ("shots", job.shots)):
        own = np.ascontiguousarray([] if array is None else array)
        kind = np.float64 if own.dtype.kind == "f" else np.int64
        out.update(f"{name}{'' if array is None else own.shape}".encode())
        out.update(own.astype(kind).data)
    return out.digest()


def topping(job_seed: int, have: int, bought: int = 0) -> int:
    """The seed for more shots of circuits that have some: the same seed would bring the same samples again.

    Of some that were bought before, and perhaps ran, too.
    """
    if not have and not bought:
        return job_seed
    text = f"{job_seed & _WORD} {have}{f' {bought}' if bought else ''}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=7, person=b"q-store more").digest())
