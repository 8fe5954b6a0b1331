from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from local_cloud.core.call_log import CallLog, from_form, from_json, registry_call
from local_cloud.moto_server.call_log import kubernetes_operation


def test_of_json_what_names_something_is_kept_and_nothing_else() -> None:
    document = {
        "cluster": "settlement-local",
        "services": ["one", "two"],
        "taskRoleArn": "arn:aws:iam::1:role/task",
        "SecretString": "hunter2",
        "overrides": {"containerOverrides": [{"environment": [{"name": "PASSWORD", "value": "hunter2"}]}]},
        "desiredCount": 2,
        "tags": [{"key": "Environment", "value": "local"}],
    }
    named, given = from_json(json.dumps(document).encode())
    assert named == {
        "cluster": ["settlement-local"],
        "services": ["one", "two"],
        "taskRoleArn": ["arn:aws:iam::1:role/task"],
    }
    assert given == {"Environment": "local"}


@pytest.mark.parametrize("body", [b"", b"[]", b"not JSON", b'{"Name": ""}'])
def test_a_body_without_a_name_names_nothing(body: bytes) -> None:
    assert from_json(body) == ({}, {})


@pytest.mark.parametrize(
    ("tags", "given"),
    [
        ({"Tags": {"Environment": "local"}}, {"Environment": "local"}),
        ({"Tags": [{"TagKey": "Environment", "TagValue": "local"}]}, {"Environment": "local"}),
        ({"Tags": [{"Key": "Alone"}]}, {"Alone": ""}),
        ({"tags": ["Environment"]}, {}),
    ],
)
def test_services_write_tags_in_their_own_ways(tags: Any, given: dict[str, str]) -> None:
    assert from_json(json.dumps(tags).encode())[1] == given


@pytest.mark.parametrize(
    "form",
    [
        "TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=Environment&TagSpecification.1.Tag.1.Value=local",
        "Tags.member.1.Key=Environment&Tags.member.1.Value=local",
        "Tags.Tag.1.Key=Environment&Tags.Tag.1.Value=local",
        "Tag.1.Key=Environment&Tag.1.Value=local",
    ],
)
def test_forms_write_tags_in_four_ways(form: str) -> None:
    assert from_form(parse_qs(form)) == ({}, {"Environment": "local"})


def test_of_a_form_lists_are_read_and_what_lies_deeper_is_not() -> None:
    form = (
        "Action=AuthorizeSecurityGroupIngress&GroupId=sg-1&SecurityGroupRuleId.1=sgr-1&SecurityGroupRuleId.2=sgr-2"
        "&Subnets.member.1=subnet-1&IpPermissions.1.Groups.1.GroupId=sg-2&MasterUserPassword=hunter2&Version=2016-11-15"
    )
    assert from_form(parse_qs(form))[0] == {"GroupId": ["sg-1"], "SecurityGroupRuleId": ["sgr-1", "sgr-2"]}


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("HEAD", "/v2/settlement/blobs/sha256:1", "ecr:BatchCheckLayerAvailability"),
        ("POST", "/v2/settlement/blobs/uploads/", "ecr:InitiateLayerUpload"),
        ("PATCH", "/v2/settlement/blobs/uploads/1", "ecr:UploadLayerPart"),
        ("PUT", "/v2/settlement/blobs/uploads/1", "ecr:CompleteLayerUpload"),
        ("PUT", "/v2/settlement/manifests/tag", "ecr:PutImage"),
        ("GET", "/v2/settlement/manifests/tag", "ecr:BatchGetImage"),
        ("GET", "/v2/settlement/blobs/sha256:1", "ecr:GetDownloadUrlForLayer"),
    ],
)
def test_a_push_is_the_calls_that_the_registry_makes_of_it(method: str, path: str, action: str) -> None:
    assert registry_call(method, path) == (action, "settlement")


def test_what_is_no_push_is_no_call() -> None:
    assert registry_call("GET", "/v2/") is None
    assert registry_call("DELETE", "/v2/settlement/blobs/sha256:1") is None


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/clusters", "ListClusters"),
        ("/clusters/one", "DescribeCluster"),
        ("/cluster-versions", "DescribeClusterVersions"),
    ],
)
def test_the_operation_of_eks_is_in_the_path(path: str, operation: str) -> None:
    assert kubernetes_operation(path) == operation


def test_a_line_is_one_object(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "made" / "calls.jsonl")
    log.write(action="ecs:RunTask", key="one")
    log.write(action="ecs:StopTask", key="two")
    lines = (tmp_path / "made" / "calls.jsonl").read_text().splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["ecs:RunTask", "ecs:StopTask"]
