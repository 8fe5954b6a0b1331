"""The API of Application Auto Scaling, which the emulator lacks: moto's server with patches.

What AWS does: a scalable target has tags, and it is refused if its ECS service does not exist
(https://docs.aws.amazon.com/autoscaling/application/APIReference/API_ListTagsForResource.html). A target always returns
its suspended state, and a member that a call leaves out does not change
(https://docs.aws.amazon.com/autoscaling/application/APIReference/API_SuspendedState.html). A scheduled action's time
zone must be an IANA name
(https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PutScheduledAction.html). AWS documents only the
canonical names; here their aliases are accepted too.
Without these patches: moto has no ``ListTagsForResource``, on which the Terraform provider retries for minutes; it
looks for the service in its own, empty ECS; it returns the suspended state as it was last sent, or none; and it accepts
any text as a time zone.

moto only stores limits, scheduled actions and policies: `scheduled_scaling` and `target_tracking` apply them. The
stored targets outlive a restart: they are saved at the end and registered again, and scheduled actions that were due in
between are run then.

The same server answers for Cost Explorer, see ``cost_explorer.py``.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import os
import threading
import zoneinfo
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from local_cloud.core import call_log
from local_cloud.core.runtime import Cloud
from local_cloud.moto_server import cost_explorer
from local_cloud.moto_server.activities import Activities
from local_cloud.moto_server.call_log import Logged
from local_cloud.moto_server.costs import Application, Costs
from local_cloud.moto_server.scheduled_scaling import ScheduledActions, keep_within
from local_cloud.moto_server.target_tracking import TargetTracking, read_minutes

logger = logging.getLogger(__name__)

_NAMESPACES = ("ecs",)
_NOT_SUSPENDED = dict.fromkeys(
    ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended"), False
)
#: Names of zoneinfo for the machine's own zone and for an unset one, which are no time zones for AWS.
_NO_ZONES = frozenset({"localtime", "Factory"})
_OF_A_TARGET = ("ServiceNamespace", "ResourceId", "ScalableDimension")
# Targets come first: policies and scheduled actions belong to a target.
_STORED = {
    "ScalableTargets": (
        "describe_scalable_targets",
        "register_scalable_target",
        (*_OF_A_TARGET, "MinCapacity", "MaxCapacity", "RoleARN", "SuspendedState"),
    ),
    "ScalingPolicies": (
        "describe_scaling_policies",
        "put_scaling_policy",
        (
            *_OF_A_TARGET,
            "PolicyName",
            "PolicyType",
            "StepScalingPolicyConfiguration",
            "TargetTrackingScalingPolicyConfiguration",
        ),
    ),
    "ScheduledActions": (
        "describe_scheduled_actions",
        "put_scheduled_action",
        (*_OF_A_TARGET, "ScheduledActionName", "Schedule", "Timezone", "StartTime", "EndTime", "ScalableTargetAction"),
    ),
}
"""The kinds of stored resources, with the operations that read and create them, and the members to save."""


class _Buffered(WSGIRequestHandler):
    """Sends headers and body in one packet: see `local_cloud.daemon.single_packet`."""

    wbufsize = -1


class AutoscalingServer:
    """Runs moto's server in its own thread, on the loopback address only."""

    def __init__(self, cloud: Cloud) -> None:
        self._config, self._pace = cloud.config, cloud.pace
        self._server: BaseWSGIServer | None = None
        self._actions: ScheduledActions | None = None
        self._tracking: TargetTracking | None = None
        self._anomalies = cost_explorer.AnomalyDetection()

    def start(self) -> None:
        """Import moto (about a second), patch it and start to answer requests."""
        # moto reads the account from the environment when it is imported.
        os.environ["MOTO_ACCOUNT_ID"] = self._config.account_id
        ecs = self._client("ecs", self._config.api_port)
        activities = Activities()
        activities.patch_moto()
        _patch_moto(lambda resource_id, *limits: keep_within(ecs, activities, resource_id, *limits))
        cost_explorer.patch_moto(self._anomalies)
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        costs_file = self._config.state_dir / "costs.json" if self._config.persist_state else None
        application: Application = Costs(DomainDispatcherApplication(create_backend_app), costs_file)
        if self._config.call_log:
            log = call_log.CallLog(self._config.call_log)
            application = Logged(application, log, self._config.account_id, _target)
        self._server = make_server(
            self._config.loopback_address,
            self._config.autoscaling_port,
            application,
            threaded=True,
            request_handler=_Buffered,
        )
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        threading.Thread(target=self._server.serve_forever, name="autoscaling-api", daemon=True).start()
        client, read = self._autoscaling_client(), functools.partial(read_minutes, self._pace)
        self._actions = ScheduledActions(client)
        if self._config.persist_state:
            self._restore(self._actions)
        self._actions.start()
        self._tracking = TargetTracking(client, ecs, activities, self._pace, read)
        logger.info("Application Auto Scaling and Cost Explorer answer on port %d", self._config.autoscaling_port)

    def track(self) -> None:
        """Apply the target tracking policies. To be called once a minute, in the cloud's request scope."""
        if self._tracking is not None:
            self._tracking.scale()

    def stop(self) -> None:
        if self._server is not None and self._actions is not None:
            self._actions.stop()
            if self._config.persist_state:
                self._save(self._actions)
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def _state_file(self) -> Path:
        return self._config.state_dir / "autoscaling.json"

    def _autoscaling_client(self) -> Any:
        return self._client("application-autoscaling", self._config.autoscaling_port)

    def _client(self, service: str, port: int) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            endpoint_url=f"http://{self._config.loopback_address}:{port}",
            region_name=self._config.region,
            aws_access_key_id=self._config.account_id,
            aws_secret_access_key="local",  # noqa: S106 - nobody checks it
            config=Config(proxies={}, retries={"total_max_attempts": 1}, connect_timeout=60, read_timeout=60),
        )

    def _save(self, actions: ScheduledActions) -> None:
        client = self._autoscaling_client()
        state: dict[str, Any] = {key: [] for key in _STORED} | {"ActionsRunUpTo": actions.ran_until.isoformat()}
        for namespace in _NAMESPACES:
            for key, (describe, _register, fields) in _STORED.items():
                for item in (
                    client.get_paginator(describe).paginate(ServiceNamespace=namespace).build_full_result()[key]
                ):
                    kept = {field: item[field] for field in fields if item.get(field) is not None}
                    if key == "ScalableTargets":
                        kept["Tags"] = client.list_tags_for_resource(ResourceARN=item["ScalableTargetARN"])["Tags"]
                    state[key].append(kept)
        document = {**state, "AnomalyDetection": dataclasses.asdict(self._anomalies)}
        self._state_file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._state_file.with_suffix(".new")
        temporary.write_text(json.dumps(document, default=str), encoding="utf-8")
        temporary.replace(self._state_file)

    def _restore(self, actions: ScheduledActions) -> None:
        try:
            state = json.loads(self._state_file.read_text(encoding="utf-8"))
            if not isinstance(state, dict) or not state.keys() >= _STORED.keys():
                raise ValueError("it is not what this process stores")
        except FileNotFoundError:
            return
        except ValueError:
            logger.exception("cannot read %s; Application Auto Scaling starts empty", self._state_file)
            return
        client = self._autoscaling_client()
        for key, (_describe, register, _fields) in _STORED.items():
            for item in state[key]:
                getattr(client, register)(**item)
        if "ActionsRunUpTo" in state:
            actions.ran_until = datetime.fromisoformat(state["ActionsRunUpTo"])
        for field, stored in state.get("AnomalyDetection", {}).items():
            getattr(self._anomalies, field).update(stored)


