"""Full-batch L-BFGS by SciPy, turned inside out: a generator that yields points and receives (value, gradient).

SciPy calls the function it minimises; a plan must be called instead, because only whoever drives the plan may run
jobs. So SciPy runs in a thread of its own, which waits while the plan works: never two at a time, and deterministic.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Point = tuple[float, Reals]


@dataclass(frozen=True, slots=True, eq=False)
class Minimum:
    """Where a search ended.

    Attributes:
        vector: the best point that was evaluated. value: there. iterations: done. message: SciPy's reason to stop.
    """

    vector: Reals
    value: float
    iterations: int
    message: str


def lbfgs(start: Reals, iterations: int, tolerance: float = 1e-12) -> Generator[Reals, Point, Minimum]:
    """Minimise by L-BFGS-B (Byrd, Lu, Nocedal and Zhu, SIAM J. Sci. Comput. 16, 1190), memory of 20 pairs.

    Args:
        start: [N].
        iterations: at most.
        tolerance: stop at a smaller relative decrease of the value, or at a smaller largest entry of the gradient.

    Yields:
        points [N] at which it wants (value, gradient[N]).
    """
    asked: SimpleQueue[Any] = SimpleQueue()
    answers: SimpleQueue[Point | None] = SimpleQueue()
    worker = threading.Thread(target=_search, args=(start, iterations, tolerance, asked, answers), daemon=True)
    worker.start()
    best: Point = (np.inf, start)
    try:
        while isinstance(request := asked.get(), np.ndarray):
            value, gradient = yield request
            if value < best[0]:
                best = (value, request)
            answers.put((value, gradient))
    finally:
        answers.put(None)
        worker.join()
    if isinstance(request, Exception):
        raise request
    return Minimum(best[1], best[0], int(request.nit), str(request.message))


def minimise(function: Callable[[Reals], Point], start: Reals, iterations: int, tolerance: float = 1e-12) -> Minimum:
    """`lbfgs` for a plain function of a vector that returns (value, gradient): no circuits, no plan."""
    search = lbfgs(start, iterations, tolerance)
    try:
        point = next(search)
        while True:
            point = search.send(function(point))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        search.close()


class _Stopped(Exception):  # noqa: N818  # not an error: the plan was closed
    pass


def _search(
    start: Reals, iterations: int, tolerance: float, asked: SimpleQueue[Any], answers: SimpleQueue[Point | None]
) -> None:
    from scipy.optimize import minimize  # half of the start-up time of `q-store models`

    def function(point: Reals) -> Point:
        asked.put(np.array(point, dtype=np.float64))
        answer = answers.get()
        if answer is None:
            raise _Stopped
        return answer

    options: Any = {
        "maxiter": iterations,
        "maxfun": 20 * iterations + 20,
        "maxcor": 20,
        "ftol": tolerance,
        "gtol": tolerance,
    }
    try:
        asked.put(minimize(function, start, jac=True, method="L-BFGS-B", options=options))
    except _Stopped:
        return
    except Exception as error:  # noqa: BLE001  # raised again in the plan
        asked.put(error)
