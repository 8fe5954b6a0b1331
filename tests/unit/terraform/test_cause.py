"""The inventory's differences since the last complete apply, by the inventory's names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fargate_ops.terraform.cause import differences, inventory_names, read_record, write_record

PROJECT = Path(__file__).parents[3]
BUCKET, STATE = "state-bucket", "local/environment.tfstate"


def group_vars() -> dict[str, Any]:
    """Return Ansible's variables before templating: those of all environments, and staging's."""
    files = [
        *(PROJECT / "playbooks/group_vars/all").glob("*.yml"),
        *sorted((PROJECT / "inventory/staging/group_vars/all").glob("*.yml")),
    ]
    return {name: value for path in files for name, value in (yaml.safe_load(path.read_text()) or {}).items()}


def test_what_is_derived_is_named_by_the_settings_that_it_is_made_of() -> None:
    raw = group_vars()
    names = inventory_names(raw, "terraform_stack_variables")
    assert names.keys() == raw["terraform_derived"].keys()
    assert names["permissions_boundary_arn"] == "github_boundary_arn, github_repository"


def test_a_template_may_combine_several_mappings() -> None:
    raw = group_vars() | {"account_singletons_found": {"found": "{{ nothing }}"}, "more": {"plain": False}}
    names = inventory_names(raw | {"terraform_account_variables": raw["terraform_account_variables"]}, "more")
    assert names == {"plain": "plain"}
    account = inventory_names(raw, "terraform_account_variables")
    assert (account["github_cost_policy"], account["found"]) == ("app_name, project_dir", "found")
    assert inventory_names(raw, "not_set") == {}


def test_values_that_differ_are_told_in_the_inventorys_names() -> None:
    zone = {"public": "10.0.8.0/24"}
    before = {"zones": {"a": zone, "b": zone}, "nat": "single", "gone": 1, "same": [1]}
    after = {"zones": {"b": {"public": "10.0.9.0/24"}, "c": zone}, "nat": "per_az", "new": True, "same": [1]}
    told = list(differences(before, after, {"zones": "network_availability_zones", "nat": "network_nat_gateways"}))
    assert told == [
        "gone: was 1, is no longer set",
        'network_nat_gateways: was "single", is "per_az"',
        "new: was not set, is true",
        'network_availability_zones.a: was {"public": "10.0.8.0/24"}, is no longer set',
        'network_availability_zones.b.public: was "10.0.8.0/24", is "10.0.9.0/24"',
        'network_availability_zones.c: was not set, is {"public": "10.0.8.0/24"}',
    ]
    assert not list(differences(before, before, {}))


def test_the_variables_of_an_apply_are_kept_beside_its_state(s3: Any) -> None:
    assert read_record(s3, BUCKET, STATE) is None
    write_record(s3, BUCKET, STATE, {"zones": {"a": 1}})
    assert read_record(s3, BUCKET, STATE) == {"zones": {"a": 1}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3, "put_object", lambda **_: pytest.fail("the same is not written again"))
        write_record(s3, BUCKET, STATE, {"zones": {"a": 1}})
    write_record(s3, BUCKET, STATE, {"zones": {"a": 2}})
    assert read_record(s3, BUCKET, STATE) == {"zones": {"a": 2}}


def test_a_broken_record_is_none_and_is_replaced(s3: Any) -> None:
    for broken in (b"", b"not JSON", b"[]", b"\xff"):
        s3.put_object(Bucket=BUCKET, Key="local/environment.tfvars.json", Body=broken)
        assert read_record(s3, BUCKET, STATE) is None
    write_record(s3, BUCKET, STATE, {"a": 1})
    assert read_record(s3, BUCKET, STATE) == {"a": 1}
