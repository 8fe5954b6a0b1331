"""Read an inventory in this process as Ansible does: its variables, and Ansible's templating of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, lookup_loader
from ansible.template import Templar
from ansible.vars.manager import VariableManager

PROJECT = Path(__file__).parents[2]
INVENTORIES = PROJECT / "inventory"
#: Files of the playbooks and of preflight that add variables to an inventory's.
_BENEATH = (
    "playbooks/group_vars/all/controller.yml",
    "playbooks/group_vars/all/terraform.yml",
    "roles/preflight/defaults/main.yml",
)


#: Settings that preflight requires and that a shipped inventory leaves to its user.
_ANSWERS = {
    "production": (
        "https_hosted_zone_id: Z0123456789ABCDEFGHIJ",
        "https_domain_name: settlement.example.com",
        "notifications_slack: true",
    ),
}


def answers(name: str) -> tuple[str, ...]:
    """Return the settings that a user must add to a shipped inventory, as values of `-e`."""
    return _ANSWERS.get(name, ())


@dataclass(frozen=True)
class Inventory:
    """An inventory's unresolved variables, and the function that resolves a value."""

    variables: Mapping[str, Any]
    template: Callable[[Any], Any]

    def changed(self, **values: Any) -> Inventory:
        """Return a copy with these values changed."""
        variables = {**self.variables, **values}
        return Inventory(variables, Templar(loader=DataLoader(), variables=variables).template)


def read(folder: Path, *extra_vars: str) -> Inventory:
    """Read the inventory in a folder, with these values of `-e`."""
    _plugins()
    loader = DataLoader()
    loader.set_basedir(str(PROJECT / "playbooks"))
    hosts = InventoryManager(loader=loader, sources=[str(folder)])
    (host,) = hosts.get_hosts("controller")
    variables: dict[str, Any] = VariableManager(loader=loader, inventory=hosts).get_vars(host=host)
    for file in _BENEATH:
        variables = loader.load_from_file(str(PROJECT / file), trusted_as_template=True) | variables
    for text in extra_vars:
        variables |= loader.load(text)
    return Inventory(variables, str).changed(playbook_dir=str(PROJECT / "playbooks"))


@cache
def _plugins() -> None:
    init_plugin_loader()
    lookup_loader.add_directory(str(PROJECT / "playbooks/lookup_plugins"))
