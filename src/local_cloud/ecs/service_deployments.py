"""Service deployments and service revisions are listed, and a deployment can be stopped.

What AWS does: ListServiceDeployments and DescribeServiceDeployments show every deployment of a service with its state,
task counts, circuit breaker and rollback; DescribeServiceRevisions shows what was deployed
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-deployment.html). StopServiceDeployment rolls back
a deployment in progress; ROLLBACK is the only stop type that AWS documents as valid
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stop-service-deployment.html). ContinueServiceDeployment
ends a pause (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/continue-service-deployment.html).
Without this patch: the emulator returns empty lists and has no StopServiceDeployment.
"""

from __future__ import annotations

from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends, replaces
from local_cloud.ecs import history, traffic_shift
from local_cloud.ecs.scheduler import ServiceScheduler

_BRIEF = (
    "serviceDeploymentArn",
    "serviceArn",
    "clusterArn",
    "startedAt",
    "createdAt",
    "finishedAt",
    "status",
    "statusReason",
)
MAXIMUM_RESULTS = 100


class Handlers:
    """The actions on service deployments."""

    def __init__(self, scheduler: ServiceScheduler) -> None:
        self._ecs = emulator.service("ecs")
        self._scheduler = scheduler

    @replaces("ecs", "ListServiceDeployments")
    def list_service_deployments(self, data: dict[str, Any]) -> Any:
        cluster = self._ecs._resolve_cluster_name(data.get("cluster", "default"))
        reference = self._ecs._resolve_service_ref(data.get("service", ""))
        service = self._ecs._services.get(f"{cluster}/{reference[0]}") if reference else None
        if service is None:
            return self._ecs.error_response_json("ServiceNotFoundException", "Service not found.", 400)
        statuses = data.get("status") or []
        created = data.get("createdAt") or {}
        with self._scheduler.lock:
            found = [
                _brief(record)
                for record in history.records(service)
                if (not statuses or record["status"] in statuses)
                and record["createdAt"] >= float(created.get("after") or 0)
                and record["createdAt"] <= float(created.get("before") or "inf")
            ]
        start = int(data.get("nextToken") or 0)
        end = start + int(data.get("maxResults") or MAXIMUM_RESULTS)
        answer: dict[str, Any] = {"serviceDeployments": found[start:end]}
        if end < len(found):
            answer["nextToken"] = str(end)
        return self._ecs.json_response(answer)

    @replaces("ecs", "DescribeServiceDeployments")
    def describe_service_deployments(self, data: dict[str, Any]) -> Any:
        found, failures = [], []
        with self._scheduler.lock:
            for arn in data.get("serviceDeploymentArns") or []:
                match = self._find(arn)
                if match is None:
                    failures.append({"arn": arn, "reason": "MISSING"})
                else:
                    history.update_counts(match[0])
                    found.append(self._ecs._sanitize(match[1]))
        return self._ecs.json_response({"serviceDeployments": found, "failures": failures})

    @replaces("ecs", "DescribeServiceRevisions")
    def describe_service_revisions(self, data: dict[str, Any]) -> Any:
        wanted = data.get("serviceRevisionArns") or []
        known = {
            revision["serviceRevisionArn"]: revision
            for service in self._ecs._services.values()
            for revision in history.revisions(service)
        }
        return self._ecs.json_response(
            {
                "serviceRevisions": [known[arn] for arn in wanted if arn in known],
                "failures": [{"arn": arn, "reason": "MISSING"} for arn in wanted if arn not in known],
            }
        )

    @replaces("ecs", "StopServiceDeployment")
    def stop_service_deployment(self, data: dict[str, Any]) -> Any:
        arn = data.get("serviceDeploymentArn", "")
        if (data.get("stopType") or "ROLLBACK") != "ROLLBACK":
            return self._ecs.error_response_json(
                "InvalidParameterException", "The valid values of stopType are ROLLBACK.", 400
            )
        with self._scheduler.lock:
            match = self._find(arn)
            if match is None:
                return self._ecs.error_response_json(
                    "ServiceDeploymentNotFoundException", "Service deployment not found.", 400
                )
            record = match[1]
            if record["status"] not in history.ONGOING:
                return self._ecs.error_response_json(
                    "ConflictException",
                    f"The service deployment is in the state {record['status']}.",
                    400,
                )
            if record["status"] in ("PENDING", "IN_PROGRESS"):
                self._scheduler.request_rollback(record)
        return self._ecs.json_response({"serviceDeploymentArn": arn})

    @replaces("ecs", "ContinueServiceDeployment")
    def continue_service_deployment(self, data: dict[str, Any]) -> Any:
        arn, action = data.get("serviceDeploymentArn", ""), data.get("action") or "CONTINUE"
        with self._scheduler.lock:
            match = self._find(arn)
            if match is None:
                return self._ecs.error_response_json(
                    "ServiceDeploymentNotFoundException", "Service deployment not found.", 400
                )
            record = match[1]
            if record["status"] != "IN_PROGRESS" or not traffic_shift.resume(record, data.get("hookId", ""), action):
                return self._ecs.error_response_json(
                    "InvalidParameterException", "The service deployment has no such hook that awaits an action.", 400
                )
            if action == "ROLLBACK":
                self._scheduler.request_rollback(record)
        self._scheduler.wake()
        return self._ecs.json_response({"serviceDeploymentArn": arn})

    @extends("ecs", "DescribeServices")
    def describe_services(self, describe: Handler, data: dict[str, Any]) -> Any:
        with self._scheduler.lock:
            answer = describe(data)
            if answer[0] != 200:
                return answer
            document = emulator.parse(answer[2])
            for shown in document["services"]:
                service = next(
                    service for service in self._ecs._services.values() if service["serviceArn"] == shown["serviceArn"]
                )
                if history.records(service):
                    shown["currentServiceDeployment"] = history.records(service)[0]["serviceDeploymentArn"]
                shown["currentServiceRevisions"] = [
                    {
                        "arn": history.revision_arn(service, deployment),
                        "requestedTaskCount": deployment["desiredCount"],
                        "runningTaskCount": deployment["runningCount"],
                        "pendingTaskCount": deployment["pendingCount"],
                    }
                    for deployment in service["deployments"]
                ]
        return self._ecs.json_response(document)

    def _find(self, arn: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        for service in self._ecs._services.values():
            for record in history.records(service):
                if record["serviceDeploymentArn"] == arn:
                    return service, record
        return None


def _brief(record: dict[str, Any]) -> dict[str, Any]:
    brief = {key: record[key] for key in _BRIEF if key in record}
    brief["targetServiceRevisionArn"] = record["targetServiceRevision"]["arn"]
    return brief
