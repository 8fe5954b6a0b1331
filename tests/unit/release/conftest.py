"""A small, stateful ECS: families with revisions, one service whose rollouts follow a script, one-off tasks.

It does not mock single calls: each call changes its state, and later calls return that state.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.core.application import Application
from fargate_ops.ecs.rollout import Snapshot
from fargate_ops.ecs.task_definition import Image, Settings
from fargate_ops.ecs.tasks import private_address
from fargate_ops.notify.slack import Message
from fargate_ops.release.context import Context, Limits
from fargate_ops.release.ending import Failure
from fargate_ops.release.release import Releaser
from fargate_ops.release.rollback import Rollback, RollbackPlan
from fargate_ops.release.strategy import ROLLING, Strategy
from fargate_ops.release.verify import Subject, Verdict, Verification
from fargate_ops.state.ledger import Ledger, Release
from fargate_ops.state.lock import LockStore
from fargate_ops.terraform.stack import Stack
from local_cloud.ecs import task_lists

BUCKET = "state-bucket"
ACCOUNT = "arn:aws:ecs:ap-northeast-2:000000000000"
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
PREFIX = "settlement-test"
APPLICATION = Application(
    name="settlement",
    port=8000,
    health_path="/health",
    ready_path="/ready",
    version_path="/about",
    admin_command=["python", "-m", "shop.admin"],
)
SECRET = "arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:app-Ab12Cd"
OTHER_SECRET = "arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:other-Ab12Cd"
CLONE_SECRET = "arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:app-clone-Ab12Cd"

OUTPUTS: dict[str, Any] = {
    "name_prefix": PREFIX,
    "region": "ap-northeast-2",
    "cluster_name": PREFIX,
    "service_name": PREFIX,
    "service_family": PREFIX,
    "admin_family": f"{PREFIX}-admin",
    "container_name": "api",
    "container_port": 8000,
    "execution_role_arn": "arn:aws:iam::000000000000:role/execution",
    "task_role_arn": "arn:aws:iam::000000000000:role/task",
    "admin_execution_role_arn": "arn:aws:iam::000000000000:role/admin-execution",
    "admin_task_role_arn": "arn:aws:iam::000000000000:role/admin-task",
    "log_group_name": "/ecs/test",
    "admin_log_group_name": "/ecs/test-admin",
    "target_group_arn": "arn:tg",
    "public_url": "http://127.0.0.1:1",
    "private_subnet_ids": ["subnet-1"],
    "service_security_group_ids": ["sg-1"],
    "admin_security_group_ids": ["sg-2"],
    "database": {
        "host": "db",
        "port": 5432,
        "name": "settlement",
        "master_secret_arn": "arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:master-Ab12Cd",
        "max_connections": 100,
        "instance_identifier": "settlement-test",
    },
    "app_database_secret_arn": SECRET,
    "app_database_clone_secret_arn": CLONE_SECRET,
    "scalable_target": {
        "resource_id": f"service/{PREFIX}/{PREFIX}",
        "service_namespace": "ecs",
        "scalable_dimension": "ecs:service:DesiredCount",
        "min_capacity": 2,
        "max_capacity": 4,
        "timezone": "Asia/Seoul",
        "scheduled_actions": [
            {"name": "up", "schedule": "cron(0 0 28 * ? *)", "min_capacity": 3, "max_capacity": 6},
            {"name": "down", "schedule": "cron(0 0 2 * ? *)", "min_capacity": 2, "max_capacity": 4},
        ],
    },
    "cpu_architecture": "X86_64",
}
STACK = Stack(OUTPUTS, "test")
#: The same environment with what every strategy but rolling needs.
GROUP, ALTERNATE = "arn:tg", "arn:tg-b"
WITH_STRATEGIES = Stack(
    {
        **OUTPUTS,
        "alternate_target_group_arn": ALTERNATE,
        "production_listener_rule_arn": "arn:rule/production",
        "test_listener_rule_arn": "arn:rule/test",
        "load_balancer_role_arn": "arn:aws:iam::000000000000:role/load-balancer",
        "deployment_alarm_names": ["test-errors-5xx"],
        "release_gate_alarm_names": [f"test-gate-{group}-{what}" for group in "ab" for what in ("5xx", "p99")],
        "app_deployment_maximum_percent": 200,
    },
    "test",
)
#: The same environment without a database.
WITHOUT_DATABASE = Stack(
    {name: value for name, value in OUTPUTS.items() if not name.startswith(("admin_", "app_database", "database"))},
    "test",
)

#: A time at which the schedule above sets the usual limits.
AN_ORDINARY_DAY = datetime(2026, 1, 15, tzinfo=UTC)


def client_error(operation: str, message: str, code: str = "ClientException") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def failed(message: str, *, unverified: bool = False) -> Failure:
    """Return the failure of a task with this message."""
    return Failure.from_result({"msg": message, "unverified": unverified}, "test")


def plain(text: object) -> str:
    """Return a text with versions instead of names: without the beginnings of definitions' digests."""
    return re.sub(r"\+[0-9a-f]{4}\b", "", str(text))


