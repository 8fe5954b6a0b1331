"""ECS tells EventBridge when a deployment starts, completes or fails.

What AWS does: it sends the event ``ECS Deployment State Change``; a failure is reported only for a deployment with the
circuit breaker or with alarms (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_deployment_events.html).
Without this module: the emulator's ECS sends no event.
"""

from __future__ import annotations

import contextvars
import json
import threading
from collections.abc import Mapping
from typing import Any

from local_cloud.core import emulator

_EVENTS = {"IN_PROGRESS": "INFO", "COMPLETED": "INFO", "FAILED": "ERROR"}


def publish(service: Mapping[str, Any], deployment: Mapping[str, Any]) -> None:
    """Send the event of the deployment's new ``rolloutState``. Its targets are called in another thread."""
    state = deployment["rolloutState"]
    entry = {
        "Source": "aws.ecs",
        "DetailType": "ECS Deployment State Change",
        "Resources": [service["serviceArn"]],
        "Detail": json.dumps(
            {
                "eventType": _EVENTS[state],
                "eventName": f"SERVICE_DEPLOYMENT_{state}",
                "deploymentId": deployment["id"],
                "updatedAt": deployment["updatedAt"],
                "reason": deployment["rolloutStateReason"],
            }
        ),
    }
    put = emulator.service("eventbridge")._put_events
    run = contextvars.copy_context().run
    threading.Thread(
        target=run, args=(put, {"Entries": [entry]}), kwargs={"allow_aws_source": True}, name="ecs-event", daemon=True
    ).start()
