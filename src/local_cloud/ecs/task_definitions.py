"""A task definition is refused where ECS refuses it.

What AWS does: 64 KiB are the most that a definition may have
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html), and one name cannot be both a
variable and a secret. The words are ECS's (https://github.com/awsdocs/amazon-ecs-developer-guide/pull/149).
What the emulator does: it takes both.
"""

from __future__ import annotations

import json
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends

MOST_BYTES = 64 * 1024


@extends("ecs", "RegisterTaskDefinition")
def register_task_definition(register: Handler, data: dict[str, Any]) -> Any:
    why = refusal(data)
    if why:
        return emulator.service("ecs").error_response_json("ClientException", why, 400)
    return register(data)


def refusal(definition: dict[str, Any]) -> str:
    """Why ECS refuses a definition; empty when it takes it."""
    size = len(json.dumps(definition, ensure_ascii=False).encode())
    if size > MOST_BYTES:
        return f"Actual length: '{size}'. Max allowed length is '{MOST_BYTES}' bytes."
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
