"""The lines for other clients in docs/offline.md, as they stand, in those clients' own environments."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from q_store.emulator import Emulator

ROOT = Path(__file__).resolve().parents[2]
KEY = "a-key-of-the-tests"
BLOCK = re.compile(r"<!-- client: ([\w-]+) -->\n```py\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = dict(BLOCK.findall((ROOT / "docs" / "offline.md").read_text(encoding="utf-8")))


@pytest.mark.socket
@pytest.mark.slow
@pytest.mark.parametrize("client", BLOCKS)
def test_the_lines_for_a_client_run(client, tmp_path):
    python = ROOT / ".venv-clients" / client / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no environment for {client}: `make clients` makes it")
    with Emulator(keys=[KEY]) as emulator:
        place = {"IONQ_API_URL": emulator.url, "IONQ_REMOTE_HOST": emulator.url.removesuffix("/v0.4")}
        run = subprocess.run(
            [python, "-c", BLOCKS[client]], env={**os.environ, **place, "IONQ_API_KEY": KEY}, cwd=tmp_path,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert emulator.ledger()["accepted_circuits"] == 1
    assert run.stdout.strip()


def test_there_are_lines_for_every_client():
    assert set(BLOCKS) == {"qiskit", "cirq", "ionq-core", "pennylane"}
