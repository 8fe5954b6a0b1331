"""Applies scheduled actions and limits of scalable targets.

What AWS does: at its time a scheduled action sets the target's limits permanently. When limits are set, by an action or
by registering the target, a number of tasks outside of them is changed to the nearer limit at once.
https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-policy-overview.html While the target's
scheduled scaling is suspended, no action runs, and missed actions are not run later.
https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-suspend-resume-scaling.html
Without this module: moto only stores limits and scheduled actions.

Supported are ``cron(…)`` in the form that the project uses, and ``at(…)``. Start and end times are ignored.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.cron import CronError, parse
from local_cloud.moto_server.activities import Activities, Activity

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
_TARGET = ("ServiceNamespace", "ResourceId", "ScalableDimension")
_AT = re.compile(r"at\((.+)\)")


class ScheduledActions:
    """Runs due actions in its own thread. All actions due up to ``ran_until`` have run.

    If ``ran_until`` is set to an earlier time, the actions missed since then run in their order.
    """

    def __init__(self, autoscaling: Any, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._autoscaling = autoscaling
        self._clock = clock
        self.ran_until = clock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scheduled-scaling", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():  # it was never started if the cloud failed to start
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self.run_due()
            except (ClientError, BotoCoreError):
                logger.exception("scheduled actions could not be run; they are tried again")

    def run_due(self) -> None:
        """Set the limits of every action that has become due since ``ran_until``."""
        now = self._clock()
        pages = self._autoscaling.get_paginator("describe_scheduled_actions").paginate(ServiceNamespace="ecs")
        actions = [action for page in pages for action in page["ScheduledActions"]]
        fired = [(_last(action, now), number) for number, action in enumerate(actions)]
        due = sorted((at, number) for at, number in fired if at and self.ran_until < at <= now)
        suspended = self._suspended() if due else set()
        for at, number in due:
            action, limits = actions[number], actions[number]["ScalableTargetAction"]
            if action["ResourceId"] in suspended:
                logger.info("scheduled action %s of %s: suspended", action["ScheduledActionName"], at)
                continue
            logger.info("scheduled action %s of %s: %s", action["ScheduledActionName"], at, limits)
            self._autoscaling.register_scalable_target(**{name: action[name] for name in _TARGET}, **limits)
        self.ran_until = max(now, self.ran_until)

    def _suspended(self) -> set[str]:
        """Return the resources whose scheduled scaling is suspended."""
        pages = self._autoscaling.get_paginator("describe_scalable_targets").paginate(ServiceNamespace="ecs")
        return {
            target["ResourceId"]
            for page in pages
            for target in page["ScalableTargets"]
            if (target.get("SuspendedState") or {}).get("ScheduledScalingSuspended")
        }


def keep_within(ecs: Any, activities: Activities, resource_id: str, minimum: int, maximum: int) -> None:
    """Bring the number of tasks of ``service/<cluster>/<service>`` within the limits. A missing service is ignored."""
    _, cluster, name = resource_id.split("/")
    try:
        found = ecs.describe_services(cluster=cluster, services=[name])["services"]
    except ecs.exceptions.ClusterNotFoundException:
        return
    for service in found:
        count = min(max(service["desiredCount"], minimum), maximum)
        if service["status"] == "ACTIVE" and count != service["desiredCount"]:
            logger.info("%s: %d tasks, by limits of %d to %d", resource_id, count, minimum, maximum)
            ecs.update_service(cluster=cluster, service=name, desiredCount=count)
            limit = "minimum" if count > service["desiredCount"] else "maximum"
            cause = f"{limit} capacity was set to {count}"
            activities.add(Activity(resource_id=resource_id, desired=count, cause=cause))


def _last(action: Mapping[str, Any], now: datetime) -> datetime | None:
    """Return the last time of a ``cron`` action up to `now`, or the time of an ``at`` action."""
    zone = ZoneInfo(action.get("Timezone") or "UTC")
    if once := _AT.fullmatch(action["Schedule"]):
        return datetime.fromisoformat(once[1]).replace(tzinfo=zone).astimezone(UTC)
    try:
        return parse(action["Schedule"]).last(now, zone)
    except CronError as error:
        _warn(str(error))
        return None


@cache
def _warn(message: str) -> None:
    """Log an unsupported action once."""
    logger.warning("a scheduled action that is not acted upon: %s", message)
