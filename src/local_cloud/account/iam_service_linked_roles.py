"""Service-linked roles have the names that AWS gives them.

What AWS does: each service's role has its own name, and a second role of that name is refused with InvalidInput
(https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateServiceLinkedRole.html).

Without this patch: the emulator derives the name from the first part of the service's name, so that ECS and its auto
scaling (``ecs.application-autoscaling.amazonaws.com``) collide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends

NAMES = {
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
    "elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
    "rds.amazonaws.com": "AWSServiceRoleForRDS",
    "config.amazonaws.com": "AWSServiceRoleForConfig",
    "compute-optimizer.amazonaws.com": "AWSServiceRoleForComputeOptimizer",
}


@extends("iam", "CreateServiceLinkedRole")
def create_service_linked_role(create: Handler, request: Mapping[str, Any]) -> Any:
    iam = emulator.service("iam")
    name = NAMES.get(iam._p(request, "AWSServiceName"))
    if name is None:
        return create(request)
    if name in iam._roles:
        message = f"Service role name {name} has been taken in this account, please try a different suffix."
        return iam._error(400, "InvalidInput", message, ns="iam")
    before = set(iam._roles.keys())
    answer = create(request)
    if answer[0] != 200:
        return answer
    (generated,) = set(iam._roles.keys()) - before
    role = iam._roles.pop(generated)
    role["RoleName"] = name
    role["Arn"] = role["Arn"].removesuffix(generated) + name
    role["Description"] = iam._p(request, "Description")
    iam._roles[name] = role
    body = f"<CreateServiceLinkedRoleResult><Role>{iam._role_xml(name)}</Role></CreateServiceLinkedRoleResult>"
    return iam._xml(200, "CreateServiceLinkedRoleResponse", body, ns="iam")
