"""An action plugin's arguments, read from its own DOCUMENTATION, so that the two cannot differ."""

from __future__ import annotations

from typing import Any

import yaml

_SPEC_KEYS = ("type", "required", "default", "elements", "choices", "no_log")


def argument_spec(documentation: str) -> dict[str, dict[str, Any]]:
    """What ``validate_argument_spec`` takes, from the ``options`` of a DOCUMENTATION block."""
    return _options(yaml.safe_load(documentation)["options"])


def _options(documented: dict[str, Any]) -> dict[str, dict[str, Any]]:
    spec = {}
    for name, option in documented.items():
        spec[name] = {key: option[key] for key in _SPEC_KEYS if key in option}
        if "suboptions" in option:
            spec[name]["options"] = _options(option["suboptions"])
    return spec
