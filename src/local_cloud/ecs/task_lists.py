"""ListTasks refuses `startedBy` beside another filter.

What AWS does: "When you specify startedBy as the filter, it must be the only filter that you use"
(https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTasks.html,
https://github.com/aws/aws-sdk-go-v2/issues/1893).
Without this patch: the emulator accepts any combination.
"""

from __future__ import annotations

from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends

OTHER_FILTERS = ("containerInstance", "desiredStatus", "family", "launchType", "serviceName")


@extends("ecs", "ListTasks")
def list_tasks(list_all: Handler, data: dict[str, Any]) -> Any:
    why = refusal(data)
    if why:
        return emulator.service("ecs").error_response_json("InvalidParameterException", why, 400)
    return list_all(data)


def refusal(request: dict[str, Any]) -> str:
    """Return why ECS refuses a request, or an empty string if ECS accepts it."""
    others = [name for name in OTHER_FILTERS if request.get(name)]
    if not request.get("startedBy") or not others:
        return ""
    return f"startedBy must be the only filter, and not beside {', '.join(others)}."
