"""Find values that YAML reads as something else, repeated keys, and the place of each value.

Ansible reads YAML 1.1: 1.10 is the number 1.1, 0012345 the number 5349, 12:30:00 the number 45000. A plain scalar
passes if its value, written as text again, is the same text. https://yaml.org/type/int.html, float.html, timestamp.html
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from fargate_ops.core.problem import Problem
from fargate_ops.inventory.names import LOOKS_SECRET

_CHANGEABLE = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp"})
_SUFFIXES = frozenset({"", ".yml", ".yaml", ".json"})
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_VAULT = "$ANSIBLE_VAULT;"
_Path = tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A file of the inventory, or variables of the command line. `name` is for people.

    `group`: sources of one group form one set of variables, in which a variable may be set once.
    """

    name: str
    text: str
    group: str = ""


@dataclass
class Scan:
    """`places` are file and line by variable and key; `changed` are the paths that YAML reads as another value.

    `encrypted` are the paths of values that Ansible Vault encrypts.
    """

    places: dict[_Path, str] = field(default_factory=dict)
    changed: set[_Path] = field(default_factory=set)
    encrypted: set[_Path] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


def sources(inventory: Path, project: Path, extra_vars: Sequence[str] = ()) -> list[Source]:
    """Return the variables' files of an inventory, then `-e` of the command line. Later ones override."""
    files = [
        file
        for folder in ("group_vars/all", "group_vars", "host_vars")
        for file in sorted((inventory / folder).rglob("*"))
        if file.is_file() and file.suffix in _SUFFIXES and not file.name.startswith(".")
    ]
    found = [_source(file, project) for file in dict.fromkeys(files)]
    for given in extra_vars:
        if given.startswith("@"):
            found.append(_source(Path(given[1:]), project, "-e"))
        elif given.lstrip().startswith(("{", "[")):
            found.append(Source("-e", given, given))
    return [source for source in found if not source.text.startswith(_VAULT)]


def _source(file: Path, project: Path, group: str = "") -> Source:
    # A link is shown as the file to correct. Shared files are a group of their own: an environment may override them.
    real = Path(os.path.normpath(file.parent / file.readlink())) if file.is_symlink() else file
    shown = real.relative_to(project) if real.is_relative_to(project) else real
    # group_vars/all/ is one set of variables, and so is group_vars/all.yml.
    alone = file.parent.name in ("group_vars", "host_vars")
    text = file.read_text(encoding="utf-8", errors="replace")
    return Source(str(shown), text, group or str(shown if alone else shown.parent))


def scan(given: Sequence[Source]) -> Scan:
    """Scan all sources."""
    result = Scan()
    homes: dict[tuple[str, str], str] = {}
    for source in given:
        try:
            root = yaml.compose(source.text, Loader=_LOADER)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"{source.name}:{mark.line + 1}" if mark else source.name
            what = getattr(error, "problem", None) or "unknown error"
            result.problems.append(Problem(f"This is not YAML: {what}.", place, "correct it"))
            continue
        if not isinstance(root, yaml.MappingNode):
            continue
        for key, _ in root.value:
            home, place = (source.group, str(key.value)), f"{source.name}:{key.start_mark.line + 1}"
            other = homes.setdefault(home, place)
            if other != place and not other.startswith(f"{source.name}:"):
                what = f"{key.value} is set twice, and the second hides the first."
                result.problems.append(Problem(what, f"{other} and {place}", "remove one of them"))
        names = {str(key.value) for key, _ in root.value}
        # Ansible takes a variable as a whole from the source that overrides.
        for path in [path for path in result.places if path[0] in names]:
            del result.places[path]
        result.encrypted = {path for path in result.encrypted if path[0] not in names}
        _scan(root, (), source.name, result)
    return result


def _scan(node: yaml.Node, path: _Path, name: str, result: Scan) -> None:
    place = f"{name}:{node.start_mark.line + 1}"
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            inner, line = (*path, str(key.value)), key.start_mark.line + 1
            if key.value in lines:
                what = f"{'.'.join(inner)} is set twice, and the second hides the first."
                where = f"{name}:{lines[key.value]} and {name}:{line}"
                result.problems.append(Problem(what, where, "remove one of them"))
            lines[key.value] = line
            result.places[inner] = f"{name}:{line}"
            _scan(value, inner, name, result)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _scan(item, path, name, result)
    elif node.tag == "!vault":
        result.encrypted.add(path)
    elif isinstance(node, yaml.ScalarNode) and node.tag in _CHANGEABLE and node.style in (None, ""):
        try:
            value = yaml.safe_load(node.value)
        except ValueError as error:  # 2026-02-30
            value = error
        if str(value) != node.value or node.tag.endswith("timestamp"):
            result.changed.add(path)
            variable = ".".join(path)
            if path and LOOKS_SECRET.search(path[-1]):
                what, next_step = f"YAML reads {variable} as another value than is written.", "put it in quotes"
            else:
                what = f"{variable} is written {node.value}, which YAML reads as {value}."
                next_step = f'put it in quotes: "{node.value}"'
            result.problems.append(Problem(what, f"{variable} ({place})", next_step))
