"""A deployment that shifts traffic: its stages, its pauses, and the weights of the listener's rules.

What AWS does: blue/green, canary and linear deployments start all new tasks in the target group that gets no requests,
then ECS changes the weights of the production listener rule in steps, waits for the bake time and stops the old tasks
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-blue-green.html,
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/canary-deployment.html,
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-linear.html). A rule for test traffic leads
to the new tasks first. A hook of the type PAUSE waits for ContinueServiceDeployment
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/continue-service-deployment.html). A rollback gives the
traffic back before it stops the new tasks.
Without this module: the emulator stores the strategy and updates every service at once.

What AWS does not document and is assumed here: the rule's weights add up to 100; the rule for test traffic returns to
the serving revision with a rollback; a pause before the production shift shows the stage before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.pace import Pace
from local_cloud.ecs import deployment_events
from local_cloud.ecs.strategies import STAGES, Strategy, steps, strategy_of, weights
from local_cloud.ecs.tasks import TARGET_GROUP
from local_cloud.elbv2 import listener_rules

Service = dict[str, Any]
Record = dict[str, Any]

_SHIFT = "_shift"
_AWAITING = "AWAITING_ACTION"
DEFAULT_PAUSE_MINUTES = 1_440


def balancer_of(service: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the load balancer of a service that has what ECS needs to shift traffic; None without."""
    balancers = service.get("loadBalancers") or []
    return next(
        (item for item in balancers if (item.get("advancedConfiguration") or {}).get("productionListenerRule")), None
    )


def live_group(balancer: Mapping[str, Any]) -> str:
    """Return the target group that gets the production traffic."""
    advanced = balancer["advancedConfiguration"]
    found = listener_rules.weights(advanced["productionListenerRule"])
    groups = (balancer["targetGroupArn"], advanced["alternateTargetGroupArn"])
    return str(max(groups, key=lambda group: found.get(group, 0)))


def place(service: Service, deployment: dict[str, Any], record: Record, *, is_first: bool) -> None:
    """Choose the deployment's target group, and begin its stages if its strategy has any."""
    balancer = balancer_of(service)
    if balancer is None:
        return
    live = live_group(balancer)
    deployment[TARGET_GROUP] = live
    if strategy_of(service["deploymentConfiguration"]) is Strategy.ROLLING or is_first:
        return
    groups = {balancer["targetGroupArn"], balancer["advancedConfiguration"]["alternateTargetGroupArn"]}
    (deployment[TARGET_GROUP],) = groups - {live}
    record[_SHIFT] = {"blue": live, "green": deployment[TARGET_GROUP], "step": 0, "paused": []}
    _enter(record, STAGES[0])


def is_under_way(record: Record | None) -> bool:
    """Return whether a deployment keeps both revisions: from its start until the old tasks may stop."""
    return record is not None and _SHIFT in record and record[_SHIFT]["stage"] != "CLEAN_UP"


def shifts(record: Record | None) -> bool:
    """Return whether a deployment has stages."""
    return record is not None and _SHIFT in record


def advance(service: Service, record: Record, *, scaled_up: bool, pace: Pace, changed: Callable[[], None]) -> bool:
    """Take the deployment as far as it goes now. Return whether it is to be rolled back, because a pause timed out."""
    shift = record[_SHIFT]
    while is_under_way(record):
        if shift["stage"] not in shift["paused"]:
            _pause(service, record, pace)
            shift["paused"].append(shift["stage"])
            _act(service, shift, changed)
        for hook in _awaiting(record):
            if time.time() < hook["expiresAt"]:
                return False
            hook["status"] = "TIMED_OUT"
            if hook["timeoutAction"] == "ROLLBACK":
                return True
        if not _is_over(service, shift, scaled_up=scaled_up, pace=pace, changed=changed):
            return False
        _enter(record, STAGES[STAGES.index(shift["stage"]) + 1])
    return False


