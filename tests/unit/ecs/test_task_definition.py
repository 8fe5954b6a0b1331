"""Task definitions: rendered completely, and compared by their meaning."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fargate_ops.core.application import Application
from fargate_ops.core.problem import ProblemError
from fargate_ops.ecs.task_definition import (
    Image,
    Settings,
    admin_definition,
    canonical,
    differences,
    service_definition,
    tags,
)
from fargate_ops.terraform.stack import Stack
from local_cloud.ecs.execute_command import why_stopped

NAMES = st.text("ABCDEFGHIJ_", min_size=1, max_size=8)
VALUES = st.text(max_size=8)
IMAGE = Image(version="abc", digest="sha256:1", reference="registry/app@sha256:1", schema_head="0001")
SECRET = "arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:app-Ab12Cd"
OUTPUTS: dict[str, Any] = {
    "region": "ap-northeast-2",
    "service_family": "app",
    "admin_family": "app-admin",
    "container_name": "api",
    "container_port": 8000,
    "execution_role_arn": "arn:execution",
    "task_role_arn": "arn:task",
    "admin_execution_role_arn": "arn:admin-execution",
    "admin_task_role_arn": "arn:admin-task",
    "log_group_name": "/ecs/app",
    "admin_log_group_name": "/ecs/app-admin",
    "database": {
        "host": "db",
        "port": 5432,
        "name": "app",
        "master_secret_arn": "arn:master",
        "instance_identifier": "app",
    },
    "app_database_secret_arn": SECRET,
    "cpu_architecture": "ARM64",
}
STACK = Stack(OUTPUTS, "test")
APPLICATION = Application(name="shop", port=8000, health_path="/", admin_command=["python", "-m", "shop.admin"])


def settings(environment: dict[str, str] | None = None, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "cpu": 256,
        "memory": 512,
        "workers": 2,
        "pool_size": 10,
        "max_overflow": 0,
        "proxy_cidrs": ("10.0.0.0/18", "10.1.0.0/18"),
        "environment": environment or {},
        "secrets": {},
        "admin_environment": {},
    }
    return Settings(**{**values, **changes})


def service(environment: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    return service_definition(STACK, APPLICATION, settings(environment, **changes), IMAGE)


def as_ecs_returns(definition: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return a definition as DescribeTaskDefinition does: more fields, defaults, another order."""
    shuffle = random.Random(seed).shuffle
    result = copy.deepcopy(definition)
    result |= {
        "taskDefinitionArn": "arn:aws:ecs:ap-northeast-2:000000000000:task-definition/app:7",
        "revision": 7,
        "status": "ACTIVE",
        "requiresAttributes": [{"name": "ecs.capability.task-eni"}],
        "compatibilities": ["EC2", "FARGATE"],
        "registeredAt": "2026-01-31",
        "registeredBy": "arn:me",
        "placementConstraints": [],
        "enableFaultInjection": False,
        "pidMode": "",
        "proxyConfiguration": None,
    }
    for volume in result["volumes"]:
        volume["host"] = {}
    for container in result["containerDefinitions"]:
        container |= {"cpu": 0, "volumesFrom": [], "systemControls": [], "dockerLabels": {}, "privileged": False}
        for port in container.get("portMappings", []):
            port["hostPort"] = port["containerPort"]
        container["logConfiguration"]["secretOptions"] = []
        for name in ("environment", "secrets", "mountPoints"):
            shuffle(container[name])
    shuffle(result["volumes"])
    return result


@given(st.dictionaries(NAMES, VALUES), st.integers())
def test_what_ecs_returns_means_what_was_registered(environment: dict[str, str], seed: int) -> None:
    definition = service(environment)
    assert canonical(as_ecs_returns(definition, seed)) == canonical(definition)


@given(st.dictionaries(NAMES, VALUES))
def test_the_canonical_form_leaves_its_argument_alone(environment: dict[str, str]) -> None:
    definition = service(environment)
    before = copy.deepcopy(definition)
    assert canonical(definition) == canonical(before)
    assert definition == before


@given(st.dictionaries(NAMES, VALUES, min_size=1), st.data())
def test_every_change_of_an_environment_value_is_seen(environment: dict[str, str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(environment)))
    changed = environment | {name: environment[name] + "x"}
    assert canonical(service(environment)) != canonical(service(changed))
    without = {key: value for key, value in environment.items() if key != name}
    assert canonical(service(environment)) != canonical(service(without))


