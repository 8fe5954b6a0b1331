"""rotation-bot from Secrets Manager's event to the deployment and the message in Slack."""

from __future__ import annotations

import copy
import json
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from bots import invocation, rotation_bot

from fargate_ops.state.lock import STALE_AFTER, Lock
from tests.support.slack import Slack, intrusions, shown
from tests.unit.bots.conftest import REGION, Cloud, Context, Say

SECRET = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:settlement-test/database/app-clone-AbCdEf"
OTHER = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:settlement-test/database/app-AbCdEf"
AT = datetime(2026, 1, 31, 9, 0, 1, tzinfo=UTC)
#: As AWS documents it.
EVENT: dict[str, Any] = {
    "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
    "detail-type": "Secret Label Updated",
    "source": "aws.secretsmanager",
    "time": "2026-01-31T09:00:01Z",
    "region": REGION,
    "resources": [SECRET],
    "detail": {"name": "settlement-test/database/app-clone", "labelUpdated": "AWSCURRENT", "versionId": "a1b2c3"},
}
BUCKET = "states"


class Ecs:
    """ECS with one service, running since a given time."""

    def __init__(self, secret: str = SECRET, created: datetime = AT - timedelta(days=1), desired: int = 2) -> None:
        self.secret, self.desired = secret, desired
        ours = {"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": "td:7", "createdAt": created}
        self.deployments: list[dict[str, Any]] = [ours | {"rolloutState": "COMPLETED"}]
        self.updates: list[dict[str, Any]] = []

    def describe_services(self, *, cluster: str, services: list[str]) -> dict[str, Any]:
        assert (cluster, services) == ("settlement-test", ["settlement-test"])
        return {"services": [{"desiredCount": self.desired, "deployments": self.deployments}]}

    def describe_task_definition(self, *, taskDefinition: str) -> dict[str, Any]:
        assert taskDefinition == "td:7"
        secrets = [{"name": "DATABASE_PASSWORD", "valueFrom": f"{self.secret}:password::"}]
        return {"taskDefinition": {"containerDefinitions": [{"name": "api", "secrets": secrets}]}}

    def update_service(self, **request: Any) -> dict[str, Any]:
        self.updates.append(request)
        new = {"id": "ecs-svc/2", "status": "PRIMARY", "taskDefinition": "td:7", "createdAt": datetime.now(UTC)}
        new["rolloutState"] = "IN_PROGRESS"
        self.deployments = [new, {**self.deployments[0], "status": "ACTIVE"}]
        return self.describe_services(cluster="settlement-test", services=["settlement-test"]) | {
            "service": {"deployments": self.deployments}
        }


class Flow:
    """A flow that holds the deployment lock, written as the role writes it."""

    def __init__(self) -> None:
        self.s3 = boto3.client("s3")
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})

    def holds(self, *, released: bool = False, heard: datetime | None = None) -> None:
        at = heard or datetime.now(UTC)
        lock = Lock(
            holder="h",
            machine="m",
            pid=1,
            owner="ann@laptop",
            purpose="Deploy",
            started=at,
            heartbeat=at,
            released=released,
        )
        self.s3.put_object(Bucket=BUCKET, Key="locks/test.json", Body=lock.to_json().encode())


@pytest.fixture(scope="module")
def _flow(_cloud_of_this_module: Cloud) -> Flow:
    return Flow()


@pytest.fixture
def flow(_flow: Flow, monkeypatch: pytest.MonkeyPatch) -> Flow:
    monkeypatch.setenv("CLUSTER_NAME", "settlement-test")
    monkeypatch.setenv("SERVICE_NAME", "settlement-test")
    monkeypatch.setenv("LOCK_BUCKET", BUCKET)
    monkeypatch.setenv("LOCK_KEY", "locks/test.json")
    _flow.s3.delete_object(Bucket=BUCKET, Key="locks/test.json")
    return _flow


def handle(monkeypatch: pytest.MonkeyPatch, ecs: Ecs, event: Any = EVENT, seconds: float = 900) -> None:
    real = invocation.client
    monkeypatch.setattr(rotation_bot, "client", lambda service: ecs if service == "ecs" else real(service))
    rotation_bot.handler(copy.deepcopy(event), Context(seconds))


