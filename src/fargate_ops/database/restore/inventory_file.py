"""The inventory's file of restored databases: it owns both variables; a person commits it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from fargate_ops.database.restore.target import Inventory

NAME = "database_restores.yml"
_HEAD = """\
---
# Written by `make restore`: commit it. Databases restored beside the original, by the second of their data (UTC), and
# which one serves: a key of these, or empty for the original. Removing a key destroys its database; the plan's guard
# refuses that unless it is allowed.
"""


def text(inventory: Inventory) -> str:
    """Return the file's content."""
    values = {
        "database_restores": {key: restore.to_plain() for key, restore in sorted(inventory.restores.items())},
        "database_serving": inventory.serving,
    }
    # Ansible's string types are unknown to YAML's safe dumper, but not to JSON's.
    return _HEAD + yaml.safe_dump(json.loads(json.dumps(values)), sort_keys=False, allow_unicode=True)


def write(path: Path, inventory: Inventory, *, preview: bool = False) -> bool:
    """Write the file and return whether it changed. Without restores there is no file."""
    wanted = text(inventory) if inventory.restores else None
    before = path.read_text(encoding="utf-8") if path.is_file() else None
    if before == wanted:
        return False
    if not preview:
        if wanted is None:
            path.unlink()
        else:
            path.write_text(wanted, encoding="utf-8")
    return True
