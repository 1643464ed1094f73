"""What every client script speaks: a request a line on stdin, an answer a line on stdout, both JSON.

A request names a scenario and its arguments; the answer is {"value": ...} or {"error": type, "text": message}. One
process serves many requests, because importing a client takes seconds.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any


def serve(*scenarios: Callable[..., Any]) -> None:
    """Answer requests until stdin ends, by the names of these functions; what the client prints goes to stderr."""
    known = {scenario.__name__: scenario for scenario in scenarios}
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        # every client takes its key from here; qiskit-ionq also its address, which no argument reaches everywhere
        os.environ.update(IONQ_API_KEY=request["key"], IONQ_API_URL=request["url"])
        try:
            answer = {"value": known[request["scenario"]](request["url"], **request["arguments"])}
        except Exception as error:  # noqa: BLE001 - whatever the client raises is the answer
            answer = {"error": type(error).__name__, "text": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
