"""A task's log stream is created once, before its container starts.

What AWS does: the awslogs driver creates the stream when the container starts, and a container without its log group
does not start (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/resource-initialization-error.html). The
driver creates the stream only once: after the group or the stream is deleted, a running task logs nothing, even if the
group is created again (https://github.com/moby/moby/issues/52976).
Without this patch: the emulator creates the stream after the container has started, and starts a container without a
log group. A running task whose group was deleted logs nothing, as on AWS.
"""

from __future__ import annotations

from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends

_REFUSAL = (
    "failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: "
    "ResourceNotFoundException: The specified log group does not exist. : exit status 1"
)


@extends("ecs", "_run_docker_container")
def run_docker_container(
    run: Handler, client: Any, definition: dict[str, Any], arguments: dict[str, Any], **options: Any
) -> Any:
    ecs = emulator.service("ecs")
    task_id = arguments["labels"]["com.amazonaws.ecs.task-arn"].rsplit("/", 1)[-1]
    config = ecs._awslogs_config(definition, task_id, "")
    if config and config["stream"]:
        with ecs.request_scope(ecs.get_account_id(), config["region"] or ecs.get_region()):
            if not ecs._ensure_awslogs_stream(config):
                raise RuntimeError(_REFUSAL)
    return run(client, definition, arguments, **options)


@extends("ecs", "_fail_task_start")
def fail_task_start(fail: Handler, task: dict[str, Any], client: Any, reason: str) -> None:
    fail(task, client, f"ResourceInitializationError: {_REFUSAL}" if _REFUSAL in reason else reason)
