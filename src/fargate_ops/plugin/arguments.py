"""An action plugin's arguments, read from its own DOCUMENTATION, so that the two cannot differ."""

from __future__ import annotations

from typing import Any

import yaml
from ansible.plugins.loader import fragment_loader

_SPEC_KEYS = ("type", "required", "default", "elements", "choices", "no_log")


def argument_spec(documentation: str) -> dict[str, dict[str, Any]]:
    """What ``validate_argument_spec`` takes, from the ``options`` of a DOCUMENTATION block and of its fragments.

    Ansible finds a fragment in ``doc_fragments`` of the role that runs:
    https://docs.ansible.com/ansible/latest/dev_guide/developing_modules_documenting.html#documentation-fragments
    """
    documented = yaml.safe_load(documentation)
    fragments = [fragment_loader.get(name) for name in documented.get("extends_documentation_fragment", [])]
    parts = [*(yaml.safe_load(fragment.DOCUMENTATION) for fragment in fragments), documented]
    return {name: spec for part in parts for name, spec in _options(part["options"]).items()}


def _options(documented: dict[str, Any]) -> dict[str, dict[str, Any]]:
    spec = {}
    for name, option in documented.items():
        spec[name] = {key: option[key] for key in _SPEC_KEYS if key in option}
        if "suboptions" in option:
            spec[name]["options"] = _options(option["suboptions"])
    return spec
