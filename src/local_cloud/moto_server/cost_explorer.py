"""Cost Anomaly Detection, a part of Cost Explorer's API, added to moto's server.

What AWS does: it has monitors of costs and subscriptions to them, and one monitor of services per account
(https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_CreateAnomalyMonitor.html,
https://docs.aws.amazon.com/cost-management/latest/userguide/management-limits.html).
Without this patch: the emulator has no Cost Explorer, and moto's Cost Explorer lacks this part.

Monitors and subscriptions are only stored; no anomaly is found. GetCostAndUsage is moto's: it returns the results that
were put into moto's queue.
"""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Callable
from typing import Any

Document = dict[str, Any]


@dataclasses.dataclass
class AnomalyDetection:
    """The stored monitors and subscriptions by ARN, as plain JSON that can be saved and loaded."""

    monitors: dict[str, Document] = dataclasses.field(default_factory=dict)
    subscriptions: dict[str, Document] = dataclasses.field(default_factory=dict)
    tags: dict[str, list[dict[str, str]]] = dataclasses.field(default_factory=dict)


class CostExplorerError(Exception):
    """An error with its code. `patch_moto` turns it into an error of moto."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def create_monitor(stored: AnomalyDetection, account: str, request: Document) -> Document:
    monitor: Document = request["AnomalyMonitor"]
    dimension = monitor.get("MonitorDimension")
    if dimension and any(other.get("MonitorDimension") == dimension for other in stored.monitors.values()):
        raise CostExplorerError("ValidationException", "Limit exceeded on dimensional spend monitor creation")
    arn = f"arn:aws:ce::{account}:anomalymonitor/{uuid.uuid4()}"
    stored.monitors[arn] = {**monitor, "MonitorArn": arn, "DimensionalValueCount": 0}
    stored.tags[arn] = request.get("ResourceTags") or []
    return {"MonitorArn": arn}


def get_monitors(stored: AnomalyDetection, account: str, request: Document) -> Document:
    wanted = request.get("MonitorArnList") or stored.monitors
    return {"AnomalyMonitors": [_monitor(stored, arn) for arn in wanted]}


def update_monitor(stored: AnomalyDetection, account: str, request: Document) -> Document:
    _monitor(stored, request["MonitorArn"]).update(request)
    return {"MonitorArn": request["MonitorArn"]}


def delete_monitor(stored: AnomalyDetection, account: str, request: Document) -> Document:
    _monitor(stored, request["MonitorArn"])
    del stored.monitors[request["MonitorArn"]]
    return {}


def create_subscription(stored: AnomalyDetection, account: str, request: Document) -> Document:
    subscription: Document = request["AnomalySubscription"]
    _check_subscription(stored, subscription)
    arn = f"arn:aws:ce::{account}:anomalysubscription/{uuid.uuid4()}"
    subscribers = [{**subscriber, "Status": "CONFIRMED"} for subscriber in subscription["Subscribers"]]
    stored.subscriptions[arn] = {
        **subscription,
        "Subscribers": subscribers,
        "SubscriptionArn": arn,
        "AccountId": account,
    }
    stored.tags[arn] = request.get("ResourceTags") or []
    return {"SubscriptionArn": arn}


def get_subscriptions(stored: AnomalyDetection, account: str, request: Document) -> Document:
    wanted = request.get("SubscriptionArnList") or stored.subscriptions
    found = [_subscription(stored, arn) for arn in wanted]
    monitor = request.get("MonitorArn")
    return {"AnomalySubscriptions": [one for one in found if not monitor or monitor in one["MonitorArnList"]]}


def update_subscription(stored: AnomalyDetection, account: str, request: Document) -> Document:
    subscription = _subscription(stored, request["SubscriptionArn"])
    _check_subscription(stored, subscription | request)
    subscription.update(request)
    return {"SubscriptionArn": request["SubscriptionArn"]}


def delete_subscription(stored: AnomalyDetection, account: str, request: Document) -> Document:
    _subscription(stored, request["SubscriptionArn"])
    del stored.subscriptions[request["SubscriptionArn"]]
    return {}


def list_tags(stored: AnomalyDetection, account: str, request: Document) -> Document:
    return {"ResourceTags": stored.tags.get(request["ResourceArn"], [])}


def tag(stored: AnomalyDetection, account: str, request: Document) -> Document:
    new = request["ResourceTags"]
    keys = {tag["Key"] for tag in new}
    kept = [tag for tag in stored.tags.get(request["ResourceArn"], []) if tag["Key"] not in keys]
    stored.tags[request["ResourceArn"]] = kept + new
    return {}


def untag(stored: AnomalyDetection, account: str, request: Document) -> Document:
    tags = stored.tags.get(request["ResourceArn"], [])
    stored.tags[request["ResourceArn"]] = [tag for tag in tags if tag["Key"] not in request["ResourceTagKeys"]]
    return {}


OPERATIONS: dict[str, Callable[[AnomalyDetection, str, Document], Document]] = {
    "create_anomaly_monitor": create_monitor,
    "get_anomaly_monitors": get_monitors,
    "update_anomaly_monitor": update_monitor,
    "delete_anomaly_monitor": delete_monitor,
    "create_anomaly_subscription": create_subscription,
    "get_anomaly_subscriptions": get_subscriptions,
    "update_anomaly_subscription": update_subscription,
    "delete_anomaly_subscription": delete_subscription,
    "list_tags_for_resource": list_tags,
    "tag_resource": tag,
    "untag_resource": untag,
}
"""By moto's name of the operation"""


def patch_moto(stored: AnomalyDetection) -> None:
    """Make moto's server answer these operations from `stored`."""
    from moto.ce.responses import CostExplorerResponse
    from moto.core.exceptions import JsonRESTError

    def answering(operation: Callable[[AnomalyDetection, str, Document], Document]) -> Callable[[Any], str]:
        def answer(self: Any) -> str:
            try:
                return json.dumps(operation(stored, self.current_account, json.loads(self.body)))
            except CostExplorerError as error:
                raise JsonRESTError(error.code, str(error)) from error

        return answer

    for name, operation in OPERATIONS.items():
        setattr(CostExplorerResponse, name, answering(operation))


def _monitor(stored: AnomalyDetection, arn: str) -> Document:
    if arn not in stored.monitors:
        raise CostExplorerError("UnknownMonitorException", f"Monitor {arn} does not exist")
    return stored.monitors[arn]


def _subscription(stored: AnomalyDetection, arn: str) -> Document:
    if arn not in stored.subscriptions:
        raise CostExplorerError("UnknownSubscriptionException", f"Subscription {arn} does not exist")
    return stored.subscriptions[arn]


def _check_subscription(stored: AnomalyDetection, subscription: Document) -> None:
    for arn in subscription["MonitorArnList"]:
        _monitor(stored, arn)
    at_once = subscription["Frequency"] == "IMMEDIATE"
    if any((subscriber["Type"] == "SNS") != at_once for subscriber in subscription["Subscribers"]):
        raise CostExplorerError("ValidationException", "A topic is notified immediately, an address daily or weekly")
