"""Write the output files of a command."""

from __future__ import annotations

from pathlib import Path


def write_file(path: Path, content: str) -> None:
    """Write `content`, and create the file's folder if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
