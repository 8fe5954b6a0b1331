"""Inventories as Ansible reads them, in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.vars.manager import VariableManager

from roles.preflight.python import written
from roles.preflight.python.inventory import Given, check
from roles.preflight.python.problem import Problem
from roles.preflight.python.resolve import resolved
from roles.preflight.python.values import VALUES

PROJECT = Path(__file__).parents[3]


@cache
def _plugins() -> None:
    init_plugin_loader()


def read(inventory: Path, extra_vars: Sequence[str] = ()) -> Given:
    """What the check is given of an inventory, with the playbooks' variables and the role's defaults."""
    _plugins()
    loader = DataLoader()
    loader.set_basedir(str(PROJECT / "playbooks"))
    hosts = InventoryManager(loader=loader, sources=[str(inventory)])
    (host,) = hosts.get_hosts("controller")
    variables: dict[str, Any] = VariableManager(loader=loader, inventory=hosts).get_vars(host=host)
    for file in ("playbooks/group_vars/all/controller.yml", "roles/preflight/defaults/main.yml"):
        variables = loader.load_from_file(str(PROJECT / file), trusted_as_template=True) | variables
    for text in extra_vars:
        variables |= loader.load(text)
    variables["playbook_dir"] = str(PROJECT / "playbooks")
    template = Templar(loader=loader, variables=variables).template
    return Given(*resolved(VALUES, variables, template), written.sources(inventory, inventory, extra_vars))


@cache
def good_values() -> dict[str, Any]:
    return dict(read(PROJECT / "inventory/staging").values)


@pytest.fixture
def problems() -> Callable[..., list[Problem]]:
    """The problems of staging's inventory with other values, which are None where one is not set."""

    def find(**changes: Any) -> list[Problem]:
        return list(check(Given(good_values() | changes)).problems)

    return find


@pytest.fixture
def inventory(tmp_path: Path) -> Callable[[str], list[Problem]]:
    """The problems of an inventory whose file of the application ends with this text, or has it in place of a value."""

    def find(text: str) -> list[Problem]:
        folder = tmp_path / "staging"
        files = folder / "group_vars/all"
        files.mkdir(parents=True, exist_ok=True)
        (folder / "hosts.yml").write_text((PROJECT / "inventory/staging/hosts.yml").read_text())
        changed = set(yaml.compose(text).value and [key.value for key, _ in yaml.compose(text).value])
        for source in (PROJECT / "inventory/staging/group_vars/all").glob("*.yml"):
            values = {key: value for key, value in yaml.safe_load(source.read_text()).items() if key not in changed}
            (files / source.name).write_text(yaml.safe_dump(values))
        (files / "changed.yml").write_text(text)
        return list(check(read(folder)).problems)

    return find
