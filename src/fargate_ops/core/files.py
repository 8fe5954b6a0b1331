"""Files that a command leaves for people and machines."""

from __future__ import annotations

from pathlib import Path


def write_file(path: Path, content: str) -> None:
    """Write `content`, and make the folder that the file is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
