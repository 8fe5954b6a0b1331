"""Rules of playbooks and roles: short playbooks, facts that replace no input, each default in one place."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[3]
PLAYBOOKS = sorted((REPOSITORY / "playbooks").glob("*.yml"))
ROLES = sorted(path.parents[1] for path in REPOSITORY.glob("roles/*/meta/argument_specs.yml"))
PLAYBOOK = pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
ROLE = pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
LINES = 40


def _read(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def _values(node: Any, key: str) -> Iterator[Any]:
    """Yield every value of a key, at any depth."""
    if isinstance(node, dict):
        yield from (value for name, value in node.items() if name == key)
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _values(child, key)


def _facts(node: Any) -> set[str]:
    return {name for fact in _values(node, "ansible.builtin.set_fact") for name in fact}


@PLAYBOOK
def test_a_playbook_is_short_and_begins_with_its_usage(playbook: Path) -> None:
    lines = playbook.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LINES
    assert lines[1].startswith("# ")


@PLAYBOOK
def test_a_play_lists_roles_or_tasks_and_sets_no_fact(playbook: Path) -> None:
    plays = _read(playbook)
    assert all("name" in play for play in plays)
    assert not [play for play in plays if "roles" in play and "tasks" in play]
    assert not [play for play in plays if "hosts" in play and play["gather_facts"]]
    assert not _facts(plays)


@ROLE
def test_a_role_sets_no_fact_over_an_input(role: Path) -> None:
    specs = _read(role / "meta/argument_specs.yml")["argument_specs"]
    inputs = {name for spec in specs.values() for name in spec.get("options", {})}
    tasks = [_read(file) for file in sorted((role / "tasks").glob("*.yml"))]
    assert not _facts(tasks) & inputs


@ROLE
def test_a_default_stands_in_the_roles_defaults_or_in_the_shared_inventory(role: Path) -> None:
    """Ansible ignores a default in the argument specs."""
    assert not list(_values(_read(role / "meta/argument_specs.yml"), "default"))
    assert not _read(role / "defaults/main.yml").keys() & _read(REPOSITORY / "inventory/shared.yml").keys()


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Yield every value of a document, at any depth; a key is none."""
    if isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            yield from _scalars(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _scalars(item)
    elif isinstance(node, yaml.ScalarNode):
        yield node


def test_the_operations_name_no_application() -> None:
    """The application's name is a value of the inventory: any other application can take its place."""
    name = str(_read(REPOSITORY / "inventory/shared.yml")["app_name"]).lower()
    listed = subprocess.run(
        ["git", "ls-files", "-z", "playbooks", "roles", "terraform", "src", "inventory"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    found = []
    for path in filter(None, listed.split("\0")):
        file = REPOSITORY / path
        if not file.is_file():  # removed and not yet committed
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        count = f"{path}\n{text}".lower().count(name)
        if path.startswith("inventory/"):
            document = yaml.compose(text)
            count -= sum(value.value.lower().count(name) for value in _scalars(document)) if document else 0
        if count:
            found.append(path)
    assert found == []


def test_the_rules_find_something_to_read() -> None:
    assert len(PLAYBOOKS) > 20
    assert len(ROLES) > 20
    assert any(_facts([_read(file) for file in (role / "tasks").glob("*.yml")]) for role in ROLES)
