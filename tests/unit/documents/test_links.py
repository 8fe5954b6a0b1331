"""Every link within the repository leads to an existing file and heading; the map names existing files."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.e2e.documents import REPOSITORY

DOCUMENTS = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    check=True,
).stdout.splitlines()


def _prose(document: Path) -> str:
    """The text without its blocks of code."""
    return re.sub(r"(?ms)^ *```.*?^ *```$", "", document.read_text(encoding="utf-8"))


def _anchors(document: Path) -> set[str]:
    """The headings as GitHub links to them."""
    headings = re.findall(r"(?m)^#+ (.+)$", _prose(document))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_link_leads_somewhere(document: str) -> None:
    here = REPOSITORY / document
    for link in re.findall(r"\]\(([^)\s]+)\)", _prose(here)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = here.parent / path if path else here
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def test_the_map_names_what_exists() -> None:
    text = _prose(REPOSITORY / "docs/where-things-are.md")
    settings = text.partition("## Settings of an environment")[2].partition("## Release")[0]
    files = re.findall(r"\| [^|]+ \| `(\w+\.yml)`", settings)
    # What is below .local/ is made by a run.
    paths = re.findall(r"`(?!\.local/)([\w.-]+/[\w./-]+)`", text)
    assert len(files) > 5
    assert len(paths) > 50
    # Written by `make restore` only.
    places = [f"inventory/staging/group_vars/all/{name}" for name in files if name != "database_restores.yml"]
    assert [path for path in [*paths, *places] if not (REPOSITORY / path).exists()] == []


def test_the_layers_are_those_that_are_checked() -> None:
    (contract,) = (
        item
        for item in tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
        if item["type"] == "layers" and item["containers"] == ["fargate_ops"]
    )
    table = (REPOSITORY / "docs/architecture.md").read_text().partition("| packages | about |")[2].partition("\n\n")[0]
    rows = [re.findall(r"`(\w+)`", cell) for cell in re.findall(r"(?m)^\| (`[^|]+) \|", table)]
    assert rows == [layer.split(" | ") for layer in contract["layers"]]