_tags: dict[str, dict[str, str]] = {}
"""By the scalable target's ARN."""


def _target(parameters: call_log.Parameters) -> tuple[str, dict[str, str]]:
    """Return ARN and tags of a request's scalable target, or ``*`` and no tags if it does not exist."""
    from moto.applicationautoscaling.models import applicationautoscaling_backends

    by_name = {
        resource_id: str(target.arn)
        for account in applicationautoscaling_backends.values()
        for backend in account.values()
        for targets in backend.targets.values()
        for resource_id, target in targets.items()
    }
    named = parameters.get("ResourceARN", []) + [by_name.get(name, "*") for name in parameters.get("ResourceId", [])]
    arn = next(iter(named), "*")
    return arn, _tags.get(arn, {})


def _list_tags_for_resource(response: Any) -> str:
    return json.dumps({"Tags": _tags.get(response._get_param("ResourceARN"), {})})


def _tag_resource(response: Any) -> str:
    _tags.setdefault(response._get_param("ResourceARN"), {}).update(response._get_param("Tags") or {})
    return "{}"


def _untag_resource(response: Any) -> str:
    tags = _tags.get(response._get_param("ResourceARN"), {})
    for key in response._get_param("TagKeys") or []:
        tags.pop(key, None)
    return "{}"


def _targets(response: Any) -> list[Any]:
    found: list[Any] = response.applicationautoscaling_backend.describe_scalable_targets(
        namespace=response._get_param("ServiceNamespace"),
        r_ids=[response._get_param("ResourceId")],
        dimension=response._get_param("ScalableDimension"),
    )
    return found


def _patch_moto(limits_set: Callable[[str, int, int], None]) -> None:
    """Patch moto. ``limits_set`` is called with a target's resource, minimum and maximum at each registration."""
    from moto.applicationautoscaling import exceptions, models, responses

    def register_scalable_target(self: Any) -> str:
        before = {target.resource_id: target.suspended_state for target in _targets(self)}
        answer: str = register(self)
        # Tags of a registration are added to the existing ones.
        tags = self._get_param("Tags")
        if tags:
            _tags.setdefault(json.loads(answer)["ScalableTargetARN"], {}).update(tags)
        for target in _targets(self):
            given = self._get_param("SuspendedState") or {}
            target.suspended_state = {**_NOT_SUSPENDED, **before.get(target.resource_id, {}), **given}
            limits_set(target.resource_id, target.min_capacity, target.max_capacity)
        return answer

    def put_scheduled_action(self: Any) -> str:
        zone = self._get_param("Timezone")
        if zone is not None and zone not in zoneinfo.available_timezones() - _NO_ZONES:
            raise exceptions.AWSValidationException(f"The time zone {zone!r} is not supported.")
        answer: str = put_action(self)
        return answer

    response: Any = responses.ApplicationAutoScalingResponse
    register = response.register_scalable_target
    put_action = response.put_scheduled_action
    response.register_scalable_target = register_scalable_target
    response.put_scheduled_action = put_scheduled_action
    response.list_tags_for_resource = _list_tags_for_resource
    response.tag_resource = _tag_resource
    response.untag_resource = _untag_resource
    backend: Any = models.ApplicationAutoscalingBackend
    backend._ecs_service_exists_for_target = lambda self, resource_id: True
