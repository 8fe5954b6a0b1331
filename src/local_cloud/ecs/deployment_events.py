"""ECS tells EventBridge when a deployment starts, completes or fails.

What AWS does: it sends the event ``ECS Deployment State Change``; a failure is reported only for a deployment with the
circuit breaker or with alarms (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_deployment_events.html).
A pause sends ``ECS Hook State Change`` with the name HOOK_AWAITING_ACTION.
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
    detail = {
        "eventType": _EVENTS[state],
        "eventName": f"SERVICE_DEPLOYMENT_{state}",
        "deploymentId": deployment["id"],
        "updatedAt": deployment["updatedAt"],
        "reason": deployment["rolloutStateReason"],
    }
    _send(service, "ECS Deployment State Change", detail)


def publish_pause(service: Mapping[str, Any], record: Mapping[str, Any], hook: str, stage: str) -> None:
    """Send the event of a pause that begins."""
    detail = {
        "eventType": "INFO",
        "eventName": "HOOK_AWAITING_ACTION",
        "serviceDeploymentArn": record["serviceDeploymentArn"],
        "hookId": hook,
        "lifecycleStage": stage,
    }
    _send(service, "ECS Hook State Change", detail)


def _send(service: Mapping[str, Any], kind: str, detail: Mapping[str, Any]) -> None:
    resources = [service["serviceArn"]]
    entry = {"Source": "aws.ecs", "DetailType": kind, "Resources": resources, "Detail": json.dumps(detail)}
    put = emulator.service("eventbridge")._put_events
    run = contextvars.copy_context().run
    threading.Thread(
        target=run, args=(put, {"Entries": [entry]}), kwargs={"allow_aws_source": True}, name="ecs-event", daemon=True
    ).start()
