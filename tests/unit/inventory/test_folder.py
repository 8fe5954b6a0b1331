from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from fargate_ops.core.problem import ProblemError
from fargate_ops.inventory.folder import Folder, Request, missing, plan, write
from fargate_ops.inventory.yaml_edit import entry

INVENTORIES = Path(__file__).parents[3] / "inventory"
SHARED = Path("group_vars/all/0_shared.yml")
QA = Request("qa", "staging", "ap-northeast-1", "123456789012")


@pytest.fixture
def inventories(tmp_path: Path) -> Path:
    """A copy of the existing environments."""
    return Path(shutil.copytree(INVENTORIES, tmp_path / "inventory", symlinks=True))


def settings(folder: Folder) -> dict[str, Any]:
    """Return the variables of the new environment's own files."""
    return {
        key: value
        for path, content in folder.files.items()
        if path.parent == SHARED.parent
        for key, value in yaml.safe_load(content).items()
    }


def refusal(wanted: Request, inventories: Path) -> str:
    before = sorted(inventories.rglob("*"))
    with pytest.raises(ProblemError) as caught:
        plan(wanted, inventories)
    assert sorted(inventories.rglob("*")) == before
    return str(caught.value)


@pytest.mark.parametrize("source", ["staging", "production"])
def test_only_the_lines_that_were_asked_for_differ(inventories: Path, source: str) -> None:
    folder = plan(replace(QA, source=source), inventories)
    write(folder, inventories / "qa")
    changed = {}
    for path in (inventories / source).rglob("*.yml"):
        old = path.read_text(encoding="utf-8").splitlines()
        new = (inventories / "qa" / path.relative_to(inventories / source)).read_text(encoding="utf-8").splitlines()
        changed |= {a: b for a, b in zip(old, new, strict=True) if a != b}
    assert sorted(changed.values()) == [
        "  ap-northeast-1a: {public: 10.0.8.0/24, private: 10.0.1.0/24, database: 10.0.4.0/24}",
        "  ap-northeast-1b: {public: 10.0.9.0/24, private: 10.0.2.0/24, database: 10.0.5.0/24}",
        "  ap-northeast-1c: {public: 10.0.10.0/24, private: 10.0.3.0/24, database: 10.0.6.0/24}",
        "# `make bootstrap ENV=qa` once: the deploy role need not have the right to do it.",
        "account_home_region: ap-northeast-1",
        'aws_account_id: "123456789012"',
        "aws_region: ap-northeast-1",
        "env_name: qa",
    ]
    assert {path.name for path in inventories.iterdir() if path.is_dir()} == {"local", "production", "qa", "staging"}
    assert folder.derived
    assert not folder.look_at


def test_what_is_shared_stays_shared(inventories: Path) -> None:
    write(plan(QA, inventories), inventories / "qa")
    link = inventories / "qa" / SHARED
    assert link.is_symlink()
    assert link.resolve() == inventories / "shared.yml"


@pytest.mark.parametrize("key", ["account_home_region", "network_availability_zones"])
def test_a_shared_value_is_changed_for_the_new_environment_only(inventories: Path, key: str) -> None:
    expected = settings(plan(QA, inventories))[key]
    files = (inventories / "staging/group_vars/all").glob("*.yml")
    (own,) = (path for path in files if f"\n{key}:" in path.read_text())
    shared = inventories / "shared.yml"
    shared.write_text(shared.read_text() + "\n# Above.\n" + entry(own.read_text(), key) + "# Below.\n")
    own.write_text(own.read_text().replace(entry(own.read_text(), key), ""))
    before = shared.read_text()

    folder = plan(QA, inventories)
    write(folder, inventories / "qa")
    assert settings(folder)[key] == expected
    assert shared.read_text() == before
    assert (inventories / "qa/group_vars/all/aws.yml").read_text().count(f"\n{key}:") == 1


def test_an_environment_s_own_value_wins_over_the_shared_one(inventories: Path) -> None:
    aws = inventories / "staging/group_vars/all/aws.yml"
    aws.write_text(aws.read_text() + f"app_name: {'a' * 26}\n")
    assert f"{'a' * 26}-qa has 29 characters" in refusal(QA, inventories)


