"""Service deployments: how far ECS is with the replacement of a version, and why it went back.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-deployment.html
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceDeployment.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: The states of a deployment that has not ended.
ONGOING = ("PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")
#: The stages before any request reaches the new tasks.
STARTING = ("", "RECONCILE_SERVICE", "PRE_SCALE_UP", "SCALE_UP", "POST_SCALE_UP")
#: The stages in which users may get the new version.
SHIFTING = ("PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME")
CLEANING = "CLEAN_UP"


@dataclass(frozen=True)
class Pause:
    """A hook that holds a deployment until ContinueServiceDeployment; at ``expires`` ECS undoes the deployment."""

    hook: str
    expires: datetime | None


@dataclass(frozen=True, kw_only=True)
class ServiceDeployment:
    """One service deployment. ``target`` is the ARN of the service revision that it brings into service.

    ``updated`` is when ECS last changed it, ``alarms`` are those that undid it.
    """

    arn: str
    status: str
    reason: str
    stage: str
    target: str
    configuration: Mapping[str, Any]
    pause: Pause | None
    alarms: Sequence[str]
    created: datetime | None
    updated: datetime | None

    @property
    def goes_back(self) -> bool:
        """Return whether ECS undoes it or has undone it, or somebody has stopped it."""
        return self.status.startswith(("ROLLBACK_", "STOP"))

    @property
    def cause(self) -> str:
        """Return why ECS undid it, with the alarms that fired."""
        why = self.reason or "ECS rolled the deployment back"
        return f"{why.rstrip('.')}: {', '.join(self.alarms)} in ALARM" if self.alarms else why


def describe(ecs: Any, arn: str) -> ServiceDeployment | None:
    """Return a service deployment; None if ECS does not know it yet."""
    found = ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"]
    return _parsed(found[0]) if found else None


def in_flight(ecs: Any, cluster: str, service: str) -> ServiceDeployment | None:
    """Return the newest service deployment that has not ended; None if there is none."""
    listed = ecs.list_service_deployments(cluster=cluster, service=service, status=list(ONGOING), maxResults=10)
    newest = max(listed["serviceDeployments"], key=lambda item: item["createdAt"], default=None)
    return describe(ecs, newest["serviceDeploymentArn"]) if newest else None


def _parsed(item: Mapping[str, Any]) -> ServiceDeployment:
    hooks = [hook for hook in item.get("lifecycleHookDetails") or () if hook.get("status") == "AWAITING_ACTION"]
    return ServiceDeployment(
        arn=item["serviceDeploymentArn"],
        status=item["status"],
        reason=(item.get("rollback") or {}).get("reason") or item.get("statusReason") or "",
        stage=item.get("lifecycleStage") or "",
        target=(item.get("targetServiceRevision") or {}).get("arn", ""),
        configuration=item.get("deploymentConfiguration") or {},
        pause=Pause(hooks[0]["hookId"], hooks[0].get("expiresAt")) if hooks else None,
        alarms=tuple((item.get("alarms") or {}).get("triggeredAlarmNames") or ()),
        created=item.get("createdAt"),
        updated=item.get("updatedAt"),
    )


def target_group(ecs: Any, revision: str) -> str:
    """Return the target group in which ECS registers the tasks of a service revision; empty if not known yet.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ResolvedConfiguration.html
    """
    found = ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"]
    balancers = (found[0].get("resolvedConfiguration") or {}).get("loadBalancers") or () if found else ()
    return next((str(item["targetGroupArn"]) for item in balancers if item.get("targetGroupArn")), "")
