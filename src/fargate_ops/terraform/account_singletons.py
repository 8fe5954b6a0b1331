"""Find an account's AWS Config recorder and delivery channel, its cost monitor of services, GitHub's OIDC provider.

AWS allows one of each per account (the first two: per account and region), so existing ones must be known before a
plan. The Terraform provider has no data source for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.clients import Clients
from fargate_ops.core.problem import ProblemError
from fargate_ops.cost.api import ENABLE_COST_EXPLORER, explain

GITHUB_ISSUER = "token.actions.githubusercontent.com"
GITHUB_AUDIENCE = "sts.amazonaws.com"


@dataclass(frozen=True)
class Wanted:
    """What the account's root needs. `name` is the name of its own resources.

    `home_region` is the region of resources that exist once per account; empty: this region.
    """

    region: str
    name: str
    detection: bool
    resource_types: Sequence[str]
    cost_anomaly: bool
    github: bool = False
    app_name: str = ""
    home_region: str = ""


@dataclass(frozen=True)
class Found:
    """The existing resources, whoever created them; empty for those not asked for."""

    recorder: str | None = None
    channel: str | None = None
    monitor: dict[str, str] | None = None
    github: dict[str, Any] | None = None
    remarks: tuple[str, ...] = ()

    def variables(self) -> dict[str, Any]:
        """Return the variables of the account's root."""
        return {
            "existing_config_recorder": self.recorder,
            "existing_config_delivery_channel": self.channel,
            "existing_anomaly_monitor": self.monitor,
            "existing_github_provider": self.github,
        }


def find(session: Clients, wanted: Wanted) -> Found:
    """Find the resources that the account's root needs.

    Raises ProblemError if permissions are missing or AWS does not answer.
    """
    where = f"AWS Config in {wanted.region}, Cost Explorer, IAM"
    try:
        config = session.client("config") if wanted.detection else None
        recorders = config.describe_configuration_recorders()["ConfigurationRecorders"] if config else []
        channels = config.describe_delivery_channels()["DeliveryChannels"] if config else []
        recorder = recorders[0] if recorders else None
        remarks: tuple[str, ...] = ()
        if config and recorder and recorder["name"] != wanted.name:
            statuses = config.describe_configuration_recorder_status(ConfigurationRecorderNames=[recorder["name"]])
            recording = statuses["ConfigurationRecordersStatus"][0]["recording"]
            remarks = _remarks(recorder, recording, wanted.resource_types)
        github, more = _github(session.client("iam"), wanted) if wanted.github else (None, ())
        return Found(
            recorder=recorder["name"] if recorder else None,
            channel=channels[0]["name"] if channels else None,
            monitor=_monitor_of_services(session.client("ce")) if wanted.cost_anomaly else None,
            github=github,
            remarks=remarks + more,
        )
    except ClientError as error:
        if explain(error)[0] == "not_enrolled":
            raise ProblemError(
                "Cost Explorer is not enabled in this account, and cost anomalies need it.",
                where,
                f"{ENABLE_COST_EXPLORER}; or set cost_anomaly_enabled to false until then",
            ) from error
        raise ProblemError(
            f"AWS refuses {error.operation_name}: {error.response['Error'].get('Message') or error}",
            where,
            "run bootstrap with credentials that may do this, or switch detection_enabled or cost_anomaly_enabled off, "
            "or set github_repository to null",
        ) from error
    except BotoCoreError as error:
        raise ProblemError(f"AWS does not answer: {error}", where, "check the network and the region") from error


def _remarks(recorder: dict[str, Any], recording: bool, types: Sequence[str]) -> tuple[str, ...]:
    """Return what somebody else's recorder lacks; only its owner can change it."""
    name = recorder["name"]
    remarks = []
    if not recording:
        start = f"aws configservice start-configuration-recorder --configuration-recorder-name {name}"
        remarks.append(f"the account's recorder {name} does not run, so no new resource is reported; next: {start}")
    group = recorder.get("recordingGroup") or {"allSupported": True}
    excluded = (group.get("exclusionByResourceTypes") or {}).get("resourceTypes") or []
    # With exclusions everything else is recorded; otherwise only the listed types.
    recorded = types if group.get("allSupported") or excluded else group.get("resourceTypes") or []
    missing = [type_ for type_ in types if type_ not in recorded or type_ in excluded]
    if missing:
        remarks.append(
            f"the account's recorder {name} does not record {', '.join(missing)}; "
            "next: let its owner add them, or take them out of detection_resource_types"
        )
    return tuple(remarks)


def _monitor_of_services(ce: Any) -> dict[str, str] | None:
    request: dict[str, Any] = {}
    while True:
        page = ce.get_anomaly_monitors(**request)
        for monitor in page["AnomalyMonitors"]:
            if monitor.get("MonitorDimension") == "SERVICE":
                return {"arn": monitor["MonitorArn"], "name": monitor["MonitorName"]}
        if not page.get("NextPageToken"):
            return None
        request = {"NextPageToken": page["NextPageToken"]}


def _github(iam: Any, wanted: Wanted) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """Find GitHub's OIDC provider. It is ours if it has the tags of the account's root; note what another's lacks."""
    providers = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    arn = next((item["Arn"] for item in providers if item["Arn"].endswith(f":oidc-provider/{GITHUB_ISSUER}")), None)
    if arn is None and wanted.home_region not in ("", wanted.region):
        remark = (
            f"GitHub's OIDC provider is created in account_home_region, {wanted.home_region}, and the account has none "
            f"yet, so no workflow can sign in; next: make bootstrap of an environment in {wanted.home_region}"
        )
        return None, (remark,)
    if arn is None:
        return None, ()
    provider = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    tags = {tag["Key"]: tag["Value"] for tag in provider.get("Tags", [])}
    own = tags.get("Application") == wanted.app_name and tags.get("ManagedBy") == "terraform"
    remarks: tuple[str, ...] = ()
    if not own and GITHUB_AUDIENCE not in provider.get("ClientIDList", []):
        add = "aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn"
        remarks = (
            f"the account's OIDC provider {arn} does not know the audience {GITHUB_AUDIENCE}, so "
            f"no workflow can sign in; next: let its owner run {add} {arn} --client-id {GITHUB_AUDIENCE}",
        )
    return {"arn": arn, "own": own}, remarks
