"""A Lambda function for tests: it sends each event to a queue, and then fails if it is configured to."""

from __future__ import annotations

import io
import json
import textwrap
import zipfile
from typing import Any

from tests.local_cloud.conftest import RunningCloud, wait_for

_CODE = textwrap.dedent(
    """
    import json, os, boto3

    def handler(event, context):
        boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(event))
        if os.environ["FAILS"]:
            raise RuntimeError("told to")
    """
)
ROLE = "arn:aws:iam::000000000000:role/none"


def open_queue(cloud: RunningCloud, name: str) -> tuple[str, str]:
    """Return URL and ARN of a new queue to which every service may send."""
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    services = {"Service": ["events.amazonaws.com", "sns.amazonaws.com"]}
    statement = {"Effect": "Allow", "Principal": services, "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [statement]})})
    return url, arn


class Recorder:
    """The function ``name``, the events of its invocations, and its dead-letter queue."""

    def __init__(self, cloud: RunningCloud, name: str, *, fails: bool = False) -> None:
        self._sqs = cloud.client("sqs")
        self.name = name
        self._queue = self._sqs.create_queue(QueueName=f"{name}-events")["QueueUrl"]
        self._dead, self.dead_letter_arn = open_queue(cloud, f"{name}-dead")
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("recorder.py", _CODE)
        self._lambda = cloud.client("lambda")
        self.arn = self._lambda.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Architectures=["arm64"],
            Handler="recorder.handler",
            Role=ROLE,
            Timeout=120,
            Code={"ZipFile": package.getvalue()},
            Environment={"Variables": {"QUEUE": self._queue, "FAILS": "yes" if fails else ""}},
            DeadLetterConfig={"TargetArn": self.dead_letter_arn},
        )["FunctionArn"]
        wait_for(
            lambda: self._lambda.get_function_configuration(FunctionName=name)["State"] == "Active",
            what=f"{name} is active",
        )

    def permit(self, service: str, source_arn: str) -> None:
        self._lambda.add_permission(
            FunctionName=self.name,
            StatementId=f"{service}-{source_arn[-8:].strip(':*')}",
            Action="lambda:InvokeFunction",
            Principal=f"{service}.amazonaws.com",
            SourceArn=source_arn,
            SourceAccount="000000000000",
        )

    def events(self) -> list[Any]:
        """Return the events of its invocations that were not read yet."""
        return self._read(self._queue)

    def dead_letters(self) -> list[Any]:
        return self._read(self._dead)

    def _read(self, queue: str) -> list[Any]:
        found = self._sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            self._sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]
