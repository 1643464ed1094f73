"""Fail when a source file has over 400 lines or a function over 50; print the medians.

Usage: python tools/check_sizes.py [FOLDER ...]   (default: src)
A function is counted from `def` to its last line, docstring included, decorators not.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from statistics import median

MAX_FILE = 400
MAX_FUNCTION = 50


def functions(path: Path, source: str) -> list[tuple[int, str]]:
    """(lines, `file:line name`) of each function and method in `source`."""
    return [
        ((node.end_lineno or node.lineno) - node.lineno + 1, f"{path}:{node.lineno} {node.name}()")
        for node in ast.walk(ast.parse(source, filename=str(path)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def report(kind: str, sizes: list[tuple[int, str]], limit: int) -> bool:
    """Print one line for `kind` and one for each offender; true when there is none."""
    lines = [size for size, _ in sizes]
    if lines:
        print(f"{kind}: {len(lines)}, median {median(lines):g} lines, longest {max(lines)} (limit {limit})")
    too_long = sorted(((size, name) for size, name in sizes if size > limit), reverse=True)
    for size, name in too_long:
        print(f"  {name} has {size} lines, expected at most {limit}: split it")
    return not too_long


def main(folders: list[str]) -> int:
    """Check every Python file below `folders`; 0 when all are within the limits, 1 when not, 2 without a file."""
    paths = sorted(path for folder in folders for path in Path(folder).rglob("*.py"))
    if not paths:
        print(f"no Python file below {', '.join(folders)}: give a folder with sources")
        return 2
    sources = {path: path.read_text(encoding="utf-8") for path in paths}
    files_fit = report("files", [(len(text.splitlines()), str(path)) for path, text in sources.items()], MAX_FILE)
    all_functions = [size for path, text in sources.items() for size in functions(path, text)]
    functions_fit = report("functions", all_functions, MAX_FUNCTION)
    return 0 if files_fit and functions_fit else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["src"]))
