"""Values are read as they are written, or refused with their file and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fargate_ops.core.problem import Problem
from fargate_ops.inventory.preflight import check
from fargate_ops.inventory.yaml_scan import Source, scan, sources
from tests.support.inventory import INVENTORIES, PROJECT
from tests.unit.inventory.conftest import given

Inventory = Callable[[str], list[Problem]]


@pytest.mark.parametrize(
    "text",
    ["1.10", "0012345", "12:30:00", "22:30", "0x1F", "0b11", "1_000", ".nan", ".inf", "1.0e+3", "+30", "2026-01-01"],
)
def test_a_value_that_yaml_changes_is_refused_with_its_line(inventory: Inventory, text: str) -> None:
    (found,) = inventory(f"app_environment:\n  LOG_LEVEL: INFO\n  X: {text}\n")
    assert found.what.startswith(f"app_environment.X is written {text}, which YAML reads as ")
    assert found.where == "app_environment.X (group_vars/all/changed.yml:3)"
    assert found.next_step == f'put it in quotes: "{text}"'


@pytest.mark.parametrize("text", ["30", "-1", "1.5", "1e3", "0o17", '"1.10"', "'0012345'", "v1.10", "08", "12:30:61"])
def test_a_value_that_reads_the_same_passes(inventory: Inventory, text: str) -> None:
    assert inventory(f"app_environment: {{X: {text}}}\n") == []


@pytest.mark.parametrize("text", ["yes", "on", "True", "~", "null", "", "[a]"])
def test_a_value_that_is_no_text_is_refused(inventory: Inventory, text: str) -> None:
    (found,) = inventory(f"app_environment:\n  X: {text}\n")
    assert "neither text nor a number" in found.what
    assert found.where.endswith("changed.yml:2)")


def test_other_variables_arrive_as_written_too(inventory: Inventory) -> None:
    found = inventory("aws_account_id: 012345670123\naws_tags: {Version: 1.10}\napp_peak_starts_at: 22:30\n")
    assert [problem.where for problem in found] == [
        "aws_account_id (group_vars/all/changed.yml:1)",
        "aws_tags.Version (group_vars/all/changed.yml:2)",
        "app_peak_starts_at (group_vars/all/changed.yml:3)",
    ]


def test_a_value_that_may_be_a_secret_is_not_shown(inventory: Inventory) -> None:
    found = inventory("app_environment: {SMTP_PASSWORD: 0012345}\n")
    assert found
    assert "12345" not in "".join(map(str, found))


def test_a_repeated_key_is_refused_with_both_lines() -> None:
    text = "app_cpu: 256\napp_environment:\n  A: x\n  A: y\napp_cpu: 512\n"
    assert [problem.where for problem in scan([Source("app.yml", text, "all")]).problems] == [
        "app.yml:3 and app.yml:4",
        "app.yml:1 and app.yml:5",
    ]


def test_a_variable_of_two_files_of_one_folder_is_refused() -> None:
    files = [Source("a.yml", "app_cpu: 256", "all"), Source("b.yml", "app_cpu: 512", "all")]
    assert [problem.where for problem in scan(files).problems] == ["a.yml:1 and b.yml:1"]
    assert scan([files[0], Source("b.yml", "app_cpu: 512", "host")]).problems == []


def test_the_command_line_is_read_as_the_files_are() -> None:
    extra = ('{"app_environment": {"X": 1.10}}', "app_cpu=0256")
    (found,) = check(given(INVENTORIES / "staging", extra[0])).problems
    assert found.where == "app_environment.X (-e:1)"
    assert [source.name for source in sources(PROJECT / "none", PROJECT, extra)] == ["-e"]


def test_every_file_that_ansible_reads_is_read(tmp_path: Path) -> None:
    for name in ("group_vars/all/a.yml", "group_vars/all/b", "group_vars/other.yaml", "host_vars/this/c.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('{"x": 1.10}')
    (tmp_path / "group_vars/all/vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    read = scan(sources(tmp_path, tmp_path)).problems
    assert [problem.where for problem in read if "is written" in problem.what] == [
        "x (group_vars/all/a.yml:1)",
        "x (group_vars/all/b:1)",
        "x (group_vars/other.yaml:1)",
        "x (host_vars/this/c.json:1)",
    ]


def test_a_shared_value_is_named_by_the_file_that_environments_link(tmp_path: Path) -> None:
    own = tmp_path / "inventory/staging/group_vars/all"
    own.mkdir(parents=True)
    (tmp_path / "inventory/shared.yml").write_text("app_cpu: 0256\nx: 1.10\n")
    (own / "0_shared.yml").symlink_to("../../../shared.yml")
    found = scan(sources(tmp_path / "inventory/staging", tmp_path))
    assert [problem.where for problem in found.problems] == [
        "app_cpu (inventory/shared.yml:1)",
        "x (inventory/shared.yml:2)",
    ]

    (own / "app.yml").write_text("app_cpu: 512\n")
    found = scan(sources(tmp_path / "inventory/staging", tmp_path))
    assert found.places[("app_cpu",)] == "inventory/staging/group_vars/all/app.yml:1"
    assert not [problem for problem in found.problems if "set twice" in problem.what], "an override is no second home"


def test_a_file_that_is_no_yaml_is_named() -> None:
    (found,) = scan([Source("app.yml", "a: [1\nb: 2\n", "all")]).problems
    assert found.where == "app.yml:2"