def test_the_service_is_deployed_anew_once_and_told(
    cloud: Cloud, slack: Slack, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecs = Ecs()
    for _ in range(2):  # EventBridge sometimes delivers an event twice
        handle(monkeypatch, ecs)
    assert ecs.updates == [{"cluster": "settlement-test", "service": "settlement-test", "forceNewDeployment": True}]
    (message,) = slack.messages
    for fact in ("settlement-test/database/app-clone", "a1b2c3", "ecs-svc/2", "make status ENV=test"):
        assert fact in shown(message)
    assert not intrusions(message)


@pytest.mark.parametrize(
    ("ecs", "reason"),
    [
        (Ecs(secret=OTHER), "the running task definition does not read it"),
        (Ecs(created=AT + timedelta(seconds=2)), "the deployment ecs-svc/1 is newer"),
        (Ecs(desired=0), "the desired count is 0"),
    ],
)
def test_where_no_task_has_the_old_value_it_is_silent(
    cloud: Cloud, slack: Slack, flow: Flow, said: Say, monkeypatch: pytest.MonkeyPatch, ecs: Ecs, reason: str
) -> None:
    flow.holds()  # the bot does not wait for it
    handle(monkeypatch, ecs)
    assert ecs.updates == []
    assert slack.messages == []
    assert [line["reason"] for line in said()] == [reason]


def test_within_the_events_second_it_is_deployed_anew(
    cloud: Cloud, slack: Slack, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecs = Ecs(created=AT + timedelta(seconds=0.9))
    handle(monkeypatch, ecs)
    assert len(ecs.updates) == 1


def test_another_label_is_nothing(cloud: Cloud, slack: Slack, flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    ecs = Ecs()
    handle(monkeypatch, ecs, {**EVENT, "detail": EVENT["detail"] | {"labelUpdated": "blue"}})
    assert (ecs.updates, slack.messages) == ([], [])


@pytest.mark.parametrize("left", ["the service to it", "the service as it was"])
def test_who_holds_the_lock_is_waited_for(
    cloud: Cloud, slack: Slack, flow: Flow, said: Say, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    ecs, slept = Ecs(), list[float]()
    flow.holds()

    def sleep(seconds: float) -> None:
        assert ecs.updates == []
        slept.append(seconds)
        if len(slept) == 3:
            flow.holds(released=True)
            if left == "the service as it was":
                return
            ecs.deployments[0]["createdAt"] = datetime.now(UTC)

    monkeypatch.setattr(time, "sleep", sleep)
    handle(monkeypatch, ecs)
    assert len(slept) == 3
    assert [line["holder"] for line in said() if line["message"] == "waiting"] == ["ann@laptop, for Deploy"]
    assert len(ecs.updates) == len(slack.messages) == (1 if left == "the service as it was" else 0)


@pytest.mark.parametrize("off", [timedelta(hours=-1), timedelta(minutes=15)])
def test_a_heartbeat_that_no_flow_can_have_written_is_not_waited_for(
    cloud: Cloud, slack: Slack, flow: Flow, monkeypatch: pytest.MonkeyPatch, off: timedelta
) -> None:
    ecs = Ecs()
    flow.holds(heard=datetime.now(UTC) + off)
    handle(monkeypatch, ecs)
    assert len(ecs.updates) == 1


@pytest.mark.parametrize("body", [b"", b"no JSON", b"\xff", b"[]", b'{"owner": 5}'])
def test_an_object_that_is_no_lock_is_somebodys_until_it_is_stale(
    cloud: Cloud, slack: Slack, flow: Flow, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    flow.s3.put_object(Bucket=BUCKET, Key="locks/test.json", Body=body)
    real = flow.s3.get_object
    for seconds, said in ((0, "for an unknown purpose"), (STALE_AFTER.total_seconds() - 1, "purpose"), (180, "")):

        def later(seconds: float = seconds, **request: Any) -> Any:
            """Answer as S3 does this long after the write, without this machine's clock."""
            written = AT - timedelta(days=300)
            answer = real(**request) | {"LastModified": written}
            now = written + timedelta(seconds=seconds)
            answer["ResponseMetadata"]["HTTPHeaders"]["date"] = f"{now:%a, %d %b %Y %H:%M:%S} GMT"
            return answer

        monkeypatch.setattr(rotation_bot, "client", lambda _: SimpleNamespace(get_object=later))
        assert rotation_bot.lock_holder().endswith(said)
        assert bool(rotation_bot.lock_holder()) is bool(said)
    assert rotation_bot.STALE_AFTER == STALE_AFTER


@pytest.mark.parametrize("busy", ["ann@laptop, for Deploy", "the deployment ecs-svc/1 is in progress"])
def test_what_lasts_too_long_is_told_and_lambda_comes_again_until_it_is_over(
    cloud: Cloud, slack: Slack, flow: Flow, monkeypatch: pytest.MonkeyPatch, busy: str
) -> None:
    ecs = Ecs()
    if "ann" in busy:
        flow.holds()
    else:
        ecs.deployments[0]["rolloutState"] = "IN_PROGRESS"
    for _ in range(2):
        with pytest.raises(rotation_bot.Busy, match=busy):
            handle(monkeypatch, ecs, seconds=17)  # eight are reserved
    assert ecs.updates == []
    first, second = (shown(message) for message in slack.messages)
    assert first == second
    command = "aws ecs update-service --region ap-northeast-2 --cluster settlement-test --service settlement-test"
    assert f"{command} --force-new-deployment" in first
    assert busy in first
    flow.holds(released=True)
    ecs.deployments[0]["rolloutState"] = "COMPLETED"
    handle(monkeypatch, ecs, seconds=17)
    assert len(ecs.updates) == 1


def test_what_cannot_be_known_fails_so_that_lambda_tries_again(
    cloud: Cloud, slack: Slack, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "GetObject")

    class S3:
        def get_object(self, **_: Any) -> Any:
            raise denied

    ecs = Ecs()
    monkeypatch.setattr(rotation_bot, "client", lambda service: ecs if service == "ecs" else S3())
    with pytest.raises(ClientError):
        rotation_bot.handler(copy.deepcopy(EVENT), Context(900))
    assert ecs.updates == []


@pytest.mark.parametrize("event", [{}, [], {"detail": {"labelUpdated": "AWSCURRENT"}}, {**EVENT, "time": "x"}])
def test_what_makes_no_sense_is_kept(
    cloud: Cloud, slack: Slack, flow: Flow, monkeypatch: pytest.MonkeyPatch, event: Any
) -> None:
    handle(monkeypatch, Ecs(), event)
    (kept,) = cloud.kept()
    assert kept["reason"].startswith("malformed event")
    assert json.dumps(kept)
