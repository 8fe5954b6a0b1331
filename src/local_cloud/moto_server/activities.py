"""The scaling activities of Application Auto Scaling, which moto lacks.

What AWS does: each change of a target's capacity is an activity with its cause, listed for six weeks, the newest first
(https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DescribeScalingActivities.html). AWS's page of the
CLI shows the texts: https://docs.aws.amazon.com/cli/latest/reference/application-autoscaling/describe-scaling-activities.html

The activities are those of this process. No activity fails, and none is listed that did not scale.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any

KEPT = 1000


@dataclass(frozen=True, kw_only=True)
class Activity:
    """A change of the number of tasks of `resource_id` (``service/<cluster>/<service>``) that was made."""

    resource_id: str
    desired: int
    cause: str
    second: float = field(default_factory=time.time)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def described(self) -> dict[str, Any]:
        """Return the activity as the API does."""
        return {
            "ActivityId": self.id,
            "ServiceNamespace": "ecs",
            "ResourceId": self.resource_id,
            "ScalableDimension": "ecs:service:DesiredCount",
            "Description": f"Setting desired count to {self.desired}.",
            "Cause": self.cause,
            "StartTime": self.second,
            "EndTime": self.second,
            "StatusCode": "Successful",
            "StatusMessage": f"Successfully set desired count to {self.desired}. Change successfully fulfilled by ecs.",
        }


class Activities:
    """The newest activities of all targets. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._activities: deque[Activity] = deque(maxlen=KEPT)

    def add(self, activity: Activity) -> None:
        with self._lock:
            self._activities.appendleft(activity)

    def of(self, resource_id: str | None) -> list[Activity]:
        """Return the activities of one resource, or of all, the newest first."""
        with self._lock:
            return [item for item in self._activities if resource_id in (None, item.resource_id)]

    def patch_moto(self) -> None:
        """Add the action to moto's API."""
        from moto.applicationautoscaling import responses

        def describe_scaling_activities(response: Any) -> str:
            found = self.of(response._get_param("ResourceId"))
            first, size = int(response._get_param("NextToken") or 0), int(response._get_param("MaxResults") or 50)
            answer: dict[str, Any] = {"ScalingActivities": [item.described() for item in found[first : first + size]]}
            if len(found) > first + size:
                answer["NextToken"] = str(first + size)
            return json.dumps(answer)

        api: Any = responses.ApplicationAutoScalingResponse
        api.describe_scaling_activities = describe_scaling_activities
