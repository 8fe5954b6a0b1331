"""Terraform's plans and states stay on the runner: an artifact can be read by everybody who can read the repository."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path, PurePath
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[3]
FILES = sorted([*PROJECT.glob(".github/workflows/*.yml"), *PROJECT.glob(".github/actions/*/action.yml")])
KEPT = PurePath(".local/production/terraform/environment/apply.txt")


def steps(document: dict[str, Any]) -> list[dict[str, Any]]:
    parts = [*document.get("jobs", {}).values(), document.get("runs", {})]
    return [step for part in parts for step in part.get("steps", [])]


def published(step: dict[str, Any]) -> list[str]:
    """Return the paths that a step uploads or caches."""
    action = step.get("uses", "")
    return step["with"]["path"].split() if action.startswith(("actions/upload-artifact", "actions/cache")) else []


def covers(path: str) -> bool:
    resolved = path.removeprefix("${{ github.workspace }}/").removeprefix("./") or "."
    return KEPT.is_relative_to(resolved) or any(fnmatch(str(part), resolved) for part in (KEPT, *KEPT.parents))


@pytest.mark.parametrize("file", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_no_workflow_publishes_a_plan(file: Path) -> None:
    paths = [path for step in steps(yaml.safe_load(file.read_text())) for path in published(step)]
    assert not [path for path in paths if covers(path)]


def test_what_would_publish_it_is_found() -> None:
    assert all(map(covers, [".", ".local", "./.local/", ".local/*/terraform", ".local/**/*.txt", "**"]))
    assert not any(map(covers, [".local/production/cost/", "~/.cache/fargate-ops"]))
    (upload,) = [
        step
        for file in FILES
        for step in steps(yaml.safe_load(file.read_text()))
        if "cost-report" in str(step) and published(step)
    ]
    assert published(upload) == [".local/production/cost/"]
