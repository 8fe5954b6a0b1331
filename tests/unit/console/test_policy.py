"""docs/console-policy.json allows what the console calls, and nothing else."""

from __future__ import annotations

import json
from typing import Any

from fargate_ops.core.project import PROJECT
from fargate_ops.state.ledger import Outcome
from tests.terraform.policies import Call, Policy, allows
from tests.terraform.rights import granted, pointless
from tests.unit.conftest import STATE_BUCKET
from tests.unit.console.conftest import HERE, Cloud, Run
from tests.unit.console.test_poller import follow

POLICY: Policy = json.loads((PROJECT / "docs/console-policy.json").read_text())
#: boto3's operation, if IAM has another name for it.
_NAMES = {"ListObjectsV2": "ListBucket"}
_SERVICES = {"elasticloadbalancingv2": "elasticloadbalancing"}
#: Terraform reads its outputs from here, before the page's process starts.
_STATE = Call("s3:GetObject", "arn:aws:s3:::storefront-terraform-000000000000-ap-northeast-2/test/environment.tfstate")


def asked(service: str, operation: str, request: dict[str, Any]) -> list[Call]:
    """Return what IAM is asked for a request."""
    service = _SERVICES.get(service, service)
    action = f"{service}:{_NAMES.get(operation, operation)}"
    if service == "s3":
        bucket = request["Bucket"].replace(STATE_BUCKET, "storefront-terraform-000000000000-ap-northeast-2")
        return [Call(action, "/".join(filter(None, (f"arn:aws:s3:::{bucket}", request.get("Key")))))]
    cluster = request.get("cluster", "")
    if operation == "DescribeServices":
        return [Call(action, f"arn:aws:ecs:{HERE}:service/{cluster}/{name}") for name in request["services"]]
    if operation == "ListServiceDeployments":
        return [Call(action, f"arn:aws:ecs:{HERE}:service/{cluster}/{request['service']}")]
    if operation == "DescribeTasks":
        return [Call(action, arn) for arn in request["tasks"]]
    return [Call(action)]


def test_the_policy_allows_every_call_and_nothing_that_is_never_called(cloud: Cloud, run: Run) -> None:
    cloud.released(1, Outcome.IN_PROGRESS, Outcome.SUCCEEDED)
    recorded: list[Call] = [_STATE]

    def record(event_name: str, params: dict[str, Any], **_: Any) -> None:
        service, operation = event_name.split(".")[1:]
        recorded.extend(asked(service.replace("-", ""), operation, params))

    for name in ("ecs", "elbv2", "cloudwatch", "s3"):
        cloud.clients.client(name).meta.events.register("provide-client-params", record)
    run(follow(cloud.poller, 130))

    denied = [call for call in recorded if not allows([POLICY], call)]
    assert denied == []
    assert granted([POLICY]) == {call.action for call in recorded}
    assert pointless([POLICY]) == []


def test_the_policy_reads_only() -> None:
    verbs = {action.partition(":")[2] for action in granted([POLICY])}
    assert all(verb.startswith(("Describe", "Get", "List")) for verb in verbs)
    secrets = Call(
        "s3:GetObject", "arn:aws:s3:::storefront-terraform-000000000000-ap-northeast-2/test/environment.tfvars.json"
    )
    assert not allows([POLICY], secrets)