def give_back(service: Service, record: Record, changed: Callable[[], None]) -> None:
    """Give all traffic back to the old revision, and end the stages."""
    shift = record.pop(_SHIFT, None)
    if shift is None:
        return
    for rule in ("productionListenerRule", "testListenerRule"):
        _shift(service, rule, {shift["green"]: 0, shift["blue"]: 100}, changed)
    for hook in _awaiting(record):
        hook["status"] = "FAILED"


def resume(record: Record, hook_id: str, action: str) -> bool:
    """End a pause. Return whether there was one."""
    for hook in _awaiting(record):
        if hook["hookId"] == hook_id:
            hook["status"] = "SUCCEEDED" if action == "CONTINUE" else "FAILED"
            return True
    return False


def _enter(record: Record, stage: str) -> None:
    record[_SHIFT].update(stage=stage, since=time.time())
    if stage != "PRE_PRODUCTION_TRAFFIC_SHIFT":  # no stage of a service deployment, only of a hook
        record["lifecycleStage"] = stage
    record["updatedAt"] = time.time()


def _pause(service: Service, record: Record, pace: Pace) -> None:
    """Begin the pauses of the stage that was entered."""
    stage = record[_SHIFT]["stage"]
    for hook in service["deploymentConfiguration"].get("lifecycleHooks") or []:
        if stage not in hook["lifecycleStages"]:
            continue
        limit = hook.get("timeoutConfiguration") or {}
        detail = {
            "hookId": emulator.service("ecs").new_uuid(),
            "targetType": "PAUSE",
            "status": _AWAITING,
            "expiresAt": time.time() + pace.seconds(60 * limit.get("timeoutInMinutes", DEFAULT_PAUSE_MINUTES)),
            "timeoutAction": limit.get("action") or "ROLLBACK",
        }
        record.setdefault("lifecycleHookDetails", []).append(detail)
        deployment_events.publish_pause(service, record, detail["hookId"], stage)


def _awaiting(record: Record) -> list[dict[str, Any]]:
    return [hook for hook in record.get("lifecycleHookDetails") or [] if hook["status"] == _AWAITING]


def _act(service: Service, shift: dict[str, Any], changed: Callable[[], None]) -> None:
    """Shift the traffic that a stage begins with."""
    if shift["stage"] == "TEST_TRAFFIC_SHIFT":
        _shift(service, "testListenerRule", {shift["green"]: 100, shift["blue"]: 0}, changed)
    elif shift["stage"] == "PRODUCTION_TRAFFIC_SHIFT":
        _shift_production(service, shift, changed)


def _shift_production(service: Service, shift: dict[str, Any], changed: Callable[[], None]) -> None:
    green, blue = weights(steps(service["deploymentConfiguration"])[shift["step"]].percent)
    _shift(service, "productionListenerRule", {shift["green"]: green, shift["blue"]: blue}, changed)


def _shift(service: Service, rule: str, wanted: Mapping[str, int], changed: Callable[[], None]) -> None:
    balancer = balancer_of(service)
    if balancer and (arn := balancer["advancedConfiguration"].get(rule)):
        listener_rules.shift(arn, wanted)
        changed()


def _is_over(
    service: Service, shift: dict[str, Any], *, scaled_up: bool, pace: Pace, changed: Callable[[], None]
) -> bool:
    """Return whether a stage is over; one with several steps takes the next one."""
    configuration = service["deploymentConfiguration"]
    if shift["stage"] == "SCALE_UP":
        return scaled_up
    if shift["stage"] == "BAKE_TIME":
        return _has_passed(shift, configuration.get("bakeTimeInMinutes") or 0, pace)
    if shift["stage"] != "PRODUCTION_TRAFFIC_SHIFT":
        return True
    planned = steps(configuration)
    while shift["step"] < len(planned) - 1:
        if not _has_passed(shift, planned[shift["step"]].minutes, pace):
            return False
        shift.update(step=shift["step"] + 1, since=time.time())
        _shift_production(service, shift, changed)
    return True


def _has_passed(shift: Mapping[str, Any], minutes: float, pace: Pace) -> bool:
    return time.time() >= float(shift["since"]) + pace.seconds(60 * minutes)
