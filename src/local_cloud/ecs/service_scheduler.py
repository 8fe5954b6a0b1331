"""Deployments follow the tasks' health, and the circuit breaker works.

What AWS does: a service's task counts as healthy when it is RUNNING and healthy in its target groups; new tasks start
first, up to ``maximumPercent``, and old ones stop as new ones become healthy; a deployment is COMPLETED when only
healthy new tasks are left. A task that exits, or is unhealthy after ``healthCheckGracePeriodSeconds``, is a failed
task, and enough of them make the circuit breaker fail the deployment and roll back
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html,
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html). A change of network, load
balancers, platform or capacity also starts a deployment; attributes that an update leaves out keep their values
(https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html).
Without this patch: a rollout completes one second after its tasks run, then all old tasks stop; only tasks that exit
count as failed; a service's first deployment is complete at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends, install, replaces
from local_cloud.core.runtime import Cloud
from local_cloud.ecs import history, strategies, traffic_shift
from local_cloud.ecs.scheduler import ServiceScheduler
from local_cloud.ecs.strategies import Strategy
from local_cloud.ecs.tasks import TaskStopper
from local_cloud.elbv2.target_health import TargetGroups

REVISION_FIELDS = (
    "networkConfiguration",
    "loadBalancers",
    "serviceRegistries",
    "capacityProviderStrategy",
    "platformVersion",
)
"""Attributes that start a deployment when they change, besides the task definition."""


def apply(cloud: Cloud, groups: TargetGroups, stopper: TaskStopper, shifted: Callable[[], None]) -> ServiceScheduler:
    """`shifted` is called when the weights of a listener's rule have changed."""
    scheduler = ServiceScheduler(emulator.service("ecs"), groups, stopper, cloud.pace, shifted)
    install(Handlers(groups, stopper, scheduler))
    cloud.at_start(scheduler.start)
    cloud.at_stop(scheduler.stop)
    return scheduler


