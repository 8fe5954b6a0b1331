"""Two regions of one account: what IAM, S3, Budgets and Cost Explorer name once per account is made in one of them.

Both roots of both regions are planned together, and no name that is the account's may stand in two plans. IAM, Budgets
and Cost Explorer have no regions: https://docs.aws.amazon.com/general/latest/gr/rande.html#global-endpoints
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.terraform.inventories import given
from tests.terraform.terraform import copy_source, run_terraform

HOME, SECOND = "ap-northeast-2", "us-west-2"

#: Types whose names are the account's and not a region's, with the attribute that names one.
OF_THE_ACCOUNT = {
    "aws_budgets_budget": "name",
    "aws_ce_anomaly_monitor": "name",
    "aws_ce_anomaly_subscription": "name",
    "aws_cloudwatch_dashboard": "dashboard_name",
    "aws_iam_openid_connect_provider": "url",
    "aws_iam_policy": "name",
    "aws_iam_role": "name",
    "aws_iam_service_linked_role": "aws_service_name",
    "aws_s3_bucket": "bucket",
}
#: Of which an account has one, whatever its name.
ALONE = ("aws_ce_anomaly_monitor", "aws_iam_openid_connect_provider")

#: The zones of the region that is planned: what all tests share knows those of one.
_ZONES = "override_data {{\n  target = data.aws_availability_zones.available\n  values = {}\n}}\n\n"


def test_two_regions_of_one_account_share_no_name(tmp_path: Path) -> None:
    root = copy_source(tmp_path, "*.tftest.hcl")
    environments = {"staging": HOME, "oregon": SECOND}
    plans = {
        f"{path or 'environment'} of {name}": plan(root / path, name, region, path)
        for path in ("", "account")
        for name, region in environments.items()
    }
    found = {place: list(names(made)) for place, made in plans.items()}
    assert {kind for of_place in found.values() for kind, _ in of_place} == set(OF_THE_ACCOUNT), "a type that is gone"
    twice = Counter(item for of_place in found.values() for item in set(of_place))
    assert [item for item, count in twice.items() if count > 1] == []
    alone = Counter(kind for of_place in found.values() for kind, _ in of_place if kind in ALONE)
    assert alone == Counter(ALONE)


def test_no_resource_has_a_region_of_its_own() -> None:
    """Provider 6 has the argument `region` for each resource, and 5.100, which this runs on too, has not."""
    root = Path(__file__).parents[2] / "terraform"
    for file in root.rglob("*.tf"):
        for block in file.read_text().split('\nresource "')[1:]:
            body = block.partition("\n}\n")[0]
            assert not [line for line in body.splitlines() if line.startswith("  region ")], file


def plan(root: Path, environment: str, region: str, kind: str) -> Mapping[str, Any]:
    """The plan of one root for one environment's region."""
    settings: dict[str, Any] = {
        "env_name": environment,
        "aws_region": region,
        "aws_account_id": "123456789012",
        "account_home_region": HOME,
        "budget_monthly_usd": 400,
        "github_repository": "example/settlement",
        "network_availability_zones": {
            f"{region}{letter}": {
                key: f"10.0.{base + number}.0/24" for key, base in (("public", 8), ("private", 1), ("database", 4))
            }
            for number, letter in enumerate("ab")
        },
        "alb_access_logs": True,
        "network_flow_logs": True,
        "rds_proxy_enabled": True,
    }
    variables = given(kind or "environment", "staging", **settings) | {"bots_package_path": "provider.tf"}
    text = "\n".join(f"  {name} = {json.dumps(value)}" for name, value in variables.items())
    mocks, answers = "../tests/mocks", ""
    if not kind:
        found = f"{{ names = {json.dumps(list(variables['network_availability_zones']))} }}"
        mocks, answers = "./tests/mocks", _ZONES.format(found)
    (root / "tests").mkdir(exist_ok=True)
    (root / "tests/regions.tftest.hcl").write_text(
        f'mock_provider "aws" {{\n  source = "{mocks}"\n}}\n\nvariables {{\n{text}\n}}\n\n{answers}'
        'run "planned" {\n  command = plan\n}\n'
    )
    run_terraform(root, "init", "-backend=false", "-input=false")
    lines = map(json.loads, run_terraform(root, "test", "-json", "-verbose").splitlines())
    (planned,) = (line["test_plan"] for line in lines if line["type"] == "test_plan")
    return dict(planned)


def names(planned: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Type and name of each planned resource whose name is the account's."""
    for change in planned["resource_changes"]:
        if change["mode"] == "managed" and change["type"] in OF_THE_ACCOUNT and change["change"]["after"]:
            yield change["type"], change["change"]["after"][OF_THE_ACCOUNT[change["type"]]]