VERIFIED = Verification(verdict=Verdict.VERIFIED, reason="12 right in a row")

Step = Callable[["FakeEcs"], None]


@dataclass
class Paginator:
    """What ``get_paginator`` returns; ``paginate`` is the operation."""

    paginate: Callable[..., Iterator[dict[str, Any]]]


@dataclass
class FakeEcs:
    """One cluster with one service. ``rollout`` holds what happens at each DescribeServices after an update."""

    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    service: dict[str, Any] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    rollout: Sequence[Step] = ()
    updates: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    service_deployments: list[dict[str, Any]] = field(default_factory=list)
    revisions: dict[str, str] = field(default_factory=dict)
    lists_service_deployments: bool = True
    stopped_deployments: list[str] = field(default_factory=list)
    run_exit_code: int = 0
    run_exit_codes: list[int] = field(default_factory=list)
    stopped_tasks: list[str] = field(default_factory=list)
    refuse: dict[str, ClientError] = field(default_factory=dict)
    deregistered: set[str] = field(default_factory=set)
    #: So many calls of DescribeServices still return the state before the last update.
    stale_looks: int = 0
    before: dict[str, Any] = field(default_factory=dict)
    #: The weights of the production rule, the target group of the new tasks, and the hooks that were continued.
    weights: dict[str, int] = field(default_factory=lambda: {GROUP: 100, ALTERNATE: 0})
    green: str = ALTERNATE
    continued: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        placeholder = self._add({"family": f"{PREFIX}-placeholder", "containerDefinitions": [{"name": "api"}]})
        self.service = {
            "serviceArn": f"{ACCOUNT}:service/{PREFIX}/{PREFIX}",
            "serviceName": PREFIX,
            "status": "ACTIVE",
            "createdAt": CREATED,
            "desiredCount": 0,
            "runningCount": 0,
            "events": [],
            "loadBalancers": [{"targetGroupArn": GROUP, "containerName": "api", "containerPort": 8000}],
            "deploymentConfiguration": {},
            "deployments": [self._deployment("ecs-svc/0", placeholder, 0, "COMPLETED")],
        }

    # -- what tests do to it ---------------------------------------------------------------------------------------

    @property
    def primary(self) -> dict[str, Any]:
        return next(item for item in self.service["deployments"] if item["status"] == "PRIMARY")

    def complete(self) -> None:
        """Complete the PRIMARY deployment; the others and all service deployments in progress end."""
        for ongoing in self.service_deployments:
            if ongoing["status"] == "IN_PROGRESS":
                ongoing["status"] = "SUCCESSFUL"
        count = self.service["desiredCount"]
        self.service["deployments"] = [self.primary]
        self.primary.update(rolloutState="COMPLETED", runningCount=count, pendingCount=0)
        self.service["runningCount"] = count

    def fail_task(
        self,
        reason: str = "Essential container exited",
        exit_code: int = 3,
        code: str = "EssentialContainerExited",
        *,
        lived: float = 0.0,
    ) -> None:
        self.primary["failedTasks"] += 1
        task = self.start_task()
        task |= {
            "lastStatus": "STOPPED",
            "stopCode": code,
            "stoppedReason": reason,
            "startedAt": datetime.now(UTC) - timedelta(seconds=lived),
            "stoppedAt": datetime.now(UTC),
            "containers": [{"name": "api", "exitCode": exit_code}],
        }

    def start_task(self, address: str = "") -> dict[str, Any]:
        """Start a task of the PRIMARY deployment."""
        arn = f"{ACCOUNT}:task/{PREFIX}/{len(self.tasks):032x}"
        details = [{"name": "privateIPv4Address", "value": address}] if address else []
        self.tasks[arn] = {
            "taskArn": arn,
            "taskDefinitionArn": self.primary["taskDefinition"],
            "group": f"service:{PREFIX}",
            "startedBy": self.primary["id"],
            "lastStatus": "RUNNING",
            "createdAt": datetime.now(UTC),
            "attachments": [{"details": details}],
            "containers": [{"name": "api"}],
        }
        return self.tasks[arn]

    def note(self, **changes: Any) -> dict[str, Any]:
        """Add a service deployment of PRIMARY's revision that began with PRIMARY."""
        number = len(self.service_deployments)
        arn = f"{ACCOUNT}:service-revision/{PREFIX}/{PREFIX}/{number}"
        self.revisions[arn] = changes.pop("taskDefinition", self.primary["taskDefinition"])
        self.service_deployments.append(
            {
                "serviceDeploymentArn": f"arn:service-deployment/{number}",
                "status": "IN_PROGRESS",
                "createdAt": self.primary["createdAt"],
                "targetServiceRevisionArn": arn,
                "targetServiceRevision": {"arn": arn},
                "deploymentConfiguration": self.service["deploymentConfiguration"],
                **changes,
            }
        )
        return self.service_deployments[-1]

    def roll_back(self) -> None:
        """Act as the circuit breaker: the deployment fails, and another one brings the previous version back."""
        failed = self.primary
        before = next(item for item in self.service["deployments"] if item["rolloutState"] == "COMPLETED")
        failed.update(status="ACTIVE", rolloutState="FAILED", rolloutStateReason="circuit breaker triggered")
        failed.update(runningCount=0, pendingCount=0)
        back = self._deployment("ecs-svc/back", before["taskDefinition"], self.service["desiredCount"], "IN_PROGRESS")
        self.service["deployments"] = [back, failed]

    @property
    def strategy(self) -> str:
        return str(self.service["deploymentConfiguration"].get("strategy", "ROLLING"))

    def go_back(self, reason: str = "stopped by a user", *alarms: str) -> None:
        """Undo a deployment that is not rolling: the requests go back, and the tasks before it are PRIMARY again."""
        self.service_deployments[-1] |= {
            "status": "ROLLBACK_SUCCESSFUL",
            "rollback": {"reason": reason},
            "alarms": {"triggeredAlarmNames": list(alarms)},
            "lifecycleHookDetails": [],
        }
        blue = next(item for item in self.service["deployments"] if item["status"] == "ACTIVE")
        blue["status"] = "PRIMARY"
        self.service["deployments"] = [blue]
        self.weights = {group: 0 if group == self.green else 100 for group in self.weights}

    # -- the API ---------------------------------------------------------------------------------------------------

    def describe_services(self, **_: Any) -> dict[str, Any]:
        if self.rollout:
            step, *self.rollout = self.rollout
            step(self)
        if self.before and self.stale_looks:
            self.stale_looks -= 1
            return {"services": [copy.deepcopy(self.before)]}
        return {"services": [copy.deepcopy(self.service)]}

    def register_task_definition(self, **definition: Any) -> dict[str, Any]:
        self._may("RegisterTaskDefinition")
        arn = self._add(definition)
        return {"taskDefinition": self._returned(arn)}

    def describe_task_definition(self, *, taskDefinition: str, include: list[str] | None = None) -> dict[str, Any]:
        if taskDefinition.startswith("arn:"):
            return {"taskDefinition": self._returned(taskDefinition)}
        revisions = [arn for arn, item in self.definitions.items() if item["family"] == taskDefinition]
        if not revisions:
            raise client_error("DescribeTaskDefinition", "Unable to describe task definition.")
        return {"taskDefinition": self._returned(revisions[-1])}

    def update_service(self, **request: Any) -> dict[str, Any]:
        self._may("UpdateService")
        self._may_have_strategy(request)
        self.updates.append(request)
        self.before = copy.deepcopy(self.service)
        self.service["deploymentConfiguration"] = request.get(
            "deploymentConfiguration", self.service["deploymentConfiguration"]
        )
        attaches = "loadBalancers" in request and request["loadBalancers"] != self.service["loadBalancers"]
        if attaches:
            self.service["loadBalancers"] = request["loadBalancers"]
        if "desiredCount" in request:
            self.service["desiredCount"] = request["desiredCount"]
        wanted = request.get("taskDefinition", self.primary["taskDefinition"])
        if wanted != self.primary["taskDefinition"] or request.get("forceNewDeployment") or attaches:
            self.primary["status"] = "ACTIVE"
            new = self._deployment(f"ecs-svc/{len(self.updates)}", wanted, self.service["desiredCount"], "IN_PROGRESS")
            self.service["deployments"].insert(0, new)
            if self.lists_service_deployments:
                self.note()
        return {"service": copy.deepcopy(self.service)}

    def list_service_deployments(self, *, status: Sequence[str] = (), **_: Any) -> dict[str, Any]:
        found = [item for item in self.service_deployments if not status or item["status"] in status]
        return {"serviceDeployments": copy.deepcopy(found)}

    def describe_service_deployments(self, *, serviceDeploymentArns: list[str]) -> dict[str, Any]:
        found = [item for item in self.service_deployments if item["serviceDeploymentArn"] in serviceDeploymentArns]
        return {"serviceDeployments": copy.deepcopy(found)}

    def continue_service_deployment(self, *, serviceDeploymentArn: str, hookId: str, action: str) -> dict[str, Any]:
        self._may("ContinueServiceDeployment")
        record = self.service_deployments[-1]
        (hook,) = record["lifecycleHookDetails"]
        assert (serviceDeploymentArn, hookId, action) == (record["serviceDeploymentArn"], hook["hookId"], "CONTINUE")
        hook["status"] = "SUCCEEDED"
        self.continued.append(hookId)
        return {}

    def describe_service_revisions(self, *, serviceRevisionArns: list[str]) -> dict[str, Any]:
        return {
            "serviceRevisions": [
                {
                    "serviceRevisionArn": arn,
                    "taskDefinition": self.revisions[arn],
                    "resolvedConfiguration": {"loadBalancers": [{"targetGroupArn": self.green}]},
                }
                for arn in serviceRevisionArns
            ]
        }

    def stop_service_deployment(self, *, serviceDeploymentArn: str, stopType: str) -> dict[str, Any]:
        self._may("StopServiceDeployment")
        assert stopType == "ROLLBACK"
        self.stopped_deployments.append(serviceDeploymentArn)
        if self.strategy != "ROLLING":
            self.go_back()
            self.rollout = []
            return {}
        self.roll_back()
        self.rollout = [FakeEcs.complete]
        return {}

    def run_task(self, **request: Any) -> dict[str, Any]:
        self._may("RunTask")
        self.runs.append(request)
        arn = f"{ACCOUNT}:task/{PREFIX}/one-off-{len(self.runs)}"
        self.tasks[arn] = {
            "taskArn": arn,
            "taskDefinitionArn": request["taskDefinition"],
            "startedBy": request["startedBy"],
            "lastStatus": "STOPPED",
            "stopCode": "EssentialContainerExited",
            "stoppedReason": "Essential container exited",
            "containers": [
                {"name": "api", "exitCode": self.run_exit_codes.pop(0) if self.run_exit_codes else self.run_exit_code}
            ],
        }
        return {"tasks": [self.tasks[arn]], "failures": []}

    def describe_tasks(self, *, tasks: list[str], **_: Any) -> dict[str, Any]:
        return {"tasks": [self.tasks[arn] for arn in tasks if arn in self.tasks]}

    def stop_task(self, *, task: str, reason: str, **_: Any) -> None:
        self.stopped_tasks.append(reason)
        self.tasks[task]["lastStatus"] = "STOPPED"

    def get_paginator(self, operation: str) -> Any:
        return Paginator({"list_tasks": self._list_tasks, "list_task_definitions": self._list_definitions}[operation])

    def deregister_task_definition(self, *, taskDefinition: str) -> None:
        self.deregistered.add(taskDefinition)

    def _list_tasks(self, *, desiredStatus: str = "", **filters: Any) -> Iterator[dict[str, Any]]:
        if why := task_lists.refusal({**filters, "desiredStatus": desiredStatus}):
            raise ClientError({"Error": {"Code": "InvalidParameterException", "Message": why}}, "ListTasks")
        for arn, task in self.tasks.items():
            stopped = task["lastStatus"] in ("DEACTIVATING", "STOPPED")  # as their desired status is
            of_service = task.get("group") == f"service:{PREFIX}"
            mine = of_service if "serviceName" in filters else task.get("startedBy") == filters.get("startedBy")
            if mine and stopped == (desiredStatus == "STOPPED"):
                yield {"taskArns": [arn]}

    def _list_definitions(self, *, familyPrefix: str, **_: Any) -> Iterator[dict[str, Any]]:
        for arn, item in self.definitions.items():
            if item["family"].startswith(familyPrefix) and arn not in self.deregistered:
                yield {"taskDefinitionArns": [arn]}

    def _may_have_strategy(self, request: dict[str, Any]) -> None:
        """Refuse what ECS refuses: a strategy without its target groups, and a change of it during a deployment."""
        configuration = request.get("deploymentConfiguration", self.service["deploymentConfiguration"])
        strategy = configuration.get("strategy", "ROLLING")
        if strategy != "ROLLING" and "advancedConfiguration" not in self.service["loadBalancers"][0]:
            raise client_error("UpdateService", "advancedConfiguration is required", "InvalidParameterException")
        if strategy != self.strategy and self.primary["rolloutState"] == "IN_PROGRESS":
            raise client_error("UpdateService", "a deployment is in progress", "InvalidParameterException")

    # -- how it works ----------------------------------------------------------------------------------------------

    def _may(self, operation: str) -> None:
        if operation in self.refuse:
            raise self.refuse[operation]

    def _add(self, definition: dict[str, Any]) -> str:
        revision = 1 + sum(item["family"] == definition["family"] for item in self.definitions.values())
        arn = f"{ACCOUNT}:task-definition/{definition['family']}:{revision}"
        self.definitions[arn] = copy.deepcopy(definition)
        return arn

    def _returned(self, arn: str) -> dict[str, Any]:
        """Return a definition as ECS does: with read-only fields and defaults added."""
        definition = copy.deepcopy(self.definitions[arn])
        definition.pop("tags", None)
        definition.update(taskDefinitionArn=arn, revision=int(arn.rsplit(":", 1)[-1]))
        definition["status"] = "INACTIVE" if arn in self.deregistered else "ACTIVE"
        definition.update(compatibilities=["EC2", "FARGATE"], placementConstraints=[], registeredAt=CREATED)
        for container in definition["containerDefinitions"]:
            container.setdefault("cpu", 0)
            container.setdefault("volumesFrom", [])
            container.get("environment", []).reverse()
            for port in container.get("portMappings", []):
                port.setdefault("hostPort", port["containerPort"])
        return definition

    @staticmethod
    def _deployment(name: str, revision: str, desired: int, state: str) -> dict[str, Any]:
        return {
            "id": name,
            "status": "PRIMARY",
            "createdAt": datetime.now(UTC),
            "taskDefinition": revision,
            "desiredCount": desired,
            "pendingCount": 0,
            "runningCount": 0,
            "failedTasks": 0,
            "rolloutState": state,
            "rolloutStateReason": "",
        }


