"""Refused inventories: every value by its own limits, and the rules between them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.core.problem import Problem
from fargate_ops.inventory.preflight import Given, check
from fargate_ops.inventory.task import FARGATE_SIZES
from tests.support.inventory import INVENTORIES, answers
from tests.unit.inventory.conftest import given, good_values

ARN = "arn:aws:secretsmanager:ap-northeast-2:222222222222:secret:settlement/slack-AbCdEf"
Find = Callable[..., list[Problem]]

ZONES = {
    "ap-northeast-2a": {"public": "10.0.8.0/24", "private": "10.0.1.0/24", "database": "10.0.4.0/24"},
    "ap-northeast-2b": {"public": "10.0.9.0/24", "private": "10.0.2.0/24", "database": "10.0.5.0/24"},
}

REQUIRED = {"notifications_required": True}
PLAIN = {"network_allow_plain_http": False}
OTHER_REGION = {
    "ap-northeast-2a": ZONES["ap-northeast-2a"],
    "us-east-1a": ZONES["ap-northeast-2b"],
}


def zones(**kinds: str) -> dict[str, Any]:
    """Return two zones, the first with other ranges."""
    return ZONES | {"ap-northeast-2a": ZONES["ap-northeast-2a"] | kinds}


@pytest.mark.parametrize("name", ["local", "staging", "production"])
def test_a_shipped_inventory_passes(name: str) -> None:
    finding = check(given(INVENTORIES / name, *answers(name)))
    assert [str(problem) for problem in finding.problems] == []
    assert finding.summary.startswith("9 subnets in 10.0.0.0/18, at most ")


def test_production_asks_what_nobody_else_can_answer() -> None:
    asked = [problem.where.partition(" ")[0] for problem in check(given(INVENTORIES / "production")).problems]
    assert asked == ["network_client_cidrs", "notification_emails.urgent"]


def test_a_whole_inventory_is_checked_in_less_than_two_seconds(tmp_path: Path) -> None:
    whole = given(INVENTORIES / "staging")
    begin = time.process_time()
    check(whole)
    assert time.process_time() - begin < 1


def test_a_good_inventory_is_summed_up() -> None:
    finding = check(Given(good_values()))
    assert (finding.status, finding.problems) == ("OK", ())
    assert finding.summary == "9 subnets in 10.0.0.0/18, at most 85 of 120 database connections"


def test_all_problems_are_found_at_once_and_named_by_variable(problems: Find) -> None:
    found = problems(
        app_scaling_timezone="Asia/Seuol",
        app_peak_starts_at=1350,
        app_min_tasks=0,
        app_peak_min_tasks=5,
        app_peak_max_tasks=4,
        app_name="internal-api",
    )
    assert [problem.where for problem in found] == [
        "app_min_tasks (inventory)",
        "app_peak_starts_at (inventory)",
        "app_scaling_timezone (inventory)",
        "app_name (inventory)",
        "app_peak_max_tasks (inventory), app_peak_min_tasks (inventory)",
    ]


@pytest.mark.parametrize(
    ("account", "home", "refused"),
    [
        ("222222222222", "us-west-2", True),
        ("222222222222", "ap-northeast-2", False),
        ("444444444444", "us-west-2", False),
    ],
)
def test_environments_of_one_account_agree_on_its_home(
    problems: Find, tmp_path: Path, account: str, home: str, refused: bool
) -> None:
    files = tmp_path / "tokyo/group_vars/all"
    files.mkdir(parents=True)
    (files / "all.yml").write_text(
        f'app_name: settlement\naws_account_id: "{account}"\naccount_home_region: {home} # Oregon\n'
    )
    found = problems(preflight_inventory_dir=f"{tmp_path}/staging")
    assert [str(problem) for problem in found if "us-west-2 in tokyo, of the same account" in str(problem)] == [
        str(problem) for problem in found
    ]
    assert bool(found) is refused


@pytest.mark.parametrize(
    ("elsewhere", "listed", "what"),
    [
        ({}, "[staging, qa]", "staging is given GitHub's roles here and by tokyo (ap-northeast-1)"),
        ({}, "\n  - qa\n  # Both.\n  - staging", "staging is given GitHub's roles here and by tokyo (ap-northeast-1)"),
        (
            {"env_name": "staging-tokyo"},
            '["{{ env_name }}"]',
            "staging here and staging-tokyo of tokyo (ap-northeast-1)",
        ),
        ({}, '["{{ env_name }}"]', None),
        ({}, "[qa, \"{{ lookup('env', 'X') }}\"]", None),
        ({"aws_region": "ap-northeast-2"}, "[staging, qa]", None),
        ({"aws_account_id": '"444444444444"'}, "[staging]", None),
        ({"app_name": "ledger"}, "[staging]", None),
        ({"github_repository": "null"}, "[staging]", None),
    ],
)
def test_two_regions_of_one_account_give_no_environment_github_s_roles_twice(
    problems: Find, tmp_path: Path, elsewhere: dict[str, str], listed: str, what: str | None
) -> None:
    files = tmp_path / "tokyo/group_vars/all"
    files.mkdir(parents=True)
    of_tokyo = {
        "env_name": "tokyo",
        "app_name": "settlement",
        "aws_account_id": '"222222222222"',
        "aws_region": "ap-northeast-1",
        "github_repository": "example/settlement",
    } | elsewhere
    (files / "aws.yml").write_text("---\n" + "".join(f"{name}: {value}\n" for name, value in of_tokyo.items()))
    (files / "github.yml").write_text(f"---\n# GitHub.\ngithub_environments: {listed}\nlast: true\n")
    found = problems(preflight_inventory_dir=f"{tmp_path}/staging", github_repository="example/settlement")
    assert len(found) == (what is not None)
    if what:
        assert what in found[0].what
        assert found[0].where == "github_environments (inventory)"
        assert found[0].next_step == "name only the environments of ap-northeast-2: [staging]"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"preflight_inventory_dir": "/x/production/"}, "in the folder production calls itself staging"),
        ({"app_name": "Settlement"}, "app_name is 'Settlement'. It must be lower-case letters"),
        ({"app_name": "internal"}, "AWS refuses internal- at the beginning of a load balancer's name"),
        ({"app_name": "internal-api"}, "here internal-api-staging"),
        ({"app_name": "sg"}, "AWS refuses sg- at the beginning of a security group's name"),
        ({"app_name": "a"}, "An image repository's name has 2 characters or more"),
        ({"app_name": "x" * 20}, None),
        ({"app_name": "x" * 21}, "may have 28 characters, since a target group's name has 32. " + "x" * 21),
        ({"app_name": "sthree", "state_bucket": "sthree-a"}, "would be named sthree-a, which S3 refuses"),
        ({"state_bucket": "x--table-s3"}, "would be named x--table-s3, which S3 refuses"),
        ({"state_bucket": "x" * 64}, "The bucket of state would be named"),
        ({"config_delivery_bucket": "x" * 64}, "The bucket of AWS Config would be named"),
        ({"aws_account_id": "0"}, "aws_account_id is '0'. It must be 12 digits in quotes"),
        ({"aws_account_id": 222222222222}, "aws_account_id is 222222222222. It must be 12 digits in quotes"),
        ({"aws_region": "seoul"}, "aws_region is 'seoul'. It must be the code of an AWS region"),
        ({"aws_tags": {"aws:x": "y"}}, "'aws:x' cannot be a tag's key"),
        ({"aws_tags": {"RDS:x": "y"}}, "'RDS:x' cannot be a tag's key"),
        ({"aws_tags": {"Team": "AWS:payments"}}, "AWS refuses the tag Team: its value AWS:payments begins with aws:"),
        ({"aws_tags": {"Team": "rds:x"}}, "its value rds:x begins with aws: or rds:, which AWS reserves"),
        ({"aws_tags": {"Team": "from-aws:x"}}, None),
        ({"aws_tags": {"Team": "a;b"}}, "AWS refuses the tag Team"),
        ({"aws_tags": {"Team": True}}, "The value of the tag Team is True, not text"),
        ({"aws_tags": {"environment": "x"}}, "Terraform sets the tag Environment itself"),
        ({"aws_tags": {f"T{number}": "x" for number in range(47)}}, "There are 47 tags"),
        ({"public_url": "settlement.example.com"}, "public_url is 'settlement.example.com'"),
        ({"public_url": "https://example.com/path"}, "an address without a path"),
        ({"network_availability_zones": OTHER_REGION}, "us-east-1a is no zone of ap-northeast-2"),
        ({"network_vpc_cidr": "10.0.0.1/18"}, "network_vpc_cidr is '10.0.0.1/18'"),
        ({"network_availability_zones": zones(public="10.0.8.0/29")}, "'10.0.8.0/29' (ap-northeast-2a, public) is no"),
        ({"network_availability_zones": zones(public="10.1.8.0/24")}, "10.1.8.0/24 (ap-northeast-2a, public) lies out"),
        ({"network_allow_plain_http": False}, "would serve plain HTTP to everybody (0.0.0.0/0)"),
        (PLAIN | {"network_client_cidrs": ["0.0.0.0/1", "128.0.0.0/1"]}, "everybody (0.0.0.0/1, 128.0.0.0/1)"),
        (PLAIN | {"network_client_cidrs": ["10.0.0.0/8", "203.0.113.0/24"]}, None),
        (PLAIN | {"alb_internal": True, "service_verify_from": "targets"}, None),
        ({"alb_internal": True}, "The load balancer is internal, and releases are verified at its address"),
        ({"service_verify_from": "tasks"}, "service_verify_from is 'tasks'"),
        (PLAIN | {"https_hosted_zone_id": "Z1", "https_domain_name": "example.com"}, None),
        (PLAIN | {"https_domain_name": "example.com"}, "would serve plain HTTP to everybody"),
        (REQUIRED, "An urgent page would reach nobody"),
        (REQUIRED | {"notification_emails": {"urgent": [], "warning": ["a@example.com"]}}, "would reach nobody"),
        (REQUIRED | {"notification_emails": {"urgent": ["a@example.com"], "warning": []}}, None),
        (REQUIRED | {"notifications_slack": True}, None),
        ({"app_port": 80}, "app_port is 80. It must be a whole number, from 1024 to 65535"),
        ({"app_health_path": "healthz"}, "It must be a path that begins with a slash and has no query"),
        ({"app_health_path": ""}, "app_health_path is ''"),
        ({"app_ready_path": "/ready?deep=1"}, "a path that begins with a slash and has no query, or empty"),
        ({"app_ready_path": "", "app_version_path": "", "app_admin_command": [], "app_schema_file": ""}, None),
        ({"app_version_path": "version"}, "app_version_path is 'version'"),
        ({"app_admin_command": "python -m admin"}, "It must be a list of words, [] for an application without one"),
        ({"app_admin_command": ["python", "-m admin"]}, "app_admin_command is ['python', '-m admin']"),
        ({"app_schema_file": "/srv/schema.json"}, "a path in the image without a slash at its beginning, or empty"),
        ({"app_source_dir": "../shop"}, "app_source_dir is '../shop'. It must be the absolute path of a folder"),
        ({"app_load_file": "load.json"}, "It must be the absolute path of a file, or empty"),
        ({"app_cpu": 300}, "Fargate has no 300 CPU units"),
        ({"app_cpu": 1024}, "Fargate has no 512 MiB with 1024 CPU units"),
        (
            {"app_min_tasks": 5, "app_scheduled_scaling": False},
            "app_max_tasks is 4, below app_min_tasks, which is 5",
        ),
        ({"app_peak_starts_at": "24:00"}, "app_peak_starts_at is '24:00'. It must be HH:MM in quotes"),
        ({"app_scaling_timezone": "KST"}, "It must be the name of an IANA time zone"),
        ({"log_retention_days": 31}, "log_retention_days is 31. It must be one of 1, 3, 5"),
        ({"rds_proxy_enabled": True, "ecs_release_through_proxy": False}, "only the proxy may reach it"),
        ({"database_allocated_storage_gb": 100}, "RDS cannot grow the storage from 100 GiB to 100 GiB"),
        ({"github_repository": "a/b", "github_environments": ["staging", "staging-eu"]}, "it would share them"),
        ({"github_repository": "a/b", "github_environments": ["cost-x"]}, "cannot begin with cost"),
        ({"github_repository": "a/b", "github_environments": []}, "no environment that its workflows may act on"),
        ({"github_repository": "a/b", "github_owner_id": 1}, "belong together"),
        ({"database_serving": "20260101-000000"}, "which is no key of database_restores (none)"),
        ({"database_restores": {"20260101-000000": {}}}, "needs either a time or a snapshot"),
        ({"app_environment": {"1ST": "x"}}, "'1ST' cannot be a variable's name"),
        ({"app_environment": {"DEBUG": True}}, "The value of DEBUG is True, neither text nor a number"),
        ({"app_environment": {"A": None}}, "The value of A is None, neither text nor a number"),
        ({"app_environment": {"A": "x\x00"}}, "The value of A has the control character U+0000"),
        ({"app_environment": {"A": "x\x1b[0m"}}, "The value of A has the control character U+001B"),
        ({"app_environment": {"A": "two\nlines\tand a tab"}}, None),
        ({"app_environment": {"A": "x", "a": "y"}}, "The application reads A and a as one setting"),
        ({"app_environment": {"SMTP_PASSWORD": "x"}}, "SMTP_PASSWORD looks like a secret"),
        ({"app_environment": {"A": "x"}, "app_secrets": {"A": "key"}}, "A is in app_environment and in app_secrets"),
        ({"app_environment": "A=secret"}, "app_environment is something else. It must be a map of variables"),
        ({"app_environment": {"A": "x" * 70_000}}, "ECS takes 65,536"),
        ({"app_environment": {"A": "각" * 11_000}}, "ECS takes 65,536"),
        ({"app_secrets": {"A": "two words"}}, "The value of A names no secret"),
        ({"app_secrets": {"A": 1}}, "The value of A names no secret"),
        ({"app_secrets": {"A": f"{ARN}:token:"}}, "which is no ARN of a secret in Secrets Manager as ECS takes it"),
        ({"app_secrets": {"A": "arn:aws:ssm:ap-northeast-2:222222222222:parameter/x"}}, "is no ARN of a secret"),
        ({"app_secrets": {"A": ARN}}, f"A takes {ARN}, which app_secret_arns does not have"),
        ({"app_secrets": {"A": f"{ARN}:token:AWSPREVIOUS:"}}, "so the execution role may not read it"),
        ({"app_secrets": {"A": f"{ARN}:token:AWSPREVIOUS:"}, "app_secret_arns": [ARN]}, None),
        ({"app_secret_arns": [f"{ARN}:token::"]}, "each without wildcard, JSON key, stage or version"),
        ({"app_secret_arns": [ARN.replace("aws", "aws-cn")]}, "is of the partition aws-cn"),
    ],
)
def test_each_problem_is_named(problems: Find, changes: dict[str, Any], what: str | None) -> None:
    found = [problem.what for problem in problems(**changes)]
    assert len(found) == (what is not None)
    assert what is None or what in found[0]


@pytest.mark.parametrize(
    "name",
    [
        *("DATABASE_HOST", "DATABASE_PORT", "DATABASE_NAME", "DATABASE_INSTANCE", "IMAGE_DIGEST", "GIT_HASH"),
        *("APP_NAME", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "DATABASE_POOL_SIZE", "DATABASE_MAX_OVERFLOW"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        "ECS_CONTAINER_METADATA_URI_V4",
    ],
)
def test_a_name_that_the_release_the_image_or_ecs_sets_is_refused(problems: Find, name: str) -> None:
    for spelled in (name, name.lower()):
        (plain,) = problems(app_environment={spelled: "1"})
        (secret,) = problems(app_secrets={spelled: "username"})
        assert name in plain.what.upper()
        assert name in secret.what.upper()
        assert plain.where.startswith("app_environment")
        assert secret.where.startswith(f"app_secrets.{spelled} ")


@pytest.mark.parametrize("name", ["DATABASE_USER", "DATABASE_PASSWORD"])
def test_the_database_s_credentials_may_come_from_another_secret_and_not_in_clear(problems: Find, name: str) -> None:
    assert problems(app_secrets={name: ARN}, app_secret_arns=[ARN]) == []
    for changes in ({"app_environment": {name: "x"}}, {"app_secrets": {name.lower(): "username"}}):
        (found,) = problems(**changes)
        assert found.what.endswith("is reserved: a release sets it.")


#: Settings that cannot work with a database.
IMPOSSIBLE = {
    "database_allocated_storage_gb": 500,
    "database_max_allocated_storage_gb": 400,
    "rds_proxy_enabled": True,
    "ecs_release_through_proxy": False,
}


def test_without_a_database_its_settings_have_no_effect(problems: Find) -> None:
    assert len(problems(**IMPOSSIBLE)) == 2
    assert problems(app_database=False, **IMPOSSIBLE) == []
    assert len(problems(app_pool_size=500)) == 1
    assert problems(app_database=False, app_pool_size=500) == []
    assert check(Given(good_values() | {"app_database": False})).summary == "9 subnets in 10.0.0.0/18, no database"


def test_without_a_database_its_variables_are_the_inventory_s(problems: Find) -> None:
    of_another = {"DATABASE_HOST": "db.example.com", "DATABASE_USER": "app", "DATABASE_POOL_SIZE": 5}
    assert len(problems(app_environment=of_another)) == 3
    assert problems(app_database=False, app_environment=of_another) == []
    (workers,) = problems(app_database=False, app_environment={"WEB_CONCURRENCY": 3})
    assert workers.what == "A release sets WEB_CONCURRENCY itself, from app_workers."


def test_without_a_database_there_is_no_key_of_its_secret(problems: Find) -> None:
    assert problems(app_secrets={"PGUSER": "username"}) == []
    (found,) = problems(app_database=False, app_secrets={"PGUSER": "username"})
    assert found.what == "PGUSER takes the key username of the database's secret, and there is no database."
    assert found.where == "app_secrets.PGUSER (inventory), app_database (inventory)"


def test_a_name_that_only_looks_secret_can_be_declared_plain(problems: Find) -> None:
    (refused,) = problems(app_environment={"ACCESS_TOKEN_EXPIRE_MINUTES": 30})
    assert refused.next_step.endswith("app_plain_environment: [ACCESS_TOKEN_EXPIRE_MINUTES]")
    plain = {"app_plain_environment": ["ACCESS_TOKEN_EXPIRE_MINUTES"]}
    assert problems(app_environment={"ACCESS_TOKEN_EXPIRE_MINUTES": 30}, **plain) == []


def test_a_pool_in_the_environment_is_refused_with_the_sum_and_the_variables_to_use(problems: Find) -> None:
    (found,) = problems(app_environment={"WEB_CONCURRENCY": "8", "database_pool_size": "60"})
    assert "from app_workers, app_pool_size" in found.what
    assert "3845 database connections, and 96 is 80 %" in found.what  # 4 x 200 % x 8 x 60 + 5
    (small,) = problems(app_environment={"WEB_CONCURRENCY": "1"})
    assert small.next_step == "remove it there, and set app_workers: 1"


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ("--timeout 40 --max-requests 1000 --worker-tmp-dir /dev/shm --worker-class settlement.worker.Worker", 0),
        ("-w 8", 1),
        ("-w8", 1),
        ("--workers=8", 1),
        ("--timeout 40 --workers 8", 1),
        ("--threads 4", 1),
        ("--thr 4 -w 2", 2),
        ("--name 'open", 1),
    ],
)
def test_gunicorns_arguments_may_set_anything_but_workers_and_threads(
    problems: Find, arguments: str, count: int
) -> None:
    assert len(problems(app_environment={"GUNICORN_CMD_ARGS": arguments})) == count


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 0),
        ({"until": date(2026, 12, 31)}, 0),  # as YAML reads it without quotes
        ({"package": None, "digest": f"sha256:{'0' * 64}"}, 0),
        ({"digest": f"sha256:{'0' * 64}"}, 1),
        ({"package": None}, 1),
        ({"package": None, "digest": "sha256:1"}, 1),
        ({"until": "tomorrow"}, 1),
        ({"until": None}, 1),
        ({"reason": " "}, 1),
        ({"reason": None}, 1),
        ({"id": None}, 1),
        ({"severity": "HIGH"}, 1),
    ],
)
def test_an_exception_of_a_finding_has_a_scope_a_day_and_a_reason(
    problems: Find, changes: dict[str, Any], count: int
) -> None:
    good = {"id": "CVE-2026-1", "package": "libssl3", "until": "2026-12-31", "reason": "not reachable"}
    entry = {key: value for key, value in (good | changes).items() if value is not None}
    assert len(problems(image_findings_exceptions=[entry])) == count


def test_numbers_and_flags_from_the_command_line_are_text(problems: Find) -> None:
    assert problems(app_max_tasks="4", rds_proxy_enabled="false", database_free_memory_minimum_mb="200.5") == []
    assert len(problems(app_max_tasks="four")) == 1


@pytest.mark.parametrize("count", [2, 3, 4])
def test_any_number_of_zones_from_two_on(problems: Find, count: int) -> None:
    given = {
        f"ap-northeast-2{letter}": {
            kind: f"10.0.{10 * number + zone}.0/24" for number, kind in enumerate(("public", "private", "database"))
        }
        for zone, letter in enumerate("abcd"[:count])
    }
    assert problems(network_availability_zones=given) == []


def test_one_zone_is_too_few(problems: Find) -> None:
    one = dict(list(ZONES.items())[:1])
    assert [problem.what for problem in problems(network_availability_zones=one)] == [
        "There is one zone; the load balancer and the database need two."
    ]


@pytest.mark.parametrize("ranges", [{}, {"public": "10.0.8.0/24"}, ["10.0.8.0/24"], None])
def test_a_zone_has_one_range_for_each_kind_of_subnet(problems: Find, ranges: Any) -> None:
    (found,) = problems(network_availability_zones=ZONES | {"ap-northeast-2a": ranges})
    assert found.what.startswith("ap-northeast-2a has not exactly one range for each kind of subnet")


def test_overlapping_subnets_are_named_with_a_range_that_is_free(problems: Find) -> None:
    (found,) = problems(network_availability_zones=zones(database="10.0.1.128/25"))
    assert found.what == (
        "The subnets 10.0.1.0/24 (ap-northeast-2a, private) and 10.0.1.128/25 (ap-northeast-2a, database) overlap."
    )
    assert "10.0.0.0/24 is free" in found.next_step


def test_without_a_free_range_the_rule_is_given(problems: Find) -> None:
    given = {
        "ap-northeast-2a": dict.fromkeys(("public", "private", "database"), "10.0.0.0/24"),
        "ap-northeast-2b": dict.fromkeys(("public", "private", "database"), "10.0.1.0/24"),
    }
    found = problems(network_vpc_cidr="10.0.0.0/23", network_availability_zones=given)
    assert {problem.next_step for problem in found} == {"move one of them: no two may share an address"}


def test_the_pool_budget_counts_a_rolling_update(problems: Find) -> None:
    # 4 tasks x 200 % x 2 workers x 10 + 5 = 165; 80 % of 206 is 164.8
    (found,) = problems(app_pool_size=10, database_max_connections=206)
    assert "165 database connections, and 164 is 80 %" in found.what
    assert "raise database_max_connections to 207" in found.next_step
    assert problems(app_pool_size=10, database_max_connections=207) == []
    assert problems(app_pool_size=10, app_deployment_maximum_percent=150, database_max_connections=157) == []


def test_behind_a_proxy_its_limit_is_the_budget(problems: Find) -> None:
    few = {"app_pool_size": 10, "database_max_connections": 206, "rds_proxy_enabled": True}
    assert check(Given(good_values() | few)).summary.endswith("at most 159 of 206 database connections")
    (found,) = problems(**few, rds_proxy_direct_access=True)
    assert found.what.startswith("The tasks could ask for 165")
    # 78 % of 210 are 163, and 5; 80 % are 168: the last that fits.
    some = {"database_max_connections": 210, "rds_proxy_enabled": True}
    assert problems(**some, rds_proxy_max_connections_percent=78) == []
    (found,) = problems(**some, rds_proxy_max_connections_percent=79)
    assert found.what.startswith("The proxy could hold 170 database connections, and 168 is 80 % of what it has: 79 %")


def test_the_pool_budget_counts_the_months_end(problems: Find) -> None:
    (found,) = problems(app_peak_max_tasks=6)
    assert "125 database connections" in found.what
    assert "6 tasks at 200 %" in found.what
    assert problems(app_peak_max_tasks=6, app_scheduled_scaling=False) == []


def test_fargates_sizes() -> None:
    assert {cpu: (memory[0], memory[-1], len(memory)) for cpu, memory in FARGATE_SIZES.items()} == {
        256: (512, 2048, 3),
        512: (1024, 4096, 4),
        1024: (2048, 8192, 7),
        2048: (4096, 16384, 13),
        4096: (8192, 30720, 23),
        8192: (16384, 61440, 12),
        16384: (32768, 122880, 12),
    }


def test_what_cannot_be_resolved_is_a_problem_of_its_variable(inventory: Callable[[str], list[Problem]]) -> None:
    found = inventory(
        'app_environment:\n  LOG_LEVEL: INFO\n  X: "{{ nope }}"\n'
        'app_memory: "{{ nope + 1 }}"\n'
        'app_max_tasks: "{{ app_max_tasks }}"\n'
    )
    assert [(problem.what.partition(":")[0], problem.where) for problem in found][0::2] == [
        ("app_memory cannot be resolved", "app_memory (group_vars/all/changed.yml:4)"),
        ("app_environment.X cannot be resolved", "app_environment.X (group_vars/all/changed.yml:3)"),
    ]


def test_a_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(INVENTORIES / "staging", tmp_path / "staging"))
    (folder / "group_vars/all/notifications.yml").unlink()
    assert [problem.what.partition(".")[0] for problem in check(given(folder)).problems] == [
        "notification_emails is not set",
        "notifications_required is not set",
        "notifications_slack is not set",
    ]
