"""The edge of the command line: every failure becomes one line on stderr and an exit code.

0    done
1    a failure that q-store did not foresee; Q_STORE_DEBUG=1 shows where
2    something in the command, the data, a file or the disk must change first
130  interrupted (Ctrl-C, SIGTERM, SIGHUP), 141 the reader of our output went away
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import typer

from q_store.errors import QStoreError
from q_store.files import REMEDIES

DEBUG = "Q_STORE_DEBUG"
USAGE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141
LONGEST = 300
"""Characters of an unforeseen message that are shown."""

UsageProblem: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
"""Typer's base of wrong usage; where it is defined depends on the version of typer."""


def guard(command: Callable[[], object]) -> int:
    """Run `command` and return the exit code; with Q_STORE_DEBUG set, failures raise as they are."""
    try:
        code = command()
        sys.stdout.flush()
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # typer makes 1 of it
            return _silence()
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BrokenPipeError:
        return _silence()
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted")
        return INTERRUPTED
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        return explain(error)
    if code == INTERRUPTED:  # typer makes this of a KeyboardInterrupt, without a word
        say("interrupted")
    return code if isinstance(code, int) else 0


def heed_termination() -> None:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does: tidily, and with a word on how to go on."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(number, signal.default_int_handler)


def settle() -> None:
    """Write to nowhere what a caller has closed (`>&-`), draw into files whatever MPLBACKEND says, say warnings."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    os.environ["MPLBACKEND"] = "agg"
    if not os.environ.get(DEBUG):
        warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")


def explain(error: Exception) -> int:
    """Print the line for `error` and return its exit code."""
    if isinstance(error, UsageProblem):
        usage = str(error.format_message()).rstrip(".")  # type: ignore[attr-defined]  # every ClickException has it
        if usage:  # a bare `q-store` has already printed the help
            path = getattr(getattr(error, "ctx", None), "command_path", "q-store")
            say(f"error: {usage}; see {path} --help")
        return USAGE
    if isinstance(error, QStoreError):
        say(f"error: {error}")
        return USAGE
    if isinstance(error, OSError) and error.errno in REMEDIES:
        say(f"error: {error.filename or 'writing'}: {REMEDIES[error.errno]}")
        return USAGE
    if isinstance(error, MemoryError):
        say(f"error: expected enough memory, got none left ({error}); use less data or a smaller model")
        return USAGE
    text = str(error)
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    say(
        f"error: an unexpected {type(error).__name__}: {text}; this is a defect of q-store: run the command again "
        f"with {DEBUG}=1 and report the traceback"
    )
    return 1


def say(text: str) -> None:
    """One line on stderr, in the name of the program, whatever line breaks `text` has."""
    with suppress(BrokenPipeError):
        print(f"q-store: {' '.join(text.split())}", file=sys.stderr, flush=True)  # noqa: T201


def _silence() -> int:
    """Nobody reads stdout any more: drop what is still buffered, so that the interpreter exits quietly."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    return BROKEN_PIPE
