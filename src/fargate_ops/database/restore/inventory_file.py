"""The inventory's file of what was restored: one owner of both variables, written here and committed by a person."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from fargate_ops.database.restore.target import Inventory

NAME = "database_restores.yml"
_HEAD = """\
---
# Written by `make restore`: commit it. Databases restored beside the original, by the second of their data (UTC), and
# which one serves: a key of these, or empty for the original. Removing one destroys it: the plan's guard asks first.
"""


def text(inventory: Inventory) -> str:
    """The whole file."""
    values = {
        "database_restores": {key: restore.to_plain() for key, restore in sorted(inventory.restores.items())},
        "database_serving": inventory.serving,
    }
    # Ansible's strings are of types of its own, which YAML's safe dumper does not know; JSON's does.
    return _HEAD + yaml.safe_dump(json.loads(json.dumps(values)), sort_keys=False, allow_unicode=True)


def write(path: Path, inventory: Inventory, *, preview: bool = False) -> bool:
    """Write the file; whether it differs. Without any restore there is none."""
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
