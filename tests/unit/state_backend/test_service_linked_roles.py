from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from roles.preflight.python.problem import ProblemError
from roles.state_backend.python.service_linked_roles import ensure

ECS, RDS = "ecs.amazonaws.com", "rds.amazonaws.com"


@pytest.fixture
def iam() -> Iterator[Stubber]:
    client = boto3.client("iam", region_name="ap-northeast-2", aws_access_key_id="k", aws_secret_access_key="s")
    with Stubber(client) as stubber:
        yield stubber


def role(service: str) -> dict[str, object]:
    name = "AWSServiceRoleFor" + service.partition(".")[0].upper()
    path = f"/aws-service-role/{service}/"
    arn = f"arn:aws:iam::123456789012:role{path}{name}"
    return {
        "Path": path,
        "RoleName": name,
        "RoleId": "AROA" + "X" * 16,
        "Arn": arn,
        "CreateDate": "2026-01-01T00:00:00Z",
    }


def has(iam: Stubber, *services: str) -> None:
    iam.add_response(
        "list_roles", {"Roles": [role(service) for service in services]}, {"PathPrefix": "/aws-service-role/"}
    )


def creates(iam: Stubber, service: str) -> None:
    iam.add_response("create_service_linked_role", {"Role": role(service)}, {"AWSServiceName": service})


def test_what_is_missing_is_created(iam: Stubber) -> None:
    has(iam, ECS)
    creates(iam, RDS)
    assert ensure(iam.client, [ECS, RDS], check=False) == [RDS]


def test_a_check_creates_nothing(iam: Stubber) -> None:
    has(iam)
    assert ensure(iam.client, [ECS, RDS], check=True) == [ECS, RDS]


def test_nothing_is_done_when_all_are_there(iam: Stubber) -> None:
    has(iam, ECS, RDS, "support.amazonaws.com")
    assert ensure(iam.client, [ECS, RDS], check=False) == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("InvalidInput", "Service role name AWSServiceRoleForECS has been taken in this account, please try a …"),
        ("EntityAlreadyExists", ""),
    ],
)
def test_a_role_that_a_service_made_meanwhile_is_no_change(iam: Stubber, code: str, message: str) -> None:
    has(iam)
    iam.add_client_error("create_service_linked_role", code, message)
    assert ensure(iam.client, [ECS], check=False) == []


def test_a_refusal_names_the_rights_that_are_needed(iam: Stubber) -> None:
    has(iam)
    iam.add_client_error("create_service_linked_role", "InvalidInput", "no such service")
    with pytest.raises(ProblemError, match="no such service") as caught:
        ensure(iam.client, [ECS], check=False)
    assert "iam:CreateServiceLinkedRole" in caught.value.problem.next_step


def test_no_answer() -> None:
    class Silent:
        def get_paginator(self, _: str) -> None:
            raise EndpointConnectionError(endpoint_url="https://iam")

    with pytest.raises(ProblemError, match="IAM does not answer"):
        ensure(Silent(), [ECS], check=False)