class Handlers:
    """The actions on services, and the emulator's functions that this scheduler replaces."""

    def __init__(self, groups: TargetGroups, stopper: TaskStopper, scheduler: ServiceScheduler) -> None:
        self._ecs = emulator.service("ecs")
        self._groups = groups
        self._stopper = stopper
        self._scheduler = scheduler

    @extends("ecs", "CreateService")
    def create(self, create: Handler, data: dict[str, Any]) -> Any:
        with self._scheduler.lock:
            existing = self._find({**data, "service": data.get("serviceName", "")})
            if existing is not None and existing["status"] == "DRAINING":
                return self._error("Unable to Start a service that is still Draining.")
            for balancer in data.get("loadBalancers") or []:
                group = balancer.get("targetGroupArn")
                if group and not self._groups.in_use(group):
                    return self._error(
                        f"The target group with targetGroupArn {group} does not have an associated load balancer."
                    )
            if why := self._strategy_refusal({}, data):
                return self._error(why)
            answer = create(data)
            if answer[0] != 200:
                return answer
            service = self._found({**data, "service": data["serviceName"]})
            service["deploymentConfiguration"] = {
                "maximumPercent": 200,
                "minimumHealthyPercent": 100,
                "deploymentCircuitBreaker": {"enable": False, "rollback": False},
                **(service["deploymentConfiguration"] or {}),
            }
            self._scheduler.begin_deployment(service, sources=[])
            self._scheduler.wake()
            return self._answer(service)

    @extends("ecs", "UpdateService")
    def update(self, update: Handler, data: dict[str, Any]) -> Any:
        with self._scheduler.lock:
            service = self._find(data)
            if service is None:
                return update(data)
            if service["status"] != "ACTIVE":
                return self._ecs.error_response_json("ServiceNotActiveException", "Service was not ACTIVE.", 400)
            data = dict(data)
            if any(_changes(service, data, field) for field in REVISION_FIELDS):
                data["forceNewDeployment"] = True
            if why := self._strategy_refusal(service, data):
                return self._error(why)
            if "deploymentConfiguration" in data:
                data["deploymentConfiguration"] = _merged(service, data)
            events = list(service["events"])
            sources = list(service["deployments"])
            before = self._ecs._primary_deployment(service)
            answer = update(data)
            service["events"] = events  # without the event that the emulator invents
            if answer[0] != 200:
                return answer
            if self._ecs._primary_deployment(service) is not before:
                self._scheduler.begin_deployment(service, sources)
            self._scheduler.recount(service)
            self._scheduler.wake()
            return self._answer(service)

    @replaces("ecs", "DeleteService")
    def delete(self, data: dict[str, Any]) -> Any:
        with self._scheduler.lock:
            service = self._find(data)
            if service is None or service["status"] == "INACTIVE":
                return self._ecs.error_response_json("ServiceNotFoundException", "Service not found.", 400)
            if service["desiredCount"] > 0 and not data.get("force"):
                return self._error("The service cannot be stopped while it is scaled above 0.")
            service["desiredCount"] = 0
            service["status"] = "DRAINING"
            self._scheduler.recount(service)
            self._scheduler.wake()
            return self._answer(service)

    @replaces("ecs", "_refresh_service_state")
    def refresh_service_state(self, cluster: str, group: str) -> None:
        service = self._ecs._services.get(f"{cluster}/{group.removeprefix('service:')}")
        if service is not None and group.startswith("service:"):
            with self._scheduler.lock:
                self._scheduler.recount(service)
            self._scheduler.wake()

    @replaces("ecs", "_record_service_task_failure")
    def record_service_task_failure(self, task: dict[str, Any], digest_resolution_failed: bool = False) -> None:
        # An image without a known digest cannot be pulled either: the pull reports the failure.
        service = self._stopper.service_of(task)
        if service is not None and not digest_resolution_failed:
            self._scheduler.task_failed(service, task)

    @extends("ecs", "_make_deployment")
    def make_deployment(self, make: Handler, task_definition: str, desired: int, status: str = "PRIMARY") -> Any:
        deployment = make(task_definition, desired, status)
        # 19 digits, as on AWS; the service revision has the same number.
        deployment["id"] = f"ecs-svc/{secrets.randbelow(9 * 10**18) + 10**18}"
        return deployment

    @replaces("ecs", "_reconcile_service_tasks")
    @replaces("ecs", "_complete_service_deployment")
    @replaces("ecs", "_schedule_service_deployment_completion")
    @replaces("ecs", "_sync_service_targets")
    def wake(self, *_: Any, **__: Any) -> None:
        self._scheduler.wake()

    def _strategy_refusal(self, service: dict[str, Any], data: dict[str, Any]) -> str:
        """Return why ECS refuses a request for its strategy; empty if it takes it. A service to be created is empty."""
        given, merged = data.get("deploymentConfiguration") or {}, _merged(service, data)
        if why := strategies.refusal(given, merged):
            return why
        advanced = {"loadBalancers": data.get("loadBalancers") or service.get("loadBalancers")}
        if (balancer := traffic_shift.balancer_of(advanced)) and (why := self._missing(balancer)):
            return why
        strategy = strategies.strategy_of(merged)
        if strategy is not Strategy.ROLLING and traffic_shift.balancer_of(service or data) is None:
            return (
                f"The deployment strategy {strategy} needs an advancedConfiguration that a rolling deployment attached."
            )
        ongoing = history.ongoing(service) if service else None
        if ongoing and strategies.strategy_of(service["deploymentConfiguration"]) is not strategy:
            return "The deployment strategy cannot be changed while a service deployment is in progress."
        if traffic_shift.shifts(ongoing) and self._starts_deployment(service, data):
            return "A service deployment is in progress. Stop it, or wait until it has ended."
        return ""

    def _missing(self, balancer: Mapping[str, Any]) -> str:
        advanced, alb = balancer["advancedConfiguration"], emulator.service("alb")
        for name in ("productionListenerRule", "testListenerRule"):
            if (arn := advanced.get(name)) and arn not in alb._rules:
                return f"The listener rule {arn} does not exist."
        if not self._groups.in_use(advanced.get("alternateTargetGroupArn") or ""):
            return "The alternateTargetGroupArn does not have an associated load balancer."
        return "" if advanced.get("roleArn") else "advancedConfiguration needs a roleArn."

    def _starts_deployment(self, service: dict[str, Any], data: dict[str, Any]) -> bool:
        if data.get("forceNewDeployment"):
            return True
        wanted = data.get("taskDefinition")
        return bool(wanted) and self._ecs._resolve_td_key(wanted) != self._ecs._resolve_td_key(
            service["taskDefinition"]
        )

    def _find(self, data: dict[str, Any]) -> dict[str, Any] | None:
        cluster = self._ecs._resolve_cluster_name(data.get("cluster", "default"))
        reference = self._ecs._resolve_service_ref(data.get("service", ""))
        if cluster is None or reference is None or reference[1] not in (None, cluster):
            return None
        service: dict[str, Any] | None = self._ecs._services.get(f"{cluster}/{reference[0]}")
        return service

    def _found(self, data: dict[str, Any]) -> dict[str, Any]:
        service = self._find(data)
        if service is None:
            raise LookupError(f"service {data.get('service')} vanished")
        return service

    def _answer(self, service: dict[str, Any]) -> Any:
        return self._ecs.json_response({"service": self._ecs._sanitize(service)})

    def _error(self, message: str) -> Any:
        return self._ecs.error_response_json("InvalidParameterException", message, 400)


def _merged(service: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Return the deployment configuration after a request: a given strategy ends what belongs to the one before."""
    return strategies.without_others(
        {**service.get("deploymentConfiguration", {}), **(data.get("deploymentConfiguration") or {})}
    )


def _changes(service: dict[str, Any], data: dict[str, Any], field: str) -> bool:
    return field in data and (data[field] or None) != (service.get(field) or None)
