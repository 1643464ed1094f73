"""Run the demo and put what it printed, shortened, and its two pictures into the documents.

    python tools/docs_demo.py        (in the environment that q-store is installed in; the same command as `make demo`)

Epochs in the middle are replaced by one line; nothing else is changed. Run it on a machine without other work: the
times are printed as they were.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
PICTURES = ("confusion.png", "learning_curve.png")
SECTION = re.compile(r"(<!-- demo -->\n).*?(<!-- end of demo -->)", re.DOTALL)
EPOCH = re.compile(r"^epoch +\d+/\d+ ")
SHOWN = 2
"""Epochs at the beginning and at the end that stay."""
WIDTH = "116"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        printed = demo(Path(folder))
        (run,) = Path(folder, "runs").iterdir()
        IMAGES.mkdir(parents=True, exist_ok=True)
        for name in PICTURES:
            shutil.copyfile(run / name, IMAGES / name)
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    block = f"```text\n$ make demo\n{shortened(printed)}\n```\n"
    readme.write_text(SECTION.sub(lambda match: f"{match[1]}{block}{match[2]}", text), encoding="utf-8")
    print(shortened(printed))
    return 0


def demo(folder: Path) -> str:
    """What `q-store train compact` prints when it does not print to a terminal."""
    command = [sys.executable, "-m", "q_store", "train", "compact"]
    environment = {**os.environ, "COLUMNS": WIDTH, "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def shortened(printed: str) -> str:
    """The output without the epochs in the middle."""
    lines = [line.rstrip() for line in printed.strip().splitlines()]
    epochs = [number for number, line in enumerate(lines) if EPOCH.match(line)]
    hidden = set(epochs[SHOWN:-SHOWN])
    kept = (
        [
            "..." if number == min(hidden) else line
            for number, line in enumerate(lines)
            if number not in hidden or number == min(hidden)
        ]
        if hidden
        else lines
    )
    return "\n".join(kept)


if __name__ == "__main__":
    sys.exit(main())
