"""Whole screens as files, with times masked."""

from __future__ import annotations

import os
import re
from pathlib import Path

#: Set it to write the files anew; then review the difference.
RENEW = "RENEW_SCREENS"

_MASKS = (
    (r"\d{8}T\d{6}", "TIME"),
    (r"\b\d+ min \d+ s\b|\b\d+(\.\d+)? s\b", "N s"),
    (r"\x1b\[(\d+)m", r"{\1}"),
)


def check(file: Path, screen: str, *masks: tuple[str, str]) -> None:
    """Compare a screen with the file.

    Args:
        masks: what else differs from run to run, as pairs of a regular expression and its replacement.
    """
    for pattern, text in (*_MASKS, *masks):
        screen = re.sub(pattern, text, screen)
    if os.environ.get(RENEW):
        file.parent.mkdir(exist_ok=True)
        file.write_text(screen)
    assert screen == file.read_text(), f"another screen than {file.name}; {RENEW}=1 writes it anew"
