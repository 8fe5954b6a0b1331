"""The ECS service scheduler: it brings every service to its desired, healthy state.

One thread examines each service after a change (a request, a task, a target's health) and takes the next step of
:func:`deployments.plan`. It has no state of its own: all state is in the records of services and tasks.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.pace import Pace
from local_cloud.ecs import deployment_alarms, deployment_events, history, task_zones, traffic_shift
from local_cloud.ecs.deployments import (
    Limits,
    TaskView,
    circuit_breaker_threshold,
    plan,
)
from local_cloud.ecs.tasks import TARGET_GROUP, TaskStopper
from local_cloud.elbv2.health import State
from local_cloud.elbv2.target_health import TargetGroups

logger = logging.getLogger(__name__)

Service = dict[str, Any]
Task = dict[str, Any]

BUSY_SECONDS = 0.25
"""Longest pause while a service is not in a steady state: no event announces the end of a grace period."""
IDLE_SECONDS = 5.0
STEADY_SECONDS = 1.0
"""A task without a load balancer counts as healthy after this time."""
EVENTS_KEPT = 100
FREE_FAILURES = 3
LONGEST_RETRY_SECONDS = 60.0
"""Longest delay before a failing task is started again. ECS increases its delay to up to 27 minutes."""
PLACEMENT_RETRY_SECONDS = 5.0
"""Delay before a task is asked for again for which there was no capacity."""

_STARTING = ("PROVISIONING", "PENDING", "ACTIVATING")
_TROUBLESHOOTING = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."


class ServiceScheduler:
    """Drives all services of the emulator; safe to call from any thread."""

    def __init__(
        self, ecs: Any, groups: TargetGroups, stopper: TaskStopper, pace: Pace, shifted: Callable[[], None]
    ) -> None:
        self._ecs = ecs
        self._pace = pace
        self._shifted = shifted
        self._groups = groups
        self._stopper = stopper
        self.lock = threading.RLock()
        """Held while a service's record is changed; never during a call to Docker."""
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="ecs-scheduler", daemon=True)
        groups.registry.observe(self.wake)
        stopper.observe_exits(self.task_exited)

    def start(self) -> None:
        self._thread.start()
        self.wake()

    def stop(self) -> None:
        """End the thread. No task is started or stopped afterwards."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def wake(self) -> None:
        self._wake.set()

    # Events -----------------------------------------------------------------

    def begin_deployment(self, service: Service, sources: list[dict[str, Any]]) -> None:
        """Take up the PRIMARY deployment that CreateService or UpdateService just made."""
        deployment = self._ecs._primary_deployment(service)
        deployment["rolloutState"] = "IN_PROGRESS"
        deployment["rolloutStateReason"] = f"ECS deployment {deployment['id']} in progress."
        deployment["networkConfiguration"] = service.get("networkConfiguration")
        deployment["platformVersion"] = service.get("platformVersion") or "LATEST"
        definition = self._ecs._task_defs.get(self._ecs._resolve_td_key(deployment["taskDefinition"]))
        service["_failures"] = 0
        alarms = deployment_alarms.to_monitor(service)
        record = history.begin(service, deployment, sources, secrets.token_urlsafe(16), definition, alarms)
        is_first = not any(source["rolloutState"] == "COMPLETED" for source in sources)
        traffic_shift.place(service, deployment, record, is_first=is_first)
        history.resolve(service, deployment)
        history.update_counts(service)
        deployment_events.publish(service, deployment)

    def task_exited(self, task: Task) -> None:
        """Handle a task that ended by itself: for a service's task this is always a failure."""
        service = self._stopper.service_of(task)
        if service is not None:
            self.task_failed(service, task)

    def task_failed(self, service: Service, task: Task) -> None:
        """Count a failed task, and fail its deployment if the circuit breaker's threshold is reached."""
        with self.lock:
            service["_failures"] = service.get("_failures", 0) + 1
            service["_last_failure"] = time.time()
            deployment = self._ecs._deployment_for_task(service, task)
            if (
                deployment is None
                or deployment is not self._ecs._primary_deployment(service)
                or deployment["rolloutState"] != "IN_PROGRESS"
            ):
                return
            deployment["failedTasks"] += 1
            deployment["updatedAt"] = self._ecs._iso()
            breaker = _circuit_breaker(service)
            if traffic_shift.shifts(history.ongoing(service)):
                breaker = {}  # it is for rolling updates only
            threshold = circuit_breaker_threshold(service["desiredCount"])
            if breaker.get("enable") and deployment["failedTasks"] >= threshold:
                self._trip(service, deployment, rollback=bool(breaker.get("rollback")))
        self.wake()

    def request_rollback(self, record: dict[str, Any]) -> None:
        """Mark a deployment in progress as stopped; the scheduler then rolls it back."""
        with self.lock:
            history.set_status(record, "ROLLBACK_REQUESTED")
        self.wake()

    # The circuit breaker and rolling back ---------------------------------------------

    def _trip(self, service: Service, deployment: dict[str, Any], *, rollback: bool) -> None:
        record = history.ongoing(service)
        self._fail(service, deployment, "ECS deployment circuit breaker: tasks failed to start.")
        deployment_events.publish(service, deployment)
        self._event(service, f"(deployment {deployment['id']}) deployment failed: tasks failed to start.")
        if record is None:
            return
        history.mark_triggered(record, deployment["failedTasks"])
        history.update_counts(service)
        if record["status"] == "ROLLBACK_IN_PROGRESS":
            history.finish(record, "ROLLBACK_FAILED", "The rollback's own tasks failed to start.")
        elif rollback:
            self._roll_back(service, deployment, record, history.BREAKER_REASON)
        else:
            history.finish(record, "STOPPED", "The deployment circuit breaker threshold was exceeded.")

    def _heed_alarms(self, service: Service, deployment: dict[str, Any], record: dict[str, Any] | None) -> None:
        """Fail the deployment if an alarm that it monitors is in ALARM."""
        triggered = deployment_alarms.in_alarm(history.monitored_alarms(record))
        if record is None or not triggered:
            return
        self._fail(service, deployment, "ECS deployment failed: alarm detected.")
        deployment_events.publish(service, deployment)
        self._event(service, f"(deployment {deployment['id']}) deployment failed: alarm detected.")
        history.mark_alarmed(record, triggered)
        if deployment_alarms.rolls_back(service):
            self._roll_back(service, deployment, record, history.ALARM_REASON)
        else:
            history.finish(record, "STOPPED", "A CloudWatch alarm was detected.")

    def _fail(self, service: Service, deployment: dict[str, Any], reason: str) -> None:
        deployment["rolloutState"] = "FAILED"
        deployment["rolloutStateReason"] = reason
        deployment["updatedAt"] = self._ecs._iso()

    def _roll_back(self, service: Service, failed: dict[str, Any], record: dict[str, Any], reason: str) -> None:
        """Make the newest COMPLETED deployment PRIMARY again."""
        target = next(
            (
                candidate
                for candidate in service["deployments"]
                if candidate is not failed and candidate["rolloutState"] == "COMPLETED"
            ),
            None,
        )
        if target is None:
            history.finish(record, "ROLLBACK_FAILED", history.NO_CANDIDATE_REASON)
            return
        traffic_shift.give_back(service, record, self._shifted)
        failed["status"] = "ACTIVE"
        target["status"] = "PRIMARY"
        target["rolloutState"] = "IN_PROGRESS"
        target["rolloutStateReason"] = (
            f"ECS deployment circuit breaker: rolling back to deploymentId {target['id']}."
            if reason == history.BREAKER_REASON
            else f"ECS deployment rolling back to deploymentId {target['id']}."
        )
        target["failedTasks"] = 0
        target["updatedAt"] = self._ecs._iso()
        service["deployments"].remove(target)
        service["deployments"].insert(0, target)
        service["taskDefinition"] = target["taskDefinition"]
        service["_failures"] = 0
        history.start_rollback(service, record, target, reason)
        self._event(service, f"rolling back to deployment {target['id']}.")
        deployment_events.publish(service, target)

    # The loop -------------------------------------------------------------------------

    def _run(self) -> None:
        pause = BUSY_SECONDS
        while True:
            self._wake.wait(pause)
            self._wake.clear()
            if self._stopping:
                return
            steady = True
            for (account, region, key), service in self._ecs._services.all_items():
                try:
                    with emulator.core("responses").request_scope(account, region), self.lock:
                        steady = self._step(key, service) and steady
                except Exception:
                    logger.exception("scheduling service %s failed", key)
            pause = IDLE_SECONDS if steady else BUSY_SECONDS

    def _step(self, key: str, service: Service) -> bool:
        """Take the next step for one service. Return whether it is in a steady state."""
        if service["status"] == "INACTIVE":
            return True
        tasks = self._tasks(service)
        live = [task for task in tasks if task["desiredStatus"] != "STOPPED"]
        if service["status"] == "DRAINING":
            for task in live:
                self._stop(service, task, "Service deleted")
            self.recount(service)
            if not tasks:
                service["status"] = "INACTIVE"
                self._ecs._recount_cluster(key.partition("/")[0])
            return not tasks

        for task in live:
            self._register(service, task)
        primary = self._ecs._primary_deployment(service)
        record = history.ongoing(service)
        if record is not None and record["status"] == "ROLLBACK_REQUESTED":
            self._fail(service, primary, "ECS deployment stopped by a user.")
            self._roll_back(service, primary, record, history.REQUESTED_REASON)
        elif primary["rolloutState"] == "IN_PROGRESS":
            self._heed_alarms(service, primary, record)
        primary = self._ecs._primary_deployment(service)
        if record is not None and record["status"] == "IN_PROGRESS" and traffic_shift.is_under_way(record):
            self._keep_both(key, service, record, live)
            return False

        views = [self._view(service, task, primary) for task in live]
        if primary["rolloutState"] == "IN_PROGRESS":
            # A new task that fails its checks is stopped and counted; the next step replaces it.
            ill = [task for task in live if self._failing(service, task)]
            for task in ill:
                self._stop(service, task, self._health_reason(service, task), failed=True)
            if ill:
                return False  # the deployment may have failed now
        step = plan(views, self._limits(service), startable=self._startable(service, primary, views))
        by_arn = {task["taskArn"]: task for task in live}
        for arn in step.stop:
            task = by_arn[arn]
            failing = self._failing(service, task)
            self._stop(
                service,
                task,
                self._health_reason(service, task)
                if failing
                else f"Scaling activity initiated by (deployment {primary['id']})",
                failed=failing,
            )
        if step.start:
            self._start(key, service, primary, step.start)
        self.recount(service)
        if not step.start and not step.stop:
            self._complete(service, primary, tasks, views)
        self._drop_ended(service, tasks)
        history.update_counts(service)
        return (
            primary["rolloutState"] != "IN_PROGRESS"
            and len(tasks) == service["desiredCount"]
            and all(view.healthy for view in views)
        )

    def _keep_both(self, key: str, service: Service, record: dict[str, Any], live: list[Task]) -> None:
        """Keep the desired tasks of the old and of the new revision, and take the deployment to its next stage."""
        primary = self._ecs._primary_deployment(service)
        for deployment in list(service["deployments"]):
            if deployment is not primary and deployment["rolloutState"] != "COMPLETED":
                continue
            own = [task for task in live if self._ecs._deployment_for_task(service, task) is deployment]
            views = [self._view(service, task, deployment) for task in own]
            step = plan(views, self._limits(service), startable=self._startable(service, deployment, views))
            for task in own:
                if task["taskArn"] in step.stop:
                    failing = self._failing(service, task)
                    by = f"Scaling activity initiated by (deployment {deployment['id']})"
                    self._stop(service, task, self._health_reason(service, task) if failing else by, failed=failing)
            if step.start:
                self._start(key, service, deployment, step.start)
            if deployment is primary:
                scaled_up = len(views) == service["desiredCount"] and all(view.healthy for view in views)
        self.recount(service)
        history.update_counts(service)
        if traffic_shift.advance(service, record, scaled_up=scaled_up, pace=self._pace, changed=self._shifted):
            self.request_rollback(record)

    def recount(self, service: Service) -> None:
        """Update every count of the service and its deployments."""
        counts: dict[str, dict[str, int]] = {}
        for task in self._tasks(service):
            if task["desiredStatus"] == "STOPPED":
                continue
            deployment = self._ecs._deployment_for_task(service, task)
            count = counts.setdefault(deployment["id"] if deployment else "", {"running": 0, "pending": 0})
            if task["lastStatus"] == "RUNNING":
                count["running"] += 1
            elif task["lastStatus"] in _STARTING:
                count["pending"] += 1
        for deployment in service["deployments"]:
            count = counts.get(deployment["id"], {"running": 0, "pending": 0})
            deployment["runningCount"] = count["running"]
            deployment["pendingCount"] = count["pending"]
            deployment["desiredCount"] = (
                service["desiredCount"] if deployment["status"] == "PRIMARY" else sum(count.values())
            )
        service["runningCount"] = sum(count["running"] for count in counts.values())
        service["pendingCount"] = sum(count["pending"] for count in counts.values())

    def _complete(self, service: Service, primary: dict[str, Any], tasks: list[Task], views: list[TaskView]) -> None:
        """Complete the rollout when only the desired number of new, healthy tasks is left."""
        if primary["rolloutState"] != "IN_PROGRESS":
            return
        for task in tasks:
            # Draining tasks count too: the service is not in a steady state before they have stopped.
            if self._ecs._deployment_for_task(service, task) is not primary:
                return
        if len(views) != service["desiredCount"] or not all(view.healthy for view in views):
            return
        record = history.ongoing(service)
        alarms = [] if traffic_shift.shifts(record) else history.monitored_alarms(record)  # their bake time is over
        bake = self._pace.seconds(deployment_alarms.bake_seconds(alarms))
        if time.time() < primary.setdefault("_steady_since", time.time()) + bake:
            return
        primary["rolloutState"] = "COMPLETED"
        primary["rolloutStateReason"] = f"ECS deployment {primary['id']} completed."
        primary["updatedAt"] = self._ecs._iso()
        if record is not None:
            rolled_back = record["status"] == "ROLLBACK_IN_PROGRESS"
            history.update_counts(service)
            history.finish(record, "ROLLBACK_SUCCESSFUL" if rolled_back else "SUCCESSFUL")
        deployment_events.publish(service, primary)
        self._event(service, f"(deployment {primary['id']}) deployment completed.")
        self._event(service, "has reached a steady state.")

    def _drop_ended(self, service: Service, tasks: list[Task]) -> None:
        """Forget deployments that have no task and cannot be rolled back to."""
        with_tasks = {task.get("_deployment_id") for task in tasks}
        primary = self._ecs._primary_deployment(service)
        under_way = primary["rolloutState"] == "IN_PROGRESS"
        service["deployments"] = [
            deployment
            for deployment in service["deployments"]
            if deployment is primary
            or deployment["id"] in with_tasks
            or (under_way and deployment["rolloutState"] != "IN_PROGRESS")
        ]

    # One service's tasks ------------------------------------------------------------------

    def _tasks(self, service: Service) -> list[Task]:
        return [task for task in self._records(service) if task["lastStatus"] != "STOPPED"]

    def _records(self, service: Service) -> list[Task]:
        """Return every task of a service that the API still knows, in the order of their start."""
        return [
            task
            for task in self._ecs._tasks.values()
            if task.get("group") == f"service:{service['serviceName']}" and task["clusterArn"] == service["clusterArn"]
        ]

    def _view(self, service: Service, task: Task, primary: dict[str, Any]) -> TaskView:
        healthy = self._healthy(service, task)
        current = self._ecs._deployment_for_task(service, task) is primary
        if healthy and not task.get("_startup_stable"):
            task["_startup_stable"] = True
            service["_failures"] = 0
            if current:
                primary["failedTasks"] = 0
        return TaskView(
            arn=task["taskArn"],
            created_at=task["createdAt"],
            current=current,
            healthy=healthy,
            failing=self._failing(service, task),
        )

    def _healthy(self, service: Service, task: Task) -> bool:
        if task["lastStatus"] != "RUNNING":
            return False
        targets = self._stopper.targets(task)
        if not targets:
            return _age(task) >= STEADY_SECONDS
        return all(
            health is not None and health.state is State.HEALTHY
            for health in (self._groups.registry.health(*target) for target in targets)
        )

    def _failing(self, service: Service, task: Task) -> bool:
        """Return whether the task's checks fail after its grace period."""
        if task["lastStatus"] != "RUNNING":
            return False
        if _age(task) < (service.get("healthCheckGracePeriodSeconds") or 0):
            return False
        return any(
            health is not None and health.state is State.UNHEALTHY
            for health in (self._groups.registry.health(*target) for target in self._stopper.targets(task))
        )

    def _health_reason(self, service: Service, task: Task) -> str:
        for group, target in self._stopper.targets(task):
            health = self._groups.registry.health(group, target)
            if health is not None and health.state is State.UNHEALTHY:
                self._event(
                    service,
                    f"(port {target.port}) is unhealthy in (target-group {group}) "
                    f"due to (reason {health.description}).",
                )
                return f"Task failed ELB health checks in (target-group {group})"
        return "Task failed ELB health checks"

    def _register(self, service: Service, task: Task) -> None:
        if task["lastStatus"] != "RUNNING":
            return
        for group, target in self._stopper.targets(task):
            if self._groups.registry.health(group, target) is None:
                self._groups.register(group, target, managed=True, zone=task_zones.zone_of(task))
                self._event(service, f"registered 1 targets in (target-group {group})")

    def _startable(self, service: Service, primary: dict[str, Any], views: list[TaskView]) -> int | None:
        if primary["rolloutState"] == "FAILED":
            return 0
        if time.time() < service.get("_not_placed", 0.0) + PLACEMENT_RETRY_SECONDS:
            return 0
        failures = service.get("_failures", 0)
        if failures >= FREE_FAILURES:
            pause = min(LONGEST_RETRY_SECONDS, 2.0 ** (failures - FREE_FAILURES))
            if time.time() < service["_last_failure"] + pause:
                return 0
        definition = self._ecs._task_defs.get(self._ecs._resolve_td_key(primary["taskDefinition"]))
        if definition is None:
            return 0
        if self._ecs._deployment_needs_first_task(primary, definition, service):
            # The first task resolves a tag to a digest; all later tasks use that digest.
            return 0 if any(view.current for view in views) else 1
        return None

    def _limits(self, service: Service) -> Limits:
        configuration = service["deploymentConfiguration"]
        return Limits(
            desired=service["desiredCount"],
            minimum_percent=int(configuration.get("minimumHealthyPercent", 100)),
            maximum_percent=int(configuration.get("maximumPercent", 200)),
        )

    def _start(self, key: str, service: Service, primary: dict[str, Any], count: int) -> None:
        tasks: list[Task] = []
        for _ in range(count):
            answer = self._start_one(key, service, primary)
            tasks += answer.get("tasks", [])
            if failures := answer.get("failures"):
                service["_not_placed"] = time.time()
                reason = failures[0]["reason"]
                self._event(service, f"was unable to place a task. Reason: {reason}. {_TROUBLESHOOTING}")
                break
        if tasks:
            names = " ".join(f"(task {task['taskArn'].rsplit('/', 1)[-1]})" for task in tasks)
            self._event(service, f"has started {len(tasks)} tasks: {names}.")

    def _start_one(self, key: str, service: Service, primary: dict[str, Any]) -> dict[str, Any]:
        """Ask for a task. Return RunTask's answer."""
        network = task_zones.spread(service.get("networkConfiguration") or {}, self._records(service))
        _status, _headers, body = self._ecs._run_task(
            {
                "cluster": key.partition("/")[0],
                "taskDefinition": primary["taskDefinition"],
                "count": 1,
                "group": f"service:{service['serviceName']}",
                "startedBy": primary["id"],
                "launchType": service.get("launchType"),
                "capacityProviderStrategy": service.get("capacityProviderStrategy"),
                "platformVersion": service.get("platformVersion", ""),
                "networkConfiguration": network,
                "enableExecuteCommand": service.get("enableExecuteCommand", False),
                "_deploymentId": primary["id"],
            }
        )
        answer: dict[str, Any] = emulator.parse(body)
        for task in answer.get("tasks", []):
            self._ecs._tasks[task["taskArn"]][TARGET_GROUP] = primary.get(TARGET_GROUP)
        return answer

    def _stop(self, service: Service, task: Task, reason: str, *, failed: bool = False) -> None:
        if not self._stopper.stop(task, reason, "ServiceSchedulerInitiated"):
            return
        self._event(service, f"has stopped 1 running tasks: (task {task['taskArn'].rsplit('/', 1)[-1]}).")
        groups = [group for group, _ in self._stopper.targets(task)]
        for group in groups:
            self._event(service, f"deregistered 1 targets in (target-group {group})")
        if groups:
            self._event(service, "has begun draining connections on 1 tasks.")
        if failed:
            self.task_failed(service, task)

    def _event(self, service: Service, message: str) -> None:
        service["events"].insert(
            0,
            {
                "id": self._ecs.new_uuid(),
                "createdAt": time.time(),
                "message": f"(service {service['serviceName']}) {message}",
            },
        )
        del service["events"][EVENTS_KEPT:]


def _circuit_breaker(service: Service) -> dict[str, Any]:
    breaker: dict[str, Any] = service["deploymentConfiguration"].get("deploymentCircuitBreaker") or {}
    return breaker


def _age(task: Task) -> float:
    """Return the seconds since the task became RUNNING."""
    started = task.get("startedAt")
    if not started:
        return 0.0
    return time.time() - datetime.fromisoformat(started.replace("Z", "+00:00")).timestamp()
