"""Resolve the templates of variables one by one, so that every failure is found at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleError

_Path = tuple[str, ...]


def resolved(
    names: Iterable[str], variables: Mapping[str, Any], template: Callable[[Any], Any]
) -> tuple[dict[str, Any], dict[_Path, str]]:
    """Return the values of those `names` that are set, and by path why one cannot be resolved.

    `template` is Ansible's. A map lacks the keys that cannot be resolved.
    """
    values: dict[str, Any] = {}
    failures: dict[_Path, str] = {}
    for name in names:
        if name not in variables:
            continue
        raw = variables[name]
        if isinstance(raw, Mapping):
            values[name] = {}
            for key, item in raw.items():
                _resolve(values[name], key, (name, str(key)), item, template, failures)
        else:
            _resolve(values, name, (name,), raw, template, failures)
    return values, failures


def _resolve(
    into: dict[str, Any],
    key: str,
    path: _Path,
    raw: Any,
    template: Callable[[Any], Any],
    failures: dict[_Path, str],
) -> None:
    try:
        into[key] = template(raw)
    except (AnsibleError, RecursionError) as error:
        failures[path] = " ".join(str(error).split()).rstrip(".")
