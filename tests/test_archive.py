import io
import zipfile

import numpy as np
import pytest

from q_store.archive import pack, unpack

ARRAYS = {"vector": np.array([1.5, -0.0]), "names": np.array(["a", "bc"])}
HEADER = {"format": "a test", "numbers": [1, 2.5, None]}


def test_contents_come_back_and_nothing_is_added():
    content = pack(ARRAYS, HEADER)
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        assert set(stored.files) == {"header", *ARRAYS}
    found = unpack(content)
    assert found.intact
    assert found.header == HEADER
    assert {name: array.tobytes() for name, array in found.arrays.items()} == {
        name: array.tobytes() for name, array in ARRAYS.items()
    }


def test_the_same_contents_are_the_same_bytes():
    assert pack(ARRAYS, HEADER) == pack(dict(ARRAYS), dict(HEADER))


def test_python_objects_are_refused():
    with pytest.raises(TypeError, match=r"got Python objects in \['things'\]"):
        pack({"things": np.array([{}], dtype=object)}, HEADER)


@pytest.mark.parametrize("content", [b"", b"PK", pack(ARRAYS, HEADER)[:-30]])
def test_what_cannot_be_read_says_so(content):
    with pytest.raises(ValueError, match=r"."):
        unpack(content)


def test_a_member_without_header_is_named():
    out = io.BytesIO()
    np.savez(out, vector=ARRAYS["vector"])
    with pytest.raises(ValueError, match=r"lacks .header."):
        unpack(out.getvalue())


def test_an_interrupt_amid_a_member_comes_through(monkeypatch):
    """zipfile would raise a ValueError in its place: the member is still open."""

    def interrupted(*_args, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr(zipfile._ZipWriteFile, "close", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pack({"x": np.ones(3)}, {})
