"""The digest of the parameters, and the keys that are published."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest

from q_store.apps.result import KEYS, parameters_sha256, published


def test_the_digest_is_that_of_the_float64_bytes():
    vector = np.array([0.5, -1.25, 3.0, 1e-9])
    assert parameters_sha256(vector) == hashlib.sha256(struct.pack("<4d", 0.5, -1.25, 3.0, 1e-9)).hexdigest()
    assert parameters_sha256(vector.astype(">f8")) == parameters_sha256(vector)
    assert parameters_sha256(vector[::2]) == parameters_sha256(vector[::2].copy())
    assert parameters_sha256(np.nextafter(vector, 9)) != parameters_sha256(vector)


def test_what_is_published_is_what_was_promised():
    stored = dict.fromkeys(KEYS, 1) | {"details": 2}
    assert published(stored) == dict.fromkeys(KEYS, 1)
    del stored["seed"]
    with pytest.raises(KeyError):
        published(stored)
