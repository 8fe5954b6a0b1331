"""Every picture of the docs is small, has a description, and shows what the code says now (`make pictures`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from docs import drawing, shares
from tests.e2e.documents import REPOSITORY
from tests.unit.documents.test_links import DOCUMENTS

FOLDER = REPOSITORY / "docs/pictures"
PICTURES = {"architecture.svg", "console.png", "cost-report.png", "release.svg", "strategies.svg"}
SHOWN: dict[str, list[str]] = json.loads((FOLDER / "shown.json").read_text(encoding="utf-8"))
SOURCE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docs/architecture.yml").read_text(encoding="utf-8"))
LARGEST = 150_000


def test_there_are_these_pictures() -> None:
    assert {path.name for path in FOLDER.iterdir()} == PICTURES | {"shown.json"}


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_a_picture_is_small_and_described_where_it_stands(name: str) -> None:
    assert (FOLDER / name).stat().st_size < LARGEST
    descriptions = [
        description
        for document in DOCUMENTS
        for description, link in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", (REPOSITORY / document).read_text())
        if ((REPOSITORY / document).parent / link).resolve() == FOLDER / name
    ]
    assert descriptions
    assert min(map(len, descriptions)) > 40


@pytest.mark.parametrize("name", sorted(name for name in PICTURES if name.endswith(".svg")))
def test_a_drawing_loads_nothing(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert not re.search(r"<script|<image|href|@import|url\((?!#)", text)


def test_the_architecture_is_drawn_from_its_source() -> None:
    assert (FOLDER / "architecture.svg").read_text(encoding="utf-8") == drawing.svg(SOURCE)


def test_the_strategies_are_drawn_from_their_source() -> None:
    assert (FOLDER / "strategies.svg").read_text(encoding="utf-8") == shares.svg()


def test_the_architecture_has_every_module_of_terraform() -> None:
    drawn = {module for box in SOURCE["boxes"].values() for module in box.get("modules", [])}
    assert drawn == {path.name for path in (REPOSITORY / "terraform/modules").iterdir()}


def test_the_terminal_shows_the_steps_of_a_release() -> None:
    *shown, outcome = _marked(FOLDER / "release.svg")
    assert "Release and verify it" in shown
    assert set(shown) <= set(_steps(REPOSITORY / "playbooks/release.yml"))
    assert outcome.startswith("local: ")


def _marked(picture: Path) -> Iterator[str]:
    """Yield what stands after a mark at the beginning of a line, up to two spaces."""
    lines = list(ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text"))  # noqa: S314 - ours
    for line in lines:
        found = re.match(r"[^\w\s$] (.+?)(?:  |$)", "".join(line.itertext()))
        if found and line[0].get("x") == lines[0][0].get("x"):
            yield found[1]


def _steps(playbook: Path) -> Iterator[str]:
    """Yield the names of plays and tasks, also of imported playbooks."""
    for play in yaml.safe_load(playbook.read_text(encoding="utf-8")):
        yield play["name"]
        if imported := play.get("ansible.builtin.import_playbook"):
            yield from _steps(playbook.parent / imported)
        yield from _names(play.get("tasks", []))


def _names(tasks: list[dict[str, Any]]) -> Iterator[str]:
    for task in tasks:
        yield task["name"]
        for part in ("block", "always"):
            yield from _names(task.get(part, []))


@pytest.mark.parametrize(
    ("picture", "page"),
    [
        ("console.png", "src/fargate_ops/console/static/index.html"),
        ("cost-report.png", "roles/cost_report/templates/report.html.j2"),
    ],
)
def test_a_page_has_the_headings_of_its_picture(picture: str, page: str) -> None:
    source = (REPOSITORY / page).read_text(encoding="utf-8")
    headings = [re.sub(r"{{.*?}}", "\0", text) for text in re.findall(r"<h2[^>]*>(.*?)</h2>", source)]
    patterns = [re.escape(text).replace("\0", ".+") for text in headings]
    assert [text for text in SHOWN[picture] if not any(re.fullmatch(pattern, text) for pattern in patterns)] == []
    assert len(SHOWN[picture]) >= len(headings) / 2
