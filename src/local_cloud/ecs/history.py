"""The service deployments and service revisions of one ECS service, as the API shows them.

They are stored in the service's record, under keys that the API does not show, so that the emulator saves them with it.
Times are seconds since the epoch.

States: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-deployment.html
"""

from __future__ import annotations

import time
from typing import Any

from local_cloud.ecs.deployments import circuit_breaker_threshold
from local_cloud.ecs.tasks import TARGET_GROUP

ONGOING = ("PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")
KEPT = 100
"""AWS keeps 90 days of them."""

BREAKER_REASON = "Service deployment rolled back because the circuit breaker threshold was exceeded."
REQUESTED_REASON = "Service deployment rolled back because it was stopped by a user."
ALARM_REASON = "Service deployment rolled back because a CloudWatch alarm was detected."
NO_CANDIDATE_REASON = "No rollback candidate was found to run the rollback."

_DEPLOYMENTS = "_service_deployments"
_REVISIONS = "_service_revisions"


def revision_arn(service: dict[str, Any], deployment: dict[str, Any]) -> str:
    """The service revision of a deployment: the same number as in ``ecs-svc/<number>``."""
    arn = str(service["serviceArn"]).replace(":service/", ":service-revision/")
    return f"{arn}/{deployment['id'].rpartition('/')[2]}"


