"""Pages and pictures on the disk; nothing of anybody else is written over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from q_store.drawing import markup as html
from q_store.drawing import raster
from q_store.errors import ConfigError
from q_store.files import refused, write_atomically, write_text


def save(file: Path, page: str) -> None:
    """Write a page over nothing, or over an earlier one. Raises ConfigError for any other file."""
    if file.exists():
        try:
            with file.open("rb") as there:
                own = there.read(len(html.MARK)) == html.MARK.encode()
        except OSError as error:
            raise refused(file, error) from error
        if not own:
            raise ConfigError(f"expected --out of a new file, or of an earlier report, got {file}, which is neither")
    write_text(file, page)


def save_pictures(folder: Path, drawn: Mapping[str, str]) -> None:
    """Write each picture as SVG and as PNG. Raises StorageError when the disk refuses."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refused(folder, error) from error
    for name, picture in drawn.items():
        write_text(folder / f"{name}.svg", picture)
        write_atomically(folder / f"{name}.png", raster.png(picture))
