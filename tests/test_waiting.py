"""Waiting for coroutines from plain functions: one loop, interrupts, notebooks, forks, a silent end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest

from q_store.waiting import launch, wait


async def loop_and_thread():
    await asyncio.sleep(0)
    return id(asyncio.get_running_loop()), threading.get_ident()


def test_every_call_waits_in_the_same_loop_and_not_in_this_thread():
    first = wait(loop_and_thread())
    assert wait(loop_and_thread()) == first
    assert first[1] != threading.get_ident()


def test_an_error_reaches_the_caller():
    async def broken():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        wait(broken())


def test_it_works_inside_a_running_loop():
    async def notebook():
        return wait(loop_and_thread())

    assert asyncio.run(notebook()) == wait(loop_and_thread())


def test_inside_its_own_loop_it_refuses_to_wait_for_itself():
    async def nested():
        return wait(loop_and_thread())

    with pytest.raises(RuntimeError, match="await instead"):
        wait(nested())


def test_an_interrupt_cancels_and_waits_for_the_cleaning_up():
    story = []

    async def endless():
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            story.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        wait(endless())
    assert story == ["cleaned up"]
    assert wait(loop_and_thread())


FORK = """
import asyncio, os
from q_store.waiting import wait
async def one(): return 1
wait(one())
pid = os.fork()
if pid == 0:
    os._exit(wait(one()))
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
PENDING = """
import asyncio
from q_store.waiting import wait
async def leave_behind():
    task = asyncio.create_task(asyncio.Event().wait())
    wait.kept = task
wait(leave_behind())
print(1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("program", [FORK, PENDING], ids=["fork", "pending"])
def test_a_forked_child_waits_too_and_the_end_is_silent(program):
    run = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (0, "1\n", "")


def test_a_launched_coroutine_runs_beside_its_caller_and_can_be_canceled():
    started, ended = threading.Event(), threading.Event()

    async def forever():
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def seven():
        return 7

    future = launch(forever())
    assert started.wait(30)
    assert launch(seven()).result(30) == 7
    assert not future.done()
    assert future.cancel()
    assert ended.wait(30)
