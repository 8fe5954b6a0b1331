from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from fargate_ops.core.problem import ProblemError
from fargate_ops.terraform.account_singletons import Found, Wanted, find

TYPES = ["AWS::S3::Bucket", "AWS::EC2::VPC"]
WANTED = Wanted("ap-northeast-2", "settlement-account", detection=True, resource_types=TYPES, cost_anomaly=True)
MONITOR = {"MonitorType": "DIMENSIONAL", "MonitorDimension": "SERVICE", "MonitorName": "Default-Services-Monitor"}
ARN = "arn:aws:ce::123456789012:anomalymonitor/default"


class Account:
    """Clients with prepared responses in order, which check their requests."""

    def __init__(self) -> None:
        keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "ap-northeast-2"}
        self._clients = {name: boto3.client(name, **keys) for name in ("config", "ce", "iam")}
        self.stubs = {name: Stubber(client) for name, client in self._clients.items()}
        for stub in self.stubs.values():
            stub.activate()

    def client(self, service: str) -> Any:
        return self._clients[service]

    def config(self, recorder: dict[str, Any] | None, channel: str | None, *, recording: bool | None = None) -> None:
        stub = self.stubs["config"]
        stub.add_response(
            "describe_configuration_recorders", {"ConfigurationRecorders": [recorder] if recorder else []}
        )
        stub.add_response("describe_delivery_channels", {"DeliveryChannels": [{"name": channel}] if channel else []})
        if recorder and recording is not None:
            status = {"ConfigurationRecordersStatus": [{"name": recorder["name"], "recording": recording}]}
            stub.add_response(
                "describe_configuration_recorder_status", status, {"ConfigurationRecorderNames": [recorder["name"]]}
            )

    def monitors(
        self, *monitors: dict[str, str], token: str | None = None, asked: dict[str, str] | None = None
    ) -> None:
        answer = {"AnomalyMonitors": list(monitors), **({"NextPageToken": token} if token else {})}
        self.stubs["ce"].add_response("get_anomaly_monitors", answer, asked or {})


@pytest.fixture
def account() -> Account:
    return Account()


def test_a_new_account_has_nothing(account: Account) -> None:
    account.config(None, None)
    account.monitors()
    assert find(account, WANTED) == Found()


def test_our_own_is_found_without_a_remark(account: Account) -> None:
    account.config({"name": WANTED.name}, WANTED.name)  # its status is not queried: Terraform manages it
    account.monitors(MONITOR | {"MonitorArn": ARN, "MonitorName": WANTED.name})
    assert find(account, WANTED).variables() == {
        "existing_config_recorder": WANTED.name,
        "existing_config_delivery_channel": WANTED.name,
        "existing_anomaly_monitor": {"arn": ARN, "name": WANTED.name},
        "existing_github_provider": None,
    }


def test_the_monitor_of_services_may_be_on_the_second_page(account: Account) -> None:
    account.config(None, None)
    account.monitors({"MonitorType": "CUSTOM", "MonitorName": "team", "MonitorArn": "arn:team"}, token="next")
    account.monitors(MONITOR | {"MonitorArn": ARN}, asked={"NextPageToken": "next"})
    assert find(account, WANTED).monitor == {"arn": ARN, "name": "Default-Services-Monitor"}


@pytest.mark.parametrize(
    ("group", "missing"),
    [
        ({"allSupported": True}, ""),
        ({"allSupported": False, "resourceTypes": TYPES}, ""),
        ({"allSupported": False, "resourceTypes": ["AWS::S3::Bucket"]}, "AWS::EC2::VPC"),
        ({"allSupported": False, "exclusionByResourceTypes": {"resourceTypes": ["AWS::IAM::Role"]}}, ""),
        ({"allSupported": False, "exclusionByResourceTypes": {"resourceTypes": TYPES[:1]}}, TYPES[0]),
    ],
)
@pytest.mark.parametrize("recording", [True, False])
def test_what_a_recorder_of_others_lacks_is_said(
    account: Account, group: dict[str, Any], missing: str, recording: bool
) -> None:
    account.config({"name": "default", "recordingGroup": group}, "default", recording=recording)
    account.monitors()
    found = find(account, WANTED)
    assert (found.recorder, found.channel) == ("default", "default")
    said = " ".join(found.remarks)
    assert ("start-configuration-recorder --configuration-recorder-name default" in said) is not recording
    assert (f"does not record {missing};" in said) is bool(missing)


