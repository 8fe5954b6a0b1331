"""Filter `terraform_values`: what ``terraform output -json`` says, without its wrapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def terraform_values(outputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """``{"url": {"value": "http://…", "type": "string"}}`` → ``{"url": "http://…"}``"""
    return {name: output["value"] for name, output in outputs.items()}


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"terraform_values": terraform_values}
