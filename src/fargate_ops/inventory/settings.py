"""The effective value of each setting of an inventory, and the place that sets it. Secrets are not shown."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fargate_ops.inventory.names import LOOKS_SECRET
from fargate_ops.inventory.values import VALUES
from fargate_ops.inventory.yaml_scan import Scan

HIDDEN = "(not shown)"
COMMAND_LINE = "-e of the command line"
#: Text that is a credential, whatever the variable's name: an address with a password, keys and tokens of AWS,
#: GitHub and Slack, a private key.
_CREDENTIAL = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@|\bA[KS]IA[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY|hooks\.slack\.com/services/"
    r"|\b(?:gh[oprsu]_|github_pat_|xox[a-z]-)\w"
)
_COLUMN = 60
_Path = tuple[str, ...]


@dataclass(frozen=True)
class Setting:
    """`place` is the file and line, or the command line."""

    name: str
    value: Any
    place: str


def names(scan: Scan, command_line: Iterable[str]) -> list[str]:
    """Return the variables that the inventory's files set, and those of the command line that are settings."""
    written = {path[0] for path in scan.places}
    return sorted(written | (VALUES.keys() & set(command_line)))


def effective(
    values: Mapping[str, Any], failures: Mapping[_Path, str], scan: Scan, command_line: Collection[str]
) -> list[Setting]:
    """Return the settings in the order of `names`.

    `values` and `failures` are what `resolved` returns for these names. If a template needs a value that only
    a run knows, the reason replaces the value.
    """
    plain = frozenset(map(str, values.get("app_plain_environment") or ()))
    found = []
    for name in names(scan, command_line):
        value = values.get(name)
        for path, why in failures.items():
            reason = f"(not known here: {why})"
            if path == (name,):
                value = reason
            elif path[0] == name:
                value = {**(value or {}), path[1]: reason}
        place = COMMAND_LINE if name in command_line else scan.places[(name,)]
        found.append(Setting(name, _shown(value, (name,), scan, plain), place))
    return found


def _shown(value: Any, path: _Path, scan: Scan, plain: Collection[str]) -> Any:
    """Return the value, with `HIDDEN` in place of anything that looks like a secret."""
    name = path[-1]
    declared = name in VALUES if len(path) == 1 else name in plain or str(value).startswith("arn:")
    if path in scan.encrypted or (LOOKS_SECRET.search(name) and not declared):
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(key): _shown(item, (*path, str(key)), scan, plain) for key, item in value.items()}
    if isinstance(value, str):
        return HIDDEN if _CREDENTIAL.search(value) else value
    return [_shown(item, path, scan, plain) for item in value] if isinstance(value, Sequence) else value


def text(settings: Sequence[Setting], environment: str, folder: str) -> str:
    """Return the settings as YAML, each with its place, and a line that counts them. `folder` is the environment's."""
    lines = [
        f"{f'{setting.name}: {json.dumps(setting.value, ensure_ascii=False)}':<{_COLUMN}}  # {setting.place}"
        for setting in settings
    ]
    given = sum(setting.place == COMMAND_LINE for setting in settings)
    own = sum(setting.place.startswith(f"{folder}/") for setting in settings)
    shared = len(settings) - own - given
    lines.append(
        f"{environment}: {len(settings)} settings, {own} from its own files, {shared} that environments share, "
        f"{given} from the command line; nothing was changed. "
        f"Next: set one in {folder}/group_vars/all/, then make plan ENV={environment}"
    )
    return "\n".join(lines)


def row(settings: Sequence[Setting], environment: str) -> dict[str, Any]:
    """Return the setting as plain values."""
    return {
        "environment": environment,
        "settings": {setting.name: {"value": setting.value, "from": setting.place} for setting in settings},
    }