def test_what_is_switched_off_is_not_asked(account: Account) -> None:
    off = Wanted("ap-northeast-2", "settlement-account", detection=False, resource_types=[], cost_anomaly=False)
    assert find(account, off) == Found()


@pytest.mark.parametrize(("home", "said"), [("us-west-2", True), ("ap-northeast-2", False), ("", False)])
def test_a_provider_that_the_home_region_has_not_made_yet_is_told(account: Account, home: str, said: bool) -> None:
    wanted = Wanted("ap-northeast-2", "x", False, [], False, github=True, app_name="settlement", home_region=home)
    account.stubs["iam"].add_response("list_open_id_connect_providers", {"OpenIDConnectProviderList": []})
    found = find(account, wanted)
    assert found.github is None
    assert bool(found.remarks) is said
    assert all("make bootstrap of an environment in us-west-2" in remark for remark in found.remarks)


def test_missing_rights_are_a_problem_with_a_next_step(account: Account) -> None:
    account.stubs["config"].add_client_error("describe_configuration_recorders", "AccessDenied", "not allowed")
    with pytest.raises(ProblemError, match=r"DescribeConfigurationRecorders: not allowed(?s:.*)detection_enabled"):
        find(account, WANTED)


def test_cost_explorer_that_was_never_opened_is_said(account: Account) -> None:
    account.config(None, None)
    account.stubs["ce"].add_client_error(
        "get_anomaly_monitors",
        "AccessDeniedException",
        "User not enabled for cost explorer access",
        http_status_code=400,
    )
    with pytest.raises(ProblemError, match="Cost Explorer is not enabled in this account") as problem:
        find(account, WANTED)
    assert "wait 24 h, then the same command; or set cost_anomaly_enabled to false" in str(problem.value)


GITHUB = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
OURS = [{"Key": "Application", "Value": "settlement"}, {"Key": "ManagedBy", "Value": "terraform"}]


@pytest.mark.parametrize(
    ("arns", "tags", "audiences", "expected", "said"),
    [
        ([], [], [], None, False),
        (["arn:aws:iam::123456789012:oidc-provider/gitlab.com"], [], [], None, False),
        ([GITHUB], OURS, ["sts.amazonaws.com"], {"arn": GITHUB, "own": True}, False),
        ([GITHUB], OURS[:1], ["sts.amazonaws.com"], {"arn": GITHUB, "own": False}, False),
        ([GITHUB], [], ["https://github.com/example"], {"arn": GITHUB, "own": False}, True),
    ],
)
def test_githubs_provider_is_ours_by_its_tags(
    account: Account,
    arns: list[str],
    tags: list[dict[str, str]],
    audiences: list[str],
    expected: dict[str, Any] | None,
    said: bool,
) -> None:
    stub = account.stubs["iam"]
    stub.add_response("list_open_id_connect_providers", {"OpenIDConnectProviderList": [{"Arn": arn} for arn in arns]})
    if GITHUB in arns:
        stub.add_response(
            "get_open_id_connect_provider",
            {"ClientIDList": audiences, "Tags": tags},
            {"OpenIDConnectProviderArn": GITHUB},
        )
    wanted = Wanted("ap-northeast-2", "x", False, [], False, github=True, app_name="settlement")
    found = find(account, wanted)
    assert found.variables()["existing_github_provider"] == expected
    assert ("add-client-id-to-open-id-connect-provider" in " ".join(found.remarks)) is said
