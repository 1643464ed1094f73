"""Results of a job, in both generations of the API, and where to fetch them.

v1  {"0": 0.5, "3": 0.5}: decimal states, qubit 0 the least significant bit
v2  {"probabilities": {"registers": {"output_all": {"00": 0.5, "11": 0.5}}}}: binary states, qubit 0 rightmost
An aggregate maps child ids to either. Probabilities may be integers, zeros may be written out.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from q_store.errors import BackendError

SUM_TOLERANCE = 1e-5
REGISTER = "output_all"
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_BINARY = re.compile(r"[01]{1,63}", re.ASCII)
_VERSION = re.compile(r"/v\d+(\.\d+)?(?=/jobs/)")
_SINGLE = ("ionq.result.probabilities.json.v1", "ionq.result.probabilities.json.v2")
_AGGREGATE = ("ionq.result.probabilities-aggregate.json.v1", "ionq.result.probabilities-aggregate.json.v2")
_MULTI = "ionq.multi-circuit.v1"


def distribution(body: Any, n_qubits: int | None = None) -> dict[int, float]:
    """{state: probability} of one circuit, without zeros, made to add up to 1.

    Args:
        body: the parsed JSON of a result.
        n_qubits: number of qubits, if states are to be checked against it.

    Raises:
        BackendError: for anything but probabilities that add up to 1 within 1e-5.
    """
    entries, binary = _entries(body)
    values = list(entries.values())
    if not {type(value) for value in values} <= {int, float}:
        raise _unexpected(reprlib.repr(entries))
    states = _states(tuple(entries), binary)
    if not values or min(values) < 0 or max(values) > 1 + SUM_TOLERANCE:
        raise _unexpected(reprlib.repr(entries))
    if max(states) >= 1 << (63 if n_qubits is None else n_qubits):
        raise _unexpected(f"the state {max(states)} of {n_qubits or 63} qubits")
    total = math.fsum(values)
    if not abs(total - 1) <= SUM_TOLERANCE:  # so that NaN is refused too
        raise _unexpected(f"{reprlib.repr(entries)}, which add up to {total:g}")
    return {state: value / total for state, value in zip(states, values, strict=True) if value}


@lru_cache(maxsize=1 << 8)
def _states(keys: tuple[Any, ...], binary: bool) -> tuple[int, ...]:  # noqa: FBT001  # of a cache that takes positions
    """The states that keys name, all different. Kept, as circuits of a job often have the same ones."""
    pattern, base = (_BINARY, 2) if binary else (_DECIMAL, 10)
    for key in keys:
        if not (isinstance(key, str) and pattern.fullmatch(key)):
            raise _unexpected(f"the state {key!r}")
    states = tuple(int(key, base) for key in keys)
    if len({*states}) < len(states):
        raise _unexpected(f"the states {reprlib.repr(keys)}, some of them twice")
    return states


def aggregate(body: Any, children: Sequence[str] | None, n_qubits: int | None = None) -> list[dict[int, float] | None]:
    """The distributions of a job's circuits, in the order of its child ids, whatever the order of the keys.

    Args:
        body: {child id: distribution}.
        children: the job's child ids, in the order of its circuits; None: the order of the keys.
        n_qubits: as in `distribution`.

    Returns:
        One distribution a child; None for a child that has none.

    Raises:
        BackendError: for another body, an id that is no child, or a distribution that cannot be read.
    """
    if not isinstance(body, Mapping):
        raise _unexpected(reprlib.repr(body))
    order = list(body) if children is None else children
    strange = set(body) - set(order)
    if strange:
        raise BackendError(
            f"expected results of the {len(order)} circuits of this job, got one of {min(map(str, strange))!r}, which "
            "is none of them; fetch the results of each circuit instead"
        )
    return [distribution(body[child], n_qubits) if body.get(child) else None for child in order]


def result_paths(job: Mapping[str, Any]) -> list[str]:
    """Where the probabilities of a job may be, best first; paths below the base URL, such as /jobs/ID/results/....

    First what the job says, by url or by artifact, then the fixed path. Hosts in an url are left out: the key goes to
    nobody else.
    """
    many = job.get("type") == _MULTI or bool(job.get("child_job_ids"))
    root = f"/jobs/{quote(str(job.get('id')), safe='')}"
    results = job.get("results")
    found = _named(results, root, many=many) if isinstance(results, Mapping) else ()
    fixed = f"{root}/results/probabilities" + ("/aggregated" if many else "")
    return list(dict.fromkeys([*found, fixed]))


def _named(results: Mapping[Any, Any], root: str, *, many: bool) -> Iterable[str]:
    entry = results.get("probabilities")
    url = entry.get("url") if isinstance(entry, Mapping) else None
    path = _path(url) if isinstance(url, str) else None
    if path:
        yield path
    for name in _AGGREGATE if many else _SINGLE:
        descriptor = results.get(name)
        artifact = descriptor.get("id") if isinstance(descriptor, Mapping) else None
        if isinstance(artifact, str) and artifact:
            yield f"{root}/artifacts/{quote(artifact, safe='')}"


def _path(url: str) -> str | None:
    """The part of an url below the base, with its query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    below = parts.path[match.end() :] if (match := _VERSION.search(parts.path)) else parts.path
    if not below.startswith("/jobs/") or ".." in below:
        return None
    return f"{below}?{parts.query}" if parts.query else below


def _entries(body: Any) -> tuple[Mapping[Any, Any], bool]:
    """(states, whether they are binary)."""
    if not isinstance(body, Mapping):
        raise _unexpected(reprlib.repr(body))
    if not isinstance(body.get("probabilities"), Mapping):
        return body, False
    registers = body["probabilities"].get("registers")
    if not isinstance(registers, Mapping) or not (REGISTER in registers or len(registers) == 1):
        raise _unexpected(reprlib.repr(body))
    states = registers[REGISTER] if REGISTER in registers else next(iter(registers.values()))
    if not isinstance(states, Mapping):
        raise _unexpected(reprlib.repr(body))
    return states, True


def _unexpected(got: str) -> BackendError:
    return BackendError(
        f"expected probabilities of measured states that add up to 1, such as {{'0': 0.5, '3': 0.5}}, got {got}; "
        "the service speaks another version, or the reply was damaged"
    )