@pytest.mark.parametrize(
    "change",
    [
        {"cpu": 512},
        {"memory": 1024},
        {"workers": 3},
        {"pool_size": 11},
        {"max_overflow": 1},
        {"proxy_cidrs": ("10.0.0.0/18",)},
        {"stop_timeout": 60},
        {"execute_command": True},
        {"secrets": {"A": "b"}},
    ],
)
def test_every_setting_is_seen(change: dict[str, Any]) -> None:
    assert canonical(service()) != canonical(service(**change))


def test_an_empty_environment_value_is_a_value() -> None:
    assert canonical(service({"EMPTY": ""})) != canonical(service())


def test_a_number_that_looks_like_a_default_is_none() -> None:
    """``cpu: 0`` is a default of a container, ``False`` is not."""
    definition = service()
    definition["containerDefinitions"][0]["cpu"] = False
    assert canonical(definition) != canonical(service())


def test_another_host_port_is_a_difference_outside_awsvpc() -> None:
    definition = service() | {"networkMode": "bridge"}
    mapped = copy.deepcopy(definition)
    mapped["containerDefinitions"][0]["portMappings"][0]["hostPort"] = 8000
    assert canonical(definition) != canonical(mapped)


def test_the_service_runs_as_the_application() -> None:
    definition = service({"LOG_LEVEL": "INFO"}, secrets={"TOKEN": "arn:token"})
    (container,) = definition["containerDefinitions"]
    environment = {item["name"]: item["value"] for item in container["environment"]}
    assert environment == {
        "APP_NAME": "shop",
        "DATABASE_HOST": "db",
        "DATABASE_INSTANCE": "app",
        "DATABASE_PORT": "5432",
        "DATABASE_NAME": "app",
        "IMAGE_DIGEST": "sha256:1",
        "WEB_CONCURRENCY": "2",
        "FORWARDED_ALLOW_IPS": "10.0.0.0/18,10.1.0.0/18",
        "DATABASE_POOL_SIZE": "10",
        "DATABASE_MAX_OVERFLOW": "0",
        "LOG_LEVEL": "INFO",
    }
    assert container["secrets"] == [
        {"name": "DATABASE_PASSWORD", "valueFrom": f"{SECRET}:password::"},
        {"name": "DATABASE_USER", "valueFrom": f"{SECRET}:username::"},
        {"name": "TOKEN", "valueFrom": "arn:token"},
    ]
    assert "command" not in container
    assert container["image"] == "registry/app@sha256:1"
    assert container["readonlyRootFilesystem"] is True
    assert container["mountPoints"][0]["containerPath"] == "/tmp"
    assert definition["runtimePlatform"] == {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"}
    assert (definition["cpu"], definition["memory"]) == ("256", "512")
    assert (definition["executionRoleArn"], definition["taskRoleArn"]) == ("arn:execution", "arn:task")


def test_the_inventory_may_name_other_secrets_and_another_command() -> None:
    definition = service(secrets={"DATABASE_USER": "arn:user", "PGUSER": "username"}, command=("sleep", "infinity"))
    (container,) = definition["containerDefinitions"]
    assert {item["name"]: item["valueFrom"] for item in container["secrets"]} == {
        "DATABASE_PASSWORD": f"{SECRET}:password::",
        "DATABASE_USER": "arn:user",
        "PGUSER": f"{SECRET}:username::",
    }
    assert container["command"] == ["sleep", "infinity"]


def test_without_a_database_the_service_has_nothing_of_one() -> None:
    of_database = ("admin_", "app_database", "database")
    stack = Stack({name: value for name, value in OUTPUTS.items() if not name.startswith(of_database)}, "test")
    application = replace(APPLICATION, database=False)
    for place in (stack, STACK):  # the second still has a database that no task is to use
        given = settings({"LOG_LEVEL": "INFO"}, secrets={"TOKEN": "arn:token"})
        (container,) = service_definition(place, application, given, IMAGE)["containerDefinitions"]
        names = {item["name"] for item in container["environment"]}
        assert names == {"APP_NAME", "IMAGE_DIGEST", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "LOG_LEVEL"}
        assert container["secrets"] == [{"name": "TOKEN", "valueFrom": "arn:token"}]
    with pytest.raises(ProblemError, match="it has no database"):
        service_definition(stack, application, settings(secrets={"PGUSER": "username"}), IMAGE)


def test_ecs_exec_gets_the_folders_that_its_agent_writes_to() -> None:
    """The service's root file system is read-only: without the mounts, the agent stops."""
    definition = service(execute_command=True)
    (container,) = definition["containerDefinitions"]
    assert why_stopped(container) == ""
    mounted = {point["sourceVolume"] for point in container["mountPoints"]}
    assert mounted == {volume["name"] for volume in definition["volumes"]}
    assert container["readonlyRootFilesystem"] is True

    (without,) = service()["containerDefinitions"]
    assert [point["containerPath"] for point in without["mountPoints"]] == ["/tmp"]
    assert why_stopped(without) != ""
    (admin,) = admin_definition(STACK, APPLICATION, settings(execute_command=True), IMAGE)["containerDefinitions"]
    assert admin["mountPoints"] == without["mountPoints"], "nobody opens a shell with the master's rights"


def test_the_service_goes_to_the_proxy_and_the_admin_task_to_the_instance() -> None:
    stack = Stack(OUTPUTS | {"database": OUTPUTS["database"] | {"service_host": "proxy"}}, "test")
    definitions = (
        service_definition(stack, APPLICATION, settings(), IMAGE),
        service_definition(stack, APPLICATION, settings(through_proxy=False), IMAGE),
        admin_definition(stack, APPLICATION, settings(), IMAGE),
    )
    hosts = [
        {item["name"]: item["value"] for item in definition["containerDefinitions"][0]["environment"]}["DATABASE_HOST"]
        for definition in definitions
    ]
    assert hosts == ["proxy", "db", "db"]


def test_only_the_admin_family_has_the_master_secret() -> None:
    admin = admin_definition(STACK, APPLICATION, settings(admin_environment={"EXTRA": "1"}), IMAGE)
    (container,) = admin["containerDefinitions"]
    assert {item["name"] for item in container["secrets"]} == {"MASTER_USERNAME", "MASTER_PASSWORD"}
    assert {"name": "EXTRA", "value": "1"} in container["environment"]
    assert {"name": "APP_DATABASE_SECRET_ARN", "value": SECRET} in container["environment"]
    assert "portMappings" not in container
    assert container["logConfiguration"]["options"]["awslogs-group"] == "/ecs/app-admin"
    assert admin["executionRoleArn"] == "arn:admin-execution"
    assert "arn:master" not in str(service())


def test_both_definitions_name_the_application_and_the_admin_task_prepares() -> None:
    for definition in (service(), admin_definition(STACK, APPLICATION, settings(), IMAGE)):
        assert {"name": "APP_NAME", "value": "shop"} in definition["containerDefinitions"][0]["environment"]
    (admin,) = admin_definition(STACK, APPLICATION, settings(), IMAGE)["containerDefinitions"]
    assert admin["command"] == ["python", "-m", "shop.admin", "prepare"]
    (without,) = admin_definition(STACK, replace(APPLICATION, admin_command=[]), settings(), IMAGE)[
        "containerDefinitions"
    ]
    assert "command" not in without


def test_no_definition_holds_a_password() -> None:
    assert all("value" not in item for item in service()["containerDefinitions"][0]["secrets"])


def test_differences_name_what_changes() -> None:
    before = canonical(service({"A": "1", "B": "1"}))
    after = canonical(service({"A": "2", "C": "1"}, memory=1024))
    assert differences(before, after) == [
        "api.environment.A: 1 -> 2",
        "api.environment.B: 1 -> (none)",
        "api.environment.C: (none) -> 1",
        "memory: 512 -> 1024",
    ]
    assert differences(before, before) == []
    assert differences(None, after) == ["a first task definition"]


def test_tags_are_a_copy_for_people() -> None:
    assert {"key": "schema_head", "value": "0001"} in tags(IMAGE, "local")
    unknown = Image(version="abc", digest="sha256:1", reference="r", schema_head=None)
    assert {item["key"] for item in tags(unknown, "local")} == {"version", "digest", "environment"}
