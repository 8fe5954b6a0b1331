"""Every effective setting, the file that sets it, and no secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fargate_ops.inventory.resolve import resolved
from fargate_ops.inventory.settings import COMMAND_LINE, HIDDEN, Setting, effective, names, row, text
from fargate_ops.inventory.yaml_scan import Scan, scan, sources
from tests.support.inventory import INVENTORIES, PROJECT, read


def settings(folder: Path, *extra_vars: str) -> dict[str, Setting]:
    """Return the settings of an inventory, with `-e` of a command line, as Ansible reads them."""
    inventory, written = read(folder, *extra_vars), scan(sources(folder, folder.parents[1]))
    given = [name for extra in extra_vars for name in yaml.safe_load(extra)]
    found = resolved(names(written, given), inventory.variables, inventory.template)
    return {setting.name: setting for setting in effective(*found, written, given)}


def shown(value: Any, name: str = "app_environment", **more: Any) -> Any:
    """Return how one value is shown."""
    written = Scan(places={(key,): "app.yml:1" for key in (name, *more)})
    found = {setting.name: setting.value for setting in effective({name: value, **more}, {}, written, ())}
    return found[name]


def test_each_value_has_the_file_that_sets_it() -> None:
    staging = settings(INVENTORIES / "staging")
    assert staging["env_name"] == Setting("env_name", "staging", "inventory/staging/group_vars/all/aws.yml:3")
    shared = staging["app_name"]
    assert (shared.value, shared.place.partition(":")[0]) == ("settlement", "inventory/shared.yml")
    line = int(shared.place.partition(":")[2])
    assert (INVENTORIES / "shared.yml").read_text().splitlines()[line - 1] == "app_name: settlement"
    assert staging["github_environments"].value == ["staging"], "templates are resolved"
    assert staging["image_registry"].value == "222222222222.dkr.ecr.ap-northeast-2.amazonaws.com"


@pytest.mark.parametrize("environment", ["local", "staging", "production"])
def test_every_variable_of_the_inventory_is_listed(environment: str) -> None:
    files = (INVENTORIES / environment / "group_vars/all").glob("*.yml")
    assert list(settings(INVENTORIES / environment)) == sorted({name for file in files for name in read_yaml(file)})


def read_yaml(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(file.read_text())
    return content


def test_the_value_that_wins_is_the_one_that_is_listed(tmp_path: Path) -> None:
    own = tmp_path / "inventory/qa/group_vars/all"
    own.mkdir(parents=True)
    (tmp_path / "inventory/qa/hosts.yml").write_text((INVENTORIES / "staging/hosts.yml").read_text())
    (tmp_path / "inventory/shared.yml").write_text("app_cpu: 256\napp_memory: 512\napp_workers: 2\n")
    (own / "0_shared.yml").symlink_to("../../../shared.yml")
    (own / "app.yml").write_text("\napp_cpu: 1024\napp_memory: 2048\n")
    found = settings(tmp_path / "inventory/qa", "{app_memory: 4096, app_pool_size: 3, image_build_version: abc}")
    assert list(found.values()) == [
        Setting("app_cpu", 1024, "inventory/qa/group_vars/all/app.yml:2"),
        Setting("app_memory", 4096, COMMAND_LINE),
        Setting("app_pool_size", 3, COMMAND_LINE),
        Setting("app_workers", 2, "inventory/shared.yml:3"),
    ]
    last = text(list(found.values()), "qa", "inventory/qa").splitlines()[-1]
    assert last.startswith("qa: 4 settings, 1 from its own files, 1 that environments share, 2 from the command line;")
    assert last.endswith("Next: set one in inventory/qa/group_vars/all/, then make plan ENV=qa")


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://app:hunter2@db.example:5432/app",
        "redis://:hunter2@cache.example",
        "AKIAIOSFODNN7EXAMPLE",
        "https://hooks.slack.com/services/T0/B0/x",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "xoxb-1-2",
        "-----BEGIN PRIVATE KEY-----\nx",
    ],
)
def test_a_text_that_is_a_credential_is_not_shown(value: str) -> None:
    assert shown({"ANY": value, "LEVEL": "INFO"}) == {"ANY": HIDDEN, "LEVEL": "INFO"}
    assert shown(value, "more") == HIDDEN
    assert shown([value, "x"], "more") == [HIDDEN, "x"]


def test_a_name_that_looks_secret_hides_its_value() -> None:
    arn = "arn:aws:secretsmanager:ap-northeast-2:222222222222:secret:x-AbCdEf"
    assert shown({"SMTP_PASSWORD": "x", "SMTP_TOKEN": arn}) == {"SMTP_PASSWORD": HIDDEN, "SMTP_TOKEN": arn}
    assert shown({"deep": {"api_key": "x"}}, "more") == {"deep": {"api_key": HIDDEN}}
    assert shown("x", "my_password") == HIDDEN
    assert shown(["x"], "my_tokens") == HIDDEN


def test_what_is_declared_is_shown() -> None:
    assert shown(7, "secret_recovery_window_days") == 7
    assert shown({"ACCESS_TOKEN_MINUTES": 5}, app_plain_environment=["ACCESS_TOKEN_MINUTES"]) == {
        "ACCESS_TOKEN_MINUTES": 5
    }


def test_what_vault_encrypts_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/all.yml").write_text(
        "greeting: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  61\nmap: {a: !vault x, b: y}\n"
    )
    written = scan(sources(tmp_path, tmp_path))
    found = effective({"greeting": "hello", "map": {"a": "x", "b": "y"}}, {}, written, ())
    assert [setting.value for setting in found] == [HIDDEN, {"a": HIDDEN, "b": "y"}]


def test_a_plain_value_that_overrides_an_encrypted_one_is_shown(tmp_path: Path) -> None:
    (tmp_path / "group_vars/all").mkdir(parents=True)
    (tmp_path / "group_vars/all/a.yml").write_text("greeting: !vault x\n")
    (tmp_path / "group_vars/all/b.yml").write_text("greeting: hello\n")
    (found,) = effective({"greeting": "hello"}, {}, scan(sources(tmp_path, tmp_path)), ())
    assert (found.value, found.place) == ("hello", "group_vars/all/b.yml:1")


def test_what_only_a_run_knows_is_said() -> None:
    local = settings(INVENTORIES / "local")
    assert local["base_image"].value == "(not known here: 'local_cloud_images' is undefined)"
    assert local["aws_environment"].value["AWS_SECRET_ACCESS_KEY"] == HIDDEN
    written = Scan(places={("app_environment",): "app.yml:1"})
    failures = {("app_environment", "A"): "'a' is undefined", ("app_environment", "A_TOKEN"): "'b' is undefined"}
    (found,) = effective({"app_environment": {"B": "b"}}, failures, written, ())
    assert found.value == {"B": "b", "A": "(not known here: 'a' is undefined)", "A_TOKEN": HIDDEN}


def test_the_text_is_yaml() -> None:
    found = settings(INVENTORIES / "staging")
    lines = text(list(found.values()), "staging", "inventory/staging").splitlines()
    assert yaml.safe_load("\n".join(lines[:-1])) == {name: setting.value for name, setting in found.items()}
    assert [line.partition("  # ")[2] for line in lines[:-1]] == [setting.place for setting in found.values()]


def test_the_playbook_asks_no_account_and_writes_json_for_machines(tmp_path: Path) -> None:
    given = {"settings_format": "json", "inventory_settings_file": str(tmp_path / "settings.json")}
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    done = subprocess.run(
        [program, "-i", "inventory/staging", "playbooks/settings.yml", "-e", json.dumps(given), "-e", "app_cpu=512"],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "AWS_CONFIG_FILE": "/nope"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "settings.json").read_text())
    assert found["environment"] == "staging"
    assert found["settings"]["app_cpu"] == {"value": "512", "from": COMMAND_LINE}
    expected = row(list(settings(INVENTORIES / "staging").values()), "staging")["settings"]
    assert found["settings"] | {"app_cpu": None} == expected | {"app_cpu": None}
