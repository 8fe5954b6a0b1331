"""src/local_cloud/ecs/task_secrets.py and task_logs.py: a task's secrets and log stream before its container starts."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local_cloud.ecs.task_secrets import go_text
from tests.local_cloud.conftest import RunningCloud, wait_for

TICKS = "import time\nwhile True:\n    print('tick', flush=True)\n    time.sleep(0.05)"
SHOW = "import json, os\nprint(json.dumps(dict(os.environ)))"
SECRET = {"text": "1.10", "yes": True, "many": 12345678, "nothing": None, "both": {"b": [1, "x"], "a": False}}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0012", "0012"),
        (True, "true"),
        (None, "<nil>"),
        (0, "0"),
        (100000, "100000"),
        (1000000, "1e+06"),
        (12345678, "1.2345678e+07"),
        (-1234567.5, "-1.2345675e+06"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (2**64, "1.8446744073709552e+19"),
        (1e100, "1e+100"),
        ([1, "a", None], "[1 a <nil>]"),
        ({"b": 1, "a": {"c": True}}, "map[a:map[c:true] b:1]"),
    ],
)
def test_the_value_of_a_key_is_printed_as_go_prints_it(value: Any, text: str) -> None:
    assert go_text(json.loads(json.dumps(value), parse_int=float)) == text


@dataclasses.dataclass
class Tasks:
    """Standalone tasks of one family, with their own log group and execution role."""

    cloud: RunningCloud
    image: str
    name: str
    role: str
    started: list[str] = dataclasses.field(default_factory=list)

    def run(self, code: str, secrets: dict[str, str] | None = None) -> str:
        ecs = self.cloud.client("ecs")
        options = {
            "awslogs-group": self.name,
            "awslogs-region": self.cloud.config.region,
            "awslogs-stream-prefix": "app",
        }
        definition = ecs.register_task_definition(
            family=self.name,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            executionRoleArn=self.role,
            containerDefinitions=[
                {
                    "name": "app",
                    "image": self.image,
                    "command": ["python3", "-c", code],
                    "secrets": [{"name": name, "valueFrom": value} for name, value in (secrets or {}).items()],
                    "stopTimeout": 2,
                    "logConfiguration": {"logDriver": "awslogs", "options": options},
                }
            ],
        )["taskDefinition"]["taskDefinitionArn"]
        arn: str = ecs.run_task(
            cluster=self.name,
            taskDefinition=definition,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
        )["tasks"][0]["taskArn"]
        self.started.append(arn)
        return arn

    def describe(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cloud.client("ecs").describe_tasks(cluster=self.name, tasks=[arn])["tasks"][0]
        return found

    def why_it_never_started(self, arn: str) -> str:
        task = wait_for(lambda: (found := self.describe(arn))["lastStatus"] == "STOPPED" and found)
        assert task["stopCode"] == "TaskFailedToStart"
        return str(task["stoppedReason"])

    def lines(self, arn: str) -> list[str]:
        logs = self.cloud.client("logs")
        stream = f"app/app/{arn.rsplit('/', 1)[-1]}"
        try:
            events = logs.get_log_events(logGroupName=self.name, logStreamName=stream, startFromHead=True)["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in events]


@pytest.fixture
def tasks(cloud: RunningCloud, stub_image: str) -> Iterator[Tasks]:
    name = f"start-{uuid.uuid4().hex[:6]}"
    cloud.client("ecs").create_cluster(clusterName=name)
    cloud.client("logs").create_log_group(logGroupName=name)
    iam = cloud.client("iam")
    trust = {"Version": "2012-10-17", "Statement": []}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    rights = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    iam.put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=json.dumps({"Statement": [rights]}))
    made = Tasks(cloud, stub_image, name, role)
    yield made
    ecs = cloud.client("ecs")
    for arn in made.started:
        if made.describe(arn)["lastStatus"] != "STOPPED":
            ecs.stop_task(cluster=name, task=arn)
        wait_for(lambda arn=arn: made.describe(arn)["lastStatus"] == "STOPPED")


@pytest.fixture
def secret(cloud: RunningCloud) -> Iterator[str]:
    """Create a secret with a previous value and return its ARN."""
    secrets = cloud.client("secretsmanager")
    arn = secrets.create_secret(Name=f"start-{uuid.uuid4().hex[:6]}", SecretString='{"text": "old"}')["ARN"]
    secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(SECRET))
    yield arn
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


@pytest.mark.local_cloud
def test_stage_version_and_key_choose_the_value(tasks: Tasks, secret: str, cloud: RunningCloud) -> None:
    versions = cloud.client("secretsmanager").describe_secret(SecretId=secret)["VersionIdsToStages"]
    former = next(version for version, stages in versions.items() if "AWSPREVIOUS" in stages)
    references = {
        "NOW": f"{secret}:text::",
        "STAGE": f"{secret}:text:AWSPREVIOUS:",
        "VERSION": f"{secret}:text::{former}",
        "WHOLE": f"{secret}::AWSPREVIOUS:",
        "YES": f"{secret}:yes::",
        "MANY": f"{secret}:many::",
        "NOTHING": f"{secret}:nothing::",
        "BOTH": f"{secret}:both::",
    }
    arn = tasks.run(SHOW, references)
    environment = json.loads(wait_for(lambda: tasks.lines(arn), what="the task's output")[0])
    assert {name: environment[name] for name in references} == {
        "NOW": "1.10",
        "STAGE": "old",
        "VERSION": "old",
        "WHOLE": '{"text": "old"}',
        "YES": "true",
        "MANY": "1.2345678e+07",
        "NOTHING": "<nil>",
        "BOTH": "map[a:false b:[1 x]]",
    }


def _delete_secret(tasks: Tasks, secret: str) -> None:
    tasks.cloud.client("secretsmanager").delete_secret(SecretId=secret, RecoveryWindowInDays=7)


def _take_the_right(tasks: Tasks, secret: str) -> None:
    tasks.cloud.client("iam").delete_role_policy(RoleName=tasks.name, PolicyName="read")


def _delete_the_log_group(tasks: Tasks, secret: str) -> None:
    tasks.cloud.client("logs").delete_log_group(logGroupName=tasks.name)


@pytest.mark.local_cloud
@pytest.mark.parametrize(
    ("change", "reference", "reason"),
    [
        (_delete_secret, ":text::", "InvalidRequestException: You can't perform this operation on the secret because"),
        (_take_the_right, ":text::", "AccessDeniedException: "),
        (None, ":missing::", "did not contain json key missing"),
        (None, ":text:MINE:", "can't find the specified secret value for staging label: MINE"),
        (None, ":text::00000000-0000-0000-0000-000000000000", "secret value for VersionId: 00000000-"),
        (_delete_the_log_group, ":text::", "The specified log group does not exist."),
    ],
    ids=["deleted", "no right", "no key", "no stage", "no version", "no log group"],
)
def test_a_task_without_what_it_needs_never_starts(
    tasks: Tasks, secret: str, change: Callable[[Tasks, str], None] | None, reference: str, reason: str
) -> None:
    if change:
        change(tasks, secret)
    said = tasks.why_it_never_started(tasks.run(SHOW, {"TOKEN": secret + reference}))
    assert said.startswith("ResourceInitializationError: ")
    assert reason in said
    assert "1.10" not in said


@pytest.mark.local_cloud
def test_a_running_task_is_silent_once_its_log_group_was_deleted(tasks: Tasks) -> None:
    logs = tasks.cloud.client("logs")
    before = tasks.run(TICKS)
    wait_for(lambda: tasks.lines(before), what="the first task's lines")
    logs.delete_log_group(logGroupName=tasks.name)
    logs.create_log_group(logGroupName=tasks.name)
    after = tasks.run(TICKS)
    wait_for(lambda: len(tasks.lines(after)) > 5, what="the second task's lines")
    assert not tasks.lines(before)
    (stream,) = logs.describe_log_streams(logGroupName=tasks.name)["logStreams"]
    assert stream["logStreamName"].endswith(after.rsplit("/", 1)[-1])