def records(service: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all service deployments, the newest first."""
    found: list[dict[str, Any]] = service.setdefault(_DEPLOYMENTS, [])
    return found


def revisions(service: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.setdefault(_REVISIONS, [])
    return found


def ongoing(service: dict[str, Any]) -> dict[str, Any] | None:
    """Return the service deployment that has not ended, if any."""
    return next((record for record in records(service) if record["status"] in ONGOING), None)


def begin(
    service: dict[str, Any],
    deployment: dict[str, Any],
    sources: list[dict[str, Any]],
    identifier: str,
    definition: dict[str, Any] | None,
    alarms: list[str],
) -> dict[str, Any]:
    """Record that a deployment starts, and return the record. One in progress is superseded. `alarms` are monitored."""
    superseded = ongoing(service)
    if superseded is not None:
        finish(superseded, "STOPPED", "Service deployment superseded by a newer one.")
    now = time.time()
    arn = str(service["serviceArn"]).replace(":service/", ":service-deployment/")
    record = {
        "serviceDeploymentArn": f"{arn}/{identifier}",
        "serviceArn": service["serviceArn"],
        "clusterArn": service["clusterArn"],
        "createdAt": now,
        "startedAt": now,
        "updatedAt": now,
        "status": "IN_PROGRESS",
        "sourceServiceRevisions": [
            {
                "arn": revision_arn(service, source),
                "requestedTaskCount": source["desiredCount"],
                "runningTaskCount": source["runningCount"],
                "pendingTaskCount": source["pendingCount"],
            }
            for source in sources
        ],
        "targetServiceRevision": {"arn": revision_arn(service, deployment)},
        "deploymentConfiguration": service["deploymentConfiguration"],
        "alarms": {
            "status": "MONITORING" if alarms else "DISABLED",
            "alarmNames": alarms,
            "triggeredAlarmNames": [],
        },
        "_deployment_id": deployment["id"],
    }
    records(service).insert(0, record)
    del records(service)[KEPT:]
    revisions(service).insert(0, _revision(service, deployment, definition, now))
    del revisions(service)[KEPT:]
    return record


def resolve(service: dict[str, Any], deployment: dict[str, Any]) -> None:
    """Record which target group the newest revision's tasks are in, and which rule leads there."""
    found = []
    for balancer in service.get("loadBalancers") or []:
        rule = (balancer.get("advancedConfiguration") or {}).get("productionListenerRule")
        group = deployment.get(TARGET_GROUP) or balancer.get("targetGroupArn")
        found.append({"targetGroupArn": group, **({"productionListenerRule": rule} if rule else {})})
    if found:
        revisions(service)[0]["resolvedConfiguration"] = {"loadBalancers": found}


def set_status(record: dict[str, Any], status: str, reason: str = "") -> None:
    record["status"] = status
    record["updatedAt"] = time.time()
    if reason:
        record["statusReason"] = reason


def start_rollback(service: dict[str, Any], record: dict[str, Any], target: dict[str, Any], reason: str) -> None:
    record["rollback"] = {
        "reason": reason,
        "startedAt": time.time(),
        "serviceRevisionArn": revision_arn(service, target),
    }
    set_status(record, "ROLLBACK_IN_PROGRESS", reason)


def finish(record: dict[str, Any], status: str, reason: str = "") -> None:
    set_status(record, status, reason)
    record["finishedAt"] = record["updatedAt"]
    alarms = record.get("alarms") or {}  # one that was saved by an older local cloud has none
    if alarms.get("status") == "MONITORING":
        alarms["status"] = "MONITORING_COMPLETE"
    if status == "STOPPED":
        record["stoppedAt"] = record["updatedAt"]


def update_counts(service: dict[str, Any]) -> None:
    """Update task counts and failures from the service's deployments."""
    by_id = {deployment["id"]: deployment for deployment in service["deployments"]}
    for record in records(service):
        deployment = by_id.get(record["_deployment_id"])
        if deployment is None:
            continue
        record["targetServiceRevision"].update(
            requestedTaskCount=deployment["desiredCount"],
            runningTaskCount=deployment["runningCount"],
            pendingTaskCount=deployment["pendingCount"],
        )
        if record["status"] in ONGOING:
            record["deploymentCircuitBreaker"] = _breaker(service, deployment, record)
        elif record.get("deploymentCircuitBreaker", {}).get("status") == "MONITORING":
            record["deploymentCircuitBreaker"]["status"] = "MONITORING_COMPLETE"


def monitored_alarms(record: dict[str, Any] | None) -> list[str]:
    """Return the alarms that may end this deployment. They do not end a rollback."""
    if record is None or record["status"] != "IN_PROGRESS":
        return []
    names: list[str] = (record.get("alarms") or {}).get("alarmNames", [])
    return names


def mark_alarmed(record: dict[str, Any], alarms: list[str]) -> None:
    """Record that these alarms ended this deployment."""
    record["alarms"].update(status="TRIGGERED", triggeredAlarmNames=alarms)


def mark_triggered(record: dict[str, Any], failures: int) -> None:
    """Record that the circuit breaker ended this deployment."""
    record["_triggered"] = failures


def _breaker(service: dict[str, Any], deployment: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    enabled = (service["deploymentConfiguration"].get("deploymentCircuitBreaker") or {}).get("enable", False)
    triggered = record.get("_triggered")
    status = "MONITORING" if enabled else "DISABLED"
    return {
        "status": "TRIGGERED" if triggered is not None else status,
        "failureCount": deployment["failedTasks"] if triggered is None else triggered,
        "threshold": circuit_breaker_threshold(service["desiredCount"]),
    }


def _revision(
    service: dict[str, Any],
    deployment: dict[str, Any],
    definition: dict[str, Any] | None,
    now: float,
) -> dict[str, Any]:
    revision = {
        "serviceRevisionArn": revision_arn(service, deployment),
        "serviceArn": service["serviceArn"],
        "clusterArn": service["clusterArn"],
        "taskDefinition": deployment["taskDefinition"],
        "launchType": deployment.get("launchType"),
        "capacityProviderStrategy": deployment.get("capacityProviderStrategy"),
        "platformVersion": service.get("platformVersion") or None,
        "loadBalancers": service.get("loadBalancers"),
        "networkConfiguration": service.get("networkConfiguration"),
        "containerImages": [
            {"containerName": container["name"], "image": container["image"]}
            for container in (definition or {}).get("containerDefinitions", [])
        ],
        "createdAt": now,
    }
    return {key: value for key, value in revision.items() if value is not None}