def test_a_second_region_of_an_account_keeps_the_account_s_home(inventories: Path) -> None:
    account = inventories / "staging/group_vars/all/aws.yml"
    same = replace(QA, account_id=yaml.safe_load(account.read_text())["aws_account_id"])
    for wanted, home in ((same, "ap-northeast-2"), (QA, "ap-northeast-1")):
        files = plan(wanted, inventories).files
        assert yaml.safe_load(files[Path("group_vars/all/account.yml")])["account_home_region"] == home


def test_zones(inventories: Path) -> None:
    given = plan(replace(QA, zones=("a", "c", "ap-northeast-1d")), inventories)
    assert (list(given.zones), given.derived) == (["ap-northeast-1a", "ap-northeast-1c", "ap-northeast-1d"], False)
    same_region = plan(replace(QA, region="ap-northeast-2"), inventories)
    assert (same_region.zones[2], same_region.derived) == ("ap-northeast-2c", False)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (replace(QA, name="Q_A"), "'Q_A' cannot be an environment's name"),
        (replace(QA, name="account"), "the account's own resources have it"),
        (replace(QA, name="production"), "There is an environment production already"),
        (replace(QA, name="a" * 18), "settlement-" + "a" * 18 + " has 29 characters"),
        (replace(QA, source="stagin"), "choose of: local, production, staging"),
        (replace(QA, source="local"), "carries a cloud on this machine"),
        (replace(QA, region="ap-notheast-1"), "choose of: ap-northeast-1"),
        (replace(QA, region="cn-north-1"), "'cn-north-1' is no region"),
        (replace(QA, account_id="12345678901"), "12 digits"),
        (replace(QA, zones=("a", "c")), "has subnets for three zones, and 2 were given"),
        (replace(QA, zones=("a", "a", "c")), "is named twice"),
        (replace(QA, zones=("a", "b", "eu-west-1c")), "eu-west-1c is no zone of ap-northeast-1"),
    ],
)
def test_what_cannot_be_is_refused(inventories: Path, wanted: Request, words: str) -> None:
    assert words in refusal(wanted, inventories)


def test_the_longest_name_is_taken(inventories: Path) -> None:
    assert plan(replace(QA, name="a" * 17), inventories).files


def test_all_problems_are_told_at_once(inventories: Path) -> None:
    told = refusal(Request("Q", "staging", "moon", "1"), inventories)
    assert told.startswith("3 problems; nothing was written.")
    assert re.findall(r"where: (\w+)", told) == ["NAME", "REGION", "ACCOUNT"]


def test_a_variable_without_one_home_is_told(inventories: Path) -> None:
    (inventories / "staging/group_vars/all/more.yml").write_text("aws_region: eu-west-1\n")
    told = refusal(QA, inventories)
    assert "staging sets aws_region in group_vars/all/aws.yml and group_vars/all/more.yml" in told


def test_zones_without_ranges_are_told(inventories: Path) -> None:
    network = inventories / "staging/group_vars/all/network.yml"
    network.write_text("network_availability_zones: [ap-northeast-2a, ap-northeast-2b]\n")
    assert "staging does not name its zones, each with the ranges of its subnets" in refusal(QA, inventories)


def test_values_of_the_other_environment_alone_are_shown(inventories: Path) -> None:
    network = inventories / "staging/group_vars/all/network.yml"
    network.write_text(network.read_text().replace("https_domain_name: null", "https_domain_name: a.example.com"))
    (line,) = plan(QA, inventories).look_at
    assert re.fullmatch(r"inventory/qa/group_vars/all/network\.yml:\d+: https_domain_name: a\.example\.com", line)


def test_a_name_that_yaml_would_take_for_something_else(inventories: Path) -> None:
    files = plan(replace(QA, name="no"), inventories).files
    assert yaml.safe_load(files[Path("group_vars/all/aws.yml")])["env_name"] == "no"


def test_a_folder_that_came_meanwhile_is_left_alone(inventories: Path) -> None:
    folder = plan(QA, inventories)
    (inventories / "qa").mkdir()
    (inventories / "qa/mine").touch()
    with pytest.raises(ProblemError, match="cannot be written"):
        write(folder, inventories / "qa")
    assert [path.name for path in (inventories / "qa").iterdir()] == ["mine"]
    assert len([path for path in inventories.iterdir() if path.is_dir()]) == 4


def test_what_was_not_given_is_named() -> None:
    assert missing(Request("", "staging", "", "")) == ["NAME=qa", "REGION=ap-northeast-1", "ACCOUNT=123456789012"]
    assert missing(QA) == []
