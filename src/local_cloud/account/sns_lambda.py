"""SNS delivers a message to a function only with permission, asynchronously, and with dead-letter queues.

What AWS does: SNS invokes the function asynchronously. A failed function is retried; then its event goes to the
function's dead-letter queue. If SNS may not invoke the function, or it does not exist, the message goes to the
subscription's dead-letter queue (https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html).

Without this patch: the emulator invokes the function once, without checking the permission, and drops a message that it
cannot deliver.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from local_cloud.core import emulator, invocation
from local_cloud.core.patching import replaces

logger = logging.getLogger(__name__)


@replaces("sns", "_deliver_to_lambda")
def deliver(endpoint: str, envelope: str, topic_arn: str, subscription_arn: str, *_: Any) -> None:
    record = {
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription_arn,
        "EventSource": "aws:sns",
        "Sns": json.loads(envelope),
    }
    try:
        if not invocation.may_invoke("sns.amazonaws.com", endpoint, topic_arn):
            raise PermissionError(f"topic {topic_arn} may not invoke it")
        invocation.invoke(endpoint, {"Records": [record]})
    except (LookupError, PermissionError) as error:
        logger.warning("SNS could not deliver a message to %s: %s", endpoint, error)
        if queue := _dead_letter_queue(topic_arn, subscription_arn):
            emulator.service("sns")._deliver_to_sqs(queue, envelope, raw=False, raw_message="", topic_arn=topic_arn)


def _dead_letter_queue(topic_arn: str, subscription_arn: str) -> str:
    """Return the ARN of the queue in the subscription's redrive policy, or an empty string."""
    topic = emulator.service("sns")._topic_by_arn_any_scope(topic_arn) or {"subscriptions": []}
    for subscription in topic["subscriptions"]:
        if subscription["arn"] == subscription_arn:
            policy = subscription.get("attributes", {}).get("RedrivePolicy") or "{}"
            return str(json.loads(policy).get("deadLetterTargetArn", ""))
    return ""