@dataclass
class FakeLoadBalancer:
    """Target health: as many healthy targets as the service runs tasks, or what a test sets."""

    ecs: FakeEcs
    descriptions: list[dict[str, Any]] | None = None
    #: Rules of the listener beside that of all requests.
    rules: list[dict[str, Any]] = field(default_factory=list)

    def get_paginator(self, operation: str) -> Paginator:
        assert operation == "describe_rules"

        def paginate(*, ListenerArn: str) -> Iterator[dict[str, Any]]:
            assert ListenerArn == "arn:rule"
            yield {"Rules": [{"Priority": "50000", "Actions": [{"Type": "forward"}]}, *self.rules]}

        return Paginator(paginate)

    def describe_rules(self, *, RuleArns: list[str]) -> dict[str, Any]:
        assert RuleArns == ["arn:rule/production"]
        groups = [{"TargetGroupArn": group, "Weight": weight} for group, weight in self.ecs.weights.items()]
        return {"Rules": [{"Actions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]}]}

    def describe_target_health(self, *, TargetGroupArn: str = GROUP, **_: Any) -> dict[str, Any]:
        if TargetGroupArn != max(self.ecs.weights, key=self.ecs.weights.__getitem__):
            return {"TargetHealthDescriptions": []}
        if self.descriptions is not None:
            return {"TargetHealthDescriptions": self.descriptions}
        addresses = [private_address(task) for task in self.ecs.tasks.values() if task["lastStatus"] == "RUNNING"]
        others = [f"10.0.0.{number}" for number in range(len(addresses), self.ecs.service["runningCount"])]
        return {
            "TargetHealthDescriptions": [
                {"Target": {"Id": address, "Port": 8000}, "TargetHealth": {"State": "healthy"}}
                for address in [*addresses, *others]
            ]
        }


@dataclass
class FakeLogs:
    """Streams by name; each is read once from its beginning. Every task has one, except the silent ones.

    `prepared` is the admin task's output, unless a test sets another.
    """

    streams: dict[str, list[str]] = field(default_factory=dict)
    groups: set[str] = field(default_factory=lambda: {"/ecs/test", "/ecs/test-admin"})
    silent: set[str] = field(default_factory=set)
    prepared: str = ""

    def describe_log_streams(self, *, logGroupName: str, logStreamNamePrefix: str, limit: int) -> dict[str, Any]:
        assert (logGroupName, limit) == ("/ecs/test", 1)
        task = logStreamNamePrefix.rsplit("/", 1)[-1]
        return {"logStreams": [] if task in self.silent else [{"logStreamName": logStreamNamePrefix}]}

    def describe_log_groups(self, *, logGroupNamePrefix: str, limit: int) -> dict[str, Any]:
        found = sorted(name for name in self.groups if name.startswith(logGroupNamePrefix))
        return {"logGroups": [{"logGroupName": name} for name in found[:limit]]}

    def get_log_events(self, *, logStreamName: str, nextToken: str | None = None, **_: Any) -> dict[str, Any]:
        for name, lines in [*self.streams.items(), ("api/api/one-off", [self.prepared])]:
            if logStreamName.startswith(name):
                events = [] if nextToken else [{"message": line} for line in lines]
                return {"events": events, "nextForwardToken": "end"}
        raise client_error("GetLogEvents", "no such stream", "ResourceNotFoundException")


@dataclass
class FakeIam:
    """IAM roles: all exist, except those that are gone."""

    gone: set[str] = field(default_factory=set)

    def get_role(self, *, RoleName: str) -> dict[str, Any]:
        if RoleName in self.gone:
            raise client_error("GetRole", "no such role", "NoSuchEntity")
        return {"Role": {"AssumeRolePolicyDocument": {}}}


@dataclass
class FakeAutoscaling:
    """One scalable target, or none. Its schedule is suspended, as Terraform makes it."""

    limits: tuple[int, int] | None = (0, 0)
    suspended: dict[str, bool] = field(default_factory=lambda: {"ScheduledScalingSuspended": True})

    def describe_scalable_targets(self, **_: Any) -> dict[str, Any]:
        if not self.limits:
            return {"ScalableTargets": []}
        least, most = self.limits
        return {"ScalableTargets": [{"MinCapacity": least, "MaxCapacity": most, "SuspendedState": self.suspended}]}

    def register_scalable_target(
        self, *, MinCapacity: int, MaxCapacity: int, SuspendedState: dict[str, bool], **_: Any
    ) -> None:
        self.limits, self.suspended = (MinCapacity, MaxCapacity), SuspendedState


@dataclass
class FakeSecrets:
    """Whether the application's secrets have values, and since when. ``stored`` holds the values of any secret.

    ``errors`` holds the codes of the errors for a secret's value.
    """

    has_value: bool = True
    without: set[str] = field(default_factory=set)
    put: dict[str, datetime] = field(default_factory=dict)
    stored: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def get_secret_value(self, *, SecretId: str, **_: Any) -> dict[str, Any]:
        if SecretId in self.errors:
            raise client_error("GetSecretValue", "no", self.errors[SecretId])
        return {"SecretString": self.stored.get(SecretId, '{"username": "app", "password": "never shown"}')}

    def describe_secret(self, *, SecretId: str) -> dict[str, Any]:
        has_value = self.has_value and SecretId not in self.without
        return {"VersionIdsToStages": {"1": ["AWSCURRENT"]}} if has_value else {}

    def list_secret_version_ids(self, *, SecretId: str, **_: Any) -> dict[str, Any]:
        former = {"VersionStages": ["AWSPREVIOUS"], "CreatedDate": CREATED}
        current = {"VersionStages": ["AWSCURRENT"], "CreatedDate": self.put.get(SecretId, CREATED)}
        return {"Versions": [former, current]}


@dataclass
class FakeRegistry:
    """A registry with every image, except those that are gone."""

    gone: set[str] = field(default_factory=set)

    def describe_images(self, *, repositoryName: str, imageIds: list[dict[str, str]], **_: Any) -> dict[str, Any]:
        assert repositoryName == "settlement"
        if imageIds[0]["imageDigest"] in self.gone:
            raise client_error("DescribeImages", "not there", "ImageNotFoundException")
        return {"imageDetails": [{}]}


@dataclass
class FakeS3:
    """Objects by key, with conditional writes. The ledger's and the lock's own tests use moto's S3."""

    objects: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)

    def put_object(self, *, Key: str, Body: bytes, IfNoneMatch: str = "", IfMatch: str = "", **_: Any) -> Any:
        if (IfNoneMatch and Key in self.objects) or (IfMatch and IfMatch != self._etag(Key)):
            raise client_error("PutObject", "a condition did not hold", "PreconditionFailed")
        self.objects[Key] = (Body, datetime.now(UTC))
        return {"ETag": self._etag(Key)}

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:
        if Key not in self.objects:
            raise client_error("GetObject", "no such key", "NoSuchKey")
        body, written = self.objects[Key]
        metadata = {"HTTPHeaders": {"date": format_datetime(datetime.now(UTC), usegmt=True)}}
        answer = {"Body": io.BytesIO(body), "ETag": self._etag(Key), "LastModified": written}
        return answer | {"ResponseMetadata": metadata}

    def delete_object(self, *, Key: str, **_: Any) -> None:
        self.objects.pop(Key, None)

    def list_objects_v2(self, *, Prefix: str = "", **_: Any) -> dict[str, Any]:
        keys = [key for key in sorted(self.objects) if key.startswith(Prefix)]
        return {"Contents": [{"Key": key, "ETag": self._etag(key)} for key in keys]}

    def get_paginator(self, operation: str) -> Paginator:
        assert operation == "list_objects_v2"
        return Paginator(lambda **request: iter([self.list_objects_v2(**request)]))

    def _etag(self, key: str) -> str:
        return hashlib.sha256(repr(self.objects.get(key)).encode()).hexdigest()


@dataclass
class FakeChecks:
    """The checks of the stages: those that were made, and their results by stage; all others succeed."""

    results: dict[str, Verification] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)

    def test_traffic(self, subject: Subject) -> Verification:
        self.made.append("test")
        return self.results.get("test", VERIFIED)

    def share(self, subject: Subject, percent: float, still: Callable[[], bool]) -> Verification:
        self.made.append(f"{percent:g} %")
        assert still()
        return self.results.get(self.made[-1], VERIFIED)


@dataclass
class FakeGates:
    """The gates that are in ALARM, by their names."""

    on: set[str] = field(default_factory=set)

    def describe_alarms(self, *, AlarmNames: list[str], StateValue: str) -> dict[str, Any]:
        assert StateValue == "ALARM"
        return {"MetricAlarms": [{"AlarmName": name} for name in AlarmNames if name in self.on]}


@dataclass
class World:
    """Everything that a release interacts with. It also returns the clients."""

    s3: FakeS3 = field(default_factory=FakeS3)
    ecs: FakeEcs = field(default_factory=FakeEcs)
    logs: FakeLogs = field(default_factory=FakeLogs)
    autoscaling: FakeAutoscaling = field(default_factory=FakeAutoscaling)
    secrets: FakeSecrets = field(default_factory=FakeSecrets)
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    iam: FakeIam = field(default_factory=FakeIam)
    stack: Stack = STACK
    clock: Callable[[], datetime] = lambda: AN_ORDINARY_DAY
    said: list[str] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    #: Called while a run sleeps.
    on_sleep: Callable[[float], None] = lambda _: None
    #: The result of a verification, and the subjects that were verified.
    verification: Verification = field(default_factory=lambda: VERIFIED)
    verified: list[Subject] = field(default_factory=list)
    application: Application = APPLICATION
    strategy: Strategy = ROLLING
    checks: FakeChecks = field(default_factory=lambda: FakeChecks())
    gates: FakeGates = field(default_factory=FakeGates)
    load_balancer: FakeLoadBalancer = field(init=False)

    def __post_init__(self) -> None:
        self.load_balancer = FakeLoadBalancer(self.ecs)

    def client(self, service: str) -> Any:
        return {
            "ecs": self.ecs,
            "elbv2": self.load_balancer,
            "logs": self.logs,
            "secretsmanager": self.secrets,
            "application-autoscaling": self.autoscaling,
            "s3": self.s3,
            "ecr": self.registry,
            "iam": self.iam,
            "cloudwatch": self.gates,
        }[service]

    @property
    def lock(self) -> LockStore:
        return LockStore(self.s3, BUCKET, "test")

    @property
    def text(self) -> str:
        return plain("\n".join(self.said))

    @property
    def notified(self) -> list[str]:
        """The line of each message that was sent."""
        return [plain(message.summary) for message in self.messages]

    @property
    def releases(self) -> list[Release]:
        return Ledger(self.s3, BUCKET, "test").releases()

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(service=self.ecs.service, targets={})

    def context(
        self, *, wait: float = 60, holder: str | None = None, rollback_wait: float = 1, time_left: float = math.inf
    ) -> Context:
        return Context(
            clients=self,
            bucket=BUCKET,
            environment="test",
            stack=self.stack,
            application=self.application,
            limits=Limits(wait=wait, rollback_wait=rollback_wait, prepare_wait=5, poll=0, log_grace=0),
            holder=holder,
            by="ann@laptop",
            why="test",
            say=self.said.append,
            notify=self.messages.append,
            sleep=self._sleep,
            verify=self._verify,
            checks=self.checks,
            strategy=self.strategy,
            retry_command="make deploy ENV=test",
            logs_command="make logs ENV=test",
            now=self.clock,
            time_left=lambda: time_left,
        )

    def releaser(
        self,
        version: str = "aaa",
        *,
        environment: dict[str, str] | None = None,
        schema_head: str | None = "0001",
        schema_compatible: list[str] | None = None,
        memory: int = 512,
        secrets: dict[str, str] | None = None,
        architecture: str | None = None,
        allow_rolled_back: bool = False,
        keep_revisions: int = 20,
        wait_for_end: bool = True,
        **context: Any,
    ) -> Releaser:
        self.logs.prepared = json.dumps({"schema_head": schema_head or "0001", "changed": True})
        return Releaser(
            self.context(**context),
            Settings(
                cpu=256,
                memory=memory,
                workers=2,
                pool_size=10,
                max_overflow=0,
                environment=environment or {"LOG_LEVEL": "INFO"},
                secrets={"OTHER": OTHER_SECRET} | (secrets or {}),
                admin_environment={},
            ),
            Image(
                version=version,
                digest=f"sha256:{version}",
                reference=f"registry/settlement@sha256:{version}",
                schema_head=schema_head,
                schema_compatible=schema_compatible,
                architecture=architecture,
            ),
            allow_rolled_back=allow_rolled_back,
            keep_revisions=keep_revisions,
            wait=wait_for_end,
        )

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.on_sleep(seconds)

    def _verify(self, subject: Subject) -> Verification:
        self.verified.append(subject)
        return self.verification

    def rollback(self, **context: Any) -> Rollback:
        return Rollback(self.context(**context))

    def rolled_back(self, to: str = "", **context: Any) -> RollbackPlan:
        """Run a whole rollback that succeeds."""
        rollback = self.rollback(**context)
        plan = rollback.plan(to)
        if plan.needed:
            self.ecs.rollout = [lambda _: None, FakeEcs.complete]
        rollback.update(plan)
        rollback.succeed(plan)
        return plan

    def released(self, version: str = "aaa", **changes: Any) -> None:
        """Run a whole release that succeeds."""
        releaser = self.releaser(version, **changes)
        releaser.settle()
        plan, _ = releaser.register(releaser.plan())
        if plan.needed:
            releaser.begin(plan)
        releaser.prepare(plan)
        if plan.needed and not plan.resumes:
            self.ecs.rollout = [lambda _: None, FakeEcs.complete]
        releaser.update(plan)
        releaser.succeed(plan)
        self.said.clear()


def without_database(world: World) -> None:
    """Take the database out of the world's infrastructure and of its inventory."""
    world.stack = WITHOUT_DATABASE
    world.application = replace(world.application, database=False, admin_command=())


@pytest.fixture
def world() -> World:
    return World()
