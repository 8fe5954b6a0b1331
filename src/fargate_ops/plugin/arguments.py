"""Read an action plugin's arguments from its own DOCUMENTATION, so that the two cannot differ."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import yaml

_SPEC_KEYS = ("type", "required", "default", "elements", "choices", "no_log")


def argument_spec(documentation: str) -> dict[str, dict[str, Any]]:
    """Return the argument of ``validate_argument_spec`` for the ``options`` of a DOCUMENTATION and its fragments."""
    documented = yaml.safe_load(documentation)
    names = documented.get("extends_documentation_fragment", [])
    parts = [*(yaml.safe_load(_fragment(name)) for name in names), documented]
    return {name: spec for part in parts for name, spec in _options(part.get("options", {})).items()}


def _fragment(name: str) -> str:
    """Return the section of a file in ``doc_fragments/``, as ``operations.stack``; ansible-doc reads the same files.

    https://docs.ansible.com/ansible/latest/dev_guide/developing_modules_documenting.html#documentation-fragments
    """
    file, _, section = name.partition(".")
    fragment = import_module(f"fargate_ops.plugin.doc_fragments.{file}").ModuleDocFragment
    return str(getattr(fragment, section.upper() or "DOCUMENTATION"))


def _options(documented: dict[str, Any]) -> dict[str, dict[str, Any]]:
    spec = {}
    for name, option in documented.items():
        spec[name] = {key: option[key] for key in _SPEC_KEYS if key in option}
        if "suboptions" in option:
            spec[name]["options"] = _options(option["suboptions"])
    return spec
