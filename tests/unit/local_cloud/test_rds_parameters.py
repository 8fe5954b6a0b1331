"""src/local_cloud/rds/rds_parameters.py without a database: which parameters a group keeps, and how."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from xml.etree import ElementTree

import pytest

from local_cloud.core import emulator
from local_cloud.core.patching import install
from local_cloud.rds import rds_parameters
from tests.terraform.provider_schema import TERRAFORM, blocks

FAMILIES = tuple(f"postgres{major}" for major in range(14, 20))
#: Values of the module's parameters that a variable gives; none is a default.
GIVEN = {"max_connections": "210", "log_min_duration_statement": "3000"}

Read = Mapping[str, tuple[str, str, str]]


@cache
def _patched() -> Any:
    rds: Any = emulator.service("rds")
    install(rds_parameters)
    return rds


@pytest.fixture
def rds() -> Iterator[Any]:
    module = _patched()
    yield module
    module._param_groups.clear()
    module._instances.clear()


def call(rds: Any, action: str, **parameters: str) -> tuple[int, str]:
    status, _, body = rds._ACTION_MAP[action]({name: [value] for name, value in parameters.items()})
    return status, body.decode() if isinstance(body, bytes) else body


def create(rds: Any, name: str, family: str) -> None:
    status, body = call(rds, "CreateDBParameterGroup", DBParameterGroupName=name, DBParameterGroupFamily=family)
    assert status == 200, body


def modify(rds: Any, name: str, *parameters: tuple[str, str, str]) -> tuple[int, str]:
    request = {"DBParameterGroupName": name}
    for number, values in enumerate(parameters, 1):
        for field, value in zip(("ParameterName", "ParameterValue", "ApplyMethod"), values, strict=True):
            request[f"Parameters.Parameter.{number}.{field}"] = value
    return call(rds, "ModifyDBParameterGroup", **request)


def read(rds: Any, name: str) -> Read:
    """Value, apply method and source of each parameter of a group."""
    status, body = call(rds, "DescribeDBParameters", DBParameterGroupName=name)
    assert status == 200, body
    root = ElementTree.fromstring(re.sub(r' xmlns="[^"]*"', "", body))  # noqa: S314 - the emulator's own answer
    return {
        str(found.findtext("ParameterName")): (
            found.findtext("ParameterValue") or "",
            found.findtext("ApplyMethod") or "",
            found.findtext("Source") or "",
        )
        for found in root.iter("Parameter")
    }


def parameters_of_the_module() -> list[tuple[str, str, str]]:
    (group,) = (block for block in blocks(TERRAFORM / "modules/rds") if block.type == "aws_db_parameter_group")
    return [
        (name, GIVEN.get(name, _text(parameter["value"])), _text(parameter["apply_method"]))
        for parameter in group.body["parameter"]
        for name in [_text(parameter["name"])]
    ]


def _text(value: str) -> str:
    return value.strip('"')


@pytest.mark.parametrize("family", FAMILIES)
def test_what_terraform_sets_is_read_back_as_it_was_set(rds: Any, family: str) -> None:
    """A parameter that RDS keeps otherwise differs in every later plan."""
    given = parameters_of_the_module()
    assert len(given) == 6
    create(rds, "own", family)
    assert modify(rds, "own", *given)[0] == 200
    kept = read(rds, "own")
    assert [(name, *kept[name][:2]) for name, _, _ in given] == given


@pytest.mark.parametrize(("name", "value"), [("rds.force_ssl", "1"), ("password_encryption", "scram-sha-256")])
def test_a_default_stays_pending_reboot(rds: Any, name: str, value: str) -> None:
    create(rds, "own", "postgres17")
    assert modify(rds, "own", (name, value, "immediate"))[0] == 200
    assert read(rds, "own")[name] == (value, "pending-reboot", "engine-default")


def test_a_value_that_returns_to_the_default_is_the_default_again(rds: Any) -> None:
    create(rds, "own", "postgres17")
    modify(rds, "own", ("rds.force_ssl", "0", "immediate"))
    assert read(rds, "own")["rds.force_ssl"] == ("0", "immediate", "user")
    modify(rds, "own", ("rds.force_ssl", "1", "immediate"))
    assert read(rds, "own")["rds.force_ssl"] == ("1", "pending-reboot", "engine-default")


def test_a_change_of_the_apply_method_alone_is_ignored(rds: Any) -> None:
    create(rds, "own", "postgres17")
    modify(rds, "own", ("log_statement", "ddl", "immediate"))
    modify(rds, "own", ("log_statement", "ddl", "pending-reboot"))
    assert read(rds, "own")["log_statement"] == ("ddl", "immediate", "user")
    modify(rds, "own", ("log_statement", "none", "pending-reboot"))
    assert read(rds, "own")["log_statement"] == ("none", "pending-reboot", "user")


@pytest.mark.parametrize(("family", "status"), [("postgres14", 400), ("postgres15", 200)])
def test_which_parameters_are_static_depends_on_the_family(rds: Any, family: str, status: int) -> None:
    create(rds, "own", family)
    answer = modify(rds, "own", ("rds.force_ssl", "1", "immediate"))
    assert answer[0] == status
    assert (status == 200) != ("immediate apply method for static parameter: rds.force_ssl" in answer[1])


def test_a_group_in_use_cannot_be_deleted(rds: Any) -> None:
    create(rds, "own", "postgres17")
    rds._instances["db"] = {"DBInstanceIdentifier": "db", "DBParameterGroups": [{"DBParameterGroupName": "own"}]}
    status, body = call(rds, "DeleteDBParameterGroup", DBParameterGroupName="own")
    assert (status, "InvalidDBParameterGroupState" in body) == (400, True)
    assert "max_connections" in read(rds, "own")
    rds._instances.clear()
    assert call(rds, "DeleteDBParameterGroup", DBParameterGroupName="own")[0] == 200
