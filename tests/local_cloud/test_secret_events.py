"""Secrets Manager's event for a new current value, in the form that the rotation bot and its rule read.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/event-detail-secret-label-updated-secretsmanager.html
The emulator sends it as AWS does, without a patch. This test fails if that changes.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.local_cloud.conftest import RunningCloud, wait_for
from tests.local_cloud.functions import open_queue

pytestmark = pytest.mark.local_cloud


def test_a_new_current_value_is_told_however_it_was_put(cloud: RunningCloud) -> None:
    events, sqs, secrets = cloud.client("events"), cloud.client("sqs"), cloud.client("secretsmanager")
    told, other = (secrets.create_secret(Name=name, SecretString="1")["ARN"] for name in ("told", "other"))
    url, arn = open_queue(cloud, "secret-events")
    pattern = {
        "source": ["aws.secretsmanager"],
        "detail-type": ["Secret Label Updated"],
        "resources": [told],
        "detail": {"labelUpdated": ["AWSCURRENT"]},
    }
    events.put_rule(Name="secret-events", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="secret-events", Targets=[{"Id": "queue", "Arn": arn}])

    def received() -> list[dict[str, Any]]:
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]

    secrets.put_secret_value(SecretId=other, SecretString="2")
    secrets.put_secret_value(SecretId=told, SecretString="2", VersionStages=["AWSPENDING"])
    put = secrets.put_secret_value(SecretId=told, SecretString="3")["VersionId"]
    (event,) = wait_for(received)
    assert (event["resources"], event["source"], event["detail-type"]) == (
        [told],
        "aws.secretsmanager",
        "Secret Label Updated",
    )
    assert event["detail"] == {"name": "told", "labelUpdated": "AWSCURRENT", "versionId": put}
    assert abs(datetime.fromisoformat(event["time"]) - datetime.now(UTC)) < timedelta(minutes=1)

    updated = secrets.update_secret(SecretId=told, SecretString="4")["VersionId"]
    (event,) = wait_for(received)
    assert event["detail"]["versionId"] == updated
    secrets.update_secret_version_stage(
        SecretId=told, VersionStage="AWSCURRENT", MoveToVersionId=put, RemoveFromVersionId=updated
    )
    (event,) = wait_for(received)
    assert event["detail"]["versionId"] == put
