"""The service-linked roles that the services need, made before their first use.

AWS makes one at a service's first use, and that use often fails, because the role is not there in time. They are
made here and not by Terraform: they belong to the whole account, other applications use them too, and no plan or
destroy of this one may ever take them away.
https://docs.aws.amazon.com/IAM/latest/UserGuide/using-service-linked-roles.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from roles.preflight.python.problem import ProblemError

_PATH = "/aws-service-role/"


def ensure(iam: Any, services: Iterable[str], *, check: bool) -> list[str]:
    """Create what is missing of `services` (``ecs.amazonaws.com``); what was (in `check`: would be) created."""
    try:
        present = {
            role["Path"].removeprefix(_PATH).rstrip("/")
            for page in iam.get_paginator("list_roles").paginate(PathPrefix=_PATH)
            for role in page["Roles"]
        }
        missing = [service for service in services if service not in present]
        return missing if check else [service for service in missing if _create(iam, service)]
    except ClientError as error:
        raise ProblemError(
            f"IAM refuses {error.operation_name}: {error.response['Error'].get('Message') or error}",
            "the service-linked roles of the account",
            "run bootstrap with credentials that may call iam:ListRoles and iam:CreateServiceLinkedRole",
        ) from error
    except BotoCoreError as error:
        raise ProblemError(
            f"IAM does not answer: {error}", "the service-linked roles of the account", "check the network"
        ) from error


def _create(iam: Any, service: str) -> bool:
    """Whether it had to be created; a service may have made its own since we looked."""
    try:
        iam.create_service_linked_role(AWSServiceName=service)
    except ClientError as error:
        refusal = error.response["Error"]
        taken = refusal["Code"] == "InvalidInput" and "has been taken in this account" in refusal.get("Message", "")
        if taken or refusal["Code"] == "EntityAlreadyExists":
            return False
        raise
    return True
