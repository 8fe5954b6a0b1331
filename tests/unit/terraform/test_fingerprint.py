"""The fingerprint of a plan changes with what would be applied, and with nothing else.

`plans/role.json` and `plans/role_drifted.json` are what `terraform show -json` printed of the same change, before and
after the role was made anew outside Terraform: AWS then has other computed values.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.terraform.fingerprint import section

PLANS = Path(__file__).with_name("plans")


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PLANS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def test_computed_drift_is_left_out() -> None:
    plain, drifted = recorded("role"), recorded("role_drifted")
    assert plain["resource_changes"] != drifted["resource_changes"]
    assert "resource_drift" in drifted
    assert section(plain) == section(drifted)
    assert list(section(plain)) == ["update aws_iam_role.task"]
    assert sorted(section(plain)["update aws_iam_role.task"]) == ["description", "max_session_duration"]


def change(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["resource_changes"][0]
    return found


def other_address(document: dict[str, Any]) -> None:
    change(document)["address"] = "aws_iam_role.other"


def other_action(document: dict[str, Any]) -> None:
    change(document)["change"]["actions"] = ["delete", "create"]


def other_value(document: dict[str, Any]) -> None:
    change(document)["change"]["after"]["max_session_duration"] = 10800


def another_argument(document: dict[str, Any]) -> None:
    change(document)["change"]["after"]["path"] = "/tasks/"


def an_argument_less(document: dict[str, Any]) -> None:
    change(document)["change"]["after"]["description"] = change(document)["change"]["before"]["description"]


def an_argument_removed(document: dict[str, Any]) -> None:
    change(document)["change"]["after"]["description"] = None


def another_resource(document: dict[str, Any]) -> None:
    document["resource_changes"].append({**copy.deepcopy(change(document)), "address": "aws_iam_role.more"})


def no_change(document: dict[str, Any]) -> None:
    change(document)["change"]["actions"] = ["no-op"]


KINDS = [
    other_address,
    other_action,
    other_value,
    another_argument,
    an_argument_less,
    an_argument_removed,
    another_resource,
    no_change,
]


@pytest.mark.parametrize("alter", KINDS, ids=lambda alter: alter.__name__)
def test_each_kind_of_change_is_seen(alter: Callable[[dict[str, Any]], None]) -> None:
    document = recorded("role")
    alter(document)
    assert section(document) != section(recorded("role"))


def resource(actions: list[str], **change: Any) -> dict[str, Any]:
    return {
        "resource_changes": [
            {"address": "aws_x.y", "type": "aws_x", "mode": "managed", "change": {"actions": actions, **change}}
        ]
    }


def test_a_new_resource_is_what_its_configuration_says() -> None:
    unknown = {"arn": True, "rule": [{"id": True}], "tags": {}}
    after = {"name": "a", "rule": [{"port": 80}], "size": None, "tags": {}}
    found = section(resource(["create"], before=None, after=after, after_unknown=unknown))
    assert sorted(found["create aws_x.y"]) == ["name", "rule"]
    other = after | {"rule": [{"port": 81}]}
    assert section(resource(["create"], before=None, after=other, after_unknown=unknown)) != found


def test_what_only_the_apply_determines_is_left_out_of_an_update() -> None:
    before = {"name": "a", "arn": "one", "members": ["x"]}
    after, unknown = {"name": "b"}, {"arn": True, "members": True}
    found = section(resource(["update"], before=before, after=after, after_unknown=unknown))
    assert list(found["update aws_x.y"]) == ["name"]


def test_a_destroyed_resource_is_only_its_address() -> None:
    assert section(resource(["delete"], before={"status": "one"}, after=None)) == {"destroy aws_x.y": {}}


def test_a_secret_leaves_no_trace() -> None:
    def of(password: str, user: str) -> Any:
        after = {"password": password, "login": [{"user": user, "key": password}]}
        marks = {"password": True, "login": [{"key": True}]}
        return section(resource(["create"], before=None, after=after, after_sensitive=marks))

    assert of("one", "ann") == of("two", "ann")
    assert of("one", "ann") != of("one", "bob")


def test_an_empty_plan_has_no_changes() -> None:
    assert section({}) == {}
