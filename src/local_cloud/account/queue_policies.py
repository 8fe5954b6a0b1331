"""A service delivers to a queue only if the queue's policy permits it.

What AWS does: SNS calls SQS as ``sns.amazonaws.com``, for a subscription and for its dead-letter queue. A queue without
a policy, or with one that does not name the service and the topic, gets nothing
(https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html).

Without this patch: the emulator evaluates the queue's policy only if it authenticates every call.
"""

from __future__ import annotations

from local_cloud.core import invocation
from local_cloud.core.patching import replaces


@replaces("sqs", "queue_policy_allows")
def queue_policy_allows(queue_arn: str, service: str, source_arn: str, source_account: str) -> bool:
    return invocation.may_send(service, queue_arn, source_arn)
