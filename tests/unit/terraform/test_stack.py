"""Terraform's outputs as one typed object."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import hcl2
import pytest

from fargate_ops.core.problem import ProblemError
from fargate_ops.terraform.stack import Database, DatabaseInstance, Output, PageTest, ServiceScaling, Stack, Values

TERRAFORM = Path(__file__).parents[3] / "terraform"


def declared(file: str) -> dict[str, Any]:
    """Return the value of each output of a file below terraform/."""
    outputs = hcl2.loads((TERRAFORM / file).read_text(encoding="utf-8"))["output"]
    return {name.strip('"'): body["value"] for output in outputs for name, body in output.items()}


def known(values: type[Values]) -> set[str]:
    return {name for cls in values.__mro__ for name, value in vars(cls).items() if isinstance(value, Output)}


def test_it_has_the_outputs_that_terraform_has() -> None:
    assert known(Stack) == declared("outputs.tf").keys()


def test_its_objects_have_the_keys_that_terraform_gives_them() -> None:
    assert known(ServiceScaling) == declared("modules/autoscaling/outputs.tf")["scalable_target"].keys()
    # hcl2 returns a `for` expression as text.
    assert known(Database) == set(re.findall(r"(\w+) = ", declared("outputs.tf")["database"]))
    instances, page = declared("modules/rds/outputs.tf")["instances"], declared("outputs.tf")["test_page"]
    assert known(DatabaseInstance) == set(re.findall(r"(\w+) = ", instances))
    assert known(PageTest) == set(re.findall(r"(\w+) = ", page))


def test_a_value_has_its_type() -> None:
    instance = {"host": "db", "instance_identifier": "app", "master_secret_arn": "arn:master"}
    stack = Stack(
        {
            "container_port": "8000",
            "private_subnet_ids": ["subnet-1"],
            "database": instance | {"port": 5432},
            "database_instances": {"": instance},
            "test_page": {"urgent": {"alarm": "page", "topic_arn": "arn:topic"}},
        },
        "qa",
    )
    assert (stack.container_port, stack.private_subnet_ids) == (8000, ["subnet-1"])
    assert (stack.database.host, stack.database.port) == ("db", 5432)
    assert stack.database_instances[""].master_secret_arn == "arn:master"
    assert stack.test_page["urgent"].alarm == "page"


def test_a_missing_output_is_named_with_what_makes_it_when_it_is_read() -> None:
    stack = Stack({"public_url": "http://x", "region": None}, "qa")
    assert (stack.public_url, stack.get(Stack.public_url, "")) == ("http://x", "http://x")
    assert (stack.get(Stack.test_page, {}), stack.get(Stack.region, "none")) == ({}, "none")
    with pytest.raises(ProblemError, match="The infrastructure of qa has no output test_page") as caught:
        _ = stack.test_page
    assert caught.value.problem.next_step.startswith("make infra ENV=qa")


def test_there_is_nothing_before_the_first_apply() -> None:
    assert not Stack({}, "qa")
    assert Stack({"region": "x"}, "qa")


def test_a_stack_without_a_database_says_so_of_its_outputs() -> None:
    """Terraform leaves an output that is null out of its state."""
    without, older = Stack({"region": "x", "database": None}, "qa"), Stack({"database": {"host": "db"}}, "qa")
    assert (without.has_database, Stack({}, "qa").has_database, older.has_database) == (False, False, True)
    with pytest.raises(ProblemError, match="no output admin_family: it has no database"):
        _ = without.admin_family
    with pytest.raises(ProblemError, match="no output undelivered_queue_url: another version"):
        _ = without.undelivered_queue_url
    with pytest.raises(ProblemError, match="no output admin_family: another version"):
        _ = older.admin_family
