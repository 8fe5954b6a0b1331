from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).parents[3]


def test_the_base_is_pinned_where_dependabot_looks() -> None:
    """Dependabot follows no ARG, and updates only an existing digest."""
    assert re.search(
        r"^FROM python:3\.13-slim-\w+@sha256:[0-9a-f]{64}$", (PROJECT / "app/api/Dockerfile.base").read_text(), re.M
    )
    assert "directory: /app/api" in (PROJECT / ".github/dependabot.yml").read_text()
