"""Task definitions that ECS refuses are refused.

What AWS does: a definition has at most 64 KiB
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html), and one name cannot be both a
variable and a secret. The messages are those of ECS (https://github.com/awsdocs/amazon-ecs-developer-guide/pull/149).
Without this patch: the emulator accepts both.
"""

from __future__ import annotations

import json
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends

MAX_BYTES = 64 * 1024


@extends("ecs", "RegisterTaskDefinition")
def register_task_definition(register: Handler, data: dict[str, Any]) -> Any:
    why = refusal(data)
    if why:
        return emulator.service("ecs").error_response_json("ClientException", why, 400)
    return register(data)


def refusal(definition: dict[str, Any]) -> str:
    """Return why ECS refuses a definition, or an empty string if ECS accepts it."""
    size = len(json.dumps(definition, ensure_ascii=False).encode())
    if size > MAX_BYTES:
        return f"Actual length: '{size}'. Max allowed length is '{MAX_BYTES}' bytes."
    for container in definition.get("containerDefinitions") or []:
        variables = {item["name"] for item in container.get("environment") or []}
        for secret in container.get("secrets") or []:
            if secret["name"] in variables:
                return (
                    "The secret name must be unique and not shared with any new or existing environment variables set "
                    f"on the container, such as '{secret['name']}'."
                )
            variables.add(secret["name"])
    return ""
