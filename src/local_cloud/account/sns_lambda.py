"""SNS hands a message to a function as AWS does: with permission, asynchronously, and what it cannot hand over is kept.

What AWS does: SNS invokes the function asynchronously, so it is tried again when it fails and its event then goes to
the function's dead-letter queue; where SNS may not invoke it, or it is gone, the message goes to the subscription's
dead-letter queue (https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html).

What the emulator does: it invokes once, whoever is permitted, and a message that cannot be handed over is gone.
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
        logger.warning("SNS could not hand a message to %s: %s", endpoint, error)
        if queue := _dead_letter_queue(topic_arn, subscription_arn):
            emulator.service("sns")._deliver_to_sqs(queue, envelope, raw=False, raw_message="", topic_arn=topic_arn)


def _dead_letter_queue(topic_arn: str, subscription_arn: str) -> str:
    """ARN of the queue that the subscription's redrive policy names; empty without one."""
    topic = emulator.service("sns")._topic_by_arn_any_scope(topic_arn) or {"subscriptions": []}
    for subscription in topic["subscriptions"]:
        if subscription["arn"] == subscription_arn:
            policy = subscription.get("attributes", {}).get("RedrivePolicy") or "{}"
            return str(json.loads(policy).get("deadLetterTargetArn", ""))
    return ""
