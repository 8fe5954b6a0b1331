"""One-off tasks of an environment: its network, its container and who started them, taken from Terraform's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fargate_ops.ecs.tasks import OneOff
from fargate_ops.terraform.stack import Stack


def newest_admin_definition(ecs: Any, stack: Stack) -> dict[str, Any]:
    """Return the newest ACTIVE task definition of the admin family.

    Raises:
        ClientError: the family has none.
    """
    definition: dict[str, Any] = ecs.describe_task_definition(taskDefinition=stack.admin_family)["taskDefinition"]
    return definition


def admin_task(
    stack: Stack,
    revision: str,
    command: Sequence[str],
    *,
    purpose: str,
    environment: Mapping[str, str] | None = None,
) -> OneOff:
    """Return a task in the admin security groups, which alone may log in to the database as its master user.

    ``revision`` is the ARN of a task definition. ``purpose`` ends ``startedBy`` and so identifies the task in ECS.
    """
    return _one_off(stack, revision, command, stack.admin_security_group_ids, purpose, environment)


def service_task(
    stack: Stack,
    revision: str,
    command: Sequence[str],
    *,
    purpose: str,
    environment: Mapping[str, str] | None = None,
) -> OneOff:
    """Return a task in the service's security groups. The arguments are those of `admin_task`."""
    return _one_off(stack, revision, command, stack.service_security_group_ids, purpose, environment)


def _one_off(
    stack: Stack,
    revision: str,
    command: Sequence[str],
    security_groups: Sequence[str],
    purpose: str,
    environment: Mapping[str, str] | None,
) -> OneOff:
    return OneOff(
        cluster=stack.cluster_name,
        task_definition=revision,
        container=stack.container_name,
        command=command,
        environment=environment or {},
        subnets=stack.private_subnet_ids,
        security_groups=security_groups,
        started_by=f"{stack.name_prefix}-{purpose}",
    )
