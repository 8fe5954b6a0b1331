"""The contract with the application, as the playbooks pass it."""

from __future__ import annotations

import re

import pytest
import yaml

from fargate_ops.core import application
from fargate_ops.core.application import Application
from fargate_ops.core.problem import OperationsError
from fargate_ops.plugin.arguments import argument_spec
from tests.support.inventory import INVENTORIES, PROJECT, read

EMPTY = {"ready_path": None, "admin_command": None}
FRAGMENT = "extends_documentation_fragment: [operations.application]\noptions: {}"


@pytest.mark.parametrize("environment", ["local", "staging", "production"])
def test_the_playbooks_pass_the_settings_of_the_inventory(environment: str) -> None:
    inventory = read(INVENTORIES / environment, "app_ready_path: ''", "app_admin_command: []", "app_port: 9000")
    fact = inventory.template(inventory.variables["app_contract"])
    settings = yaml.safe_load((PROJECT / "inventory/shared.yml").read_text())
    assert Application.from_fact(fact) == Application(
        name=settings["app_name"],
        port=9000,
        health_path=settings["app_health_path"],
        ready_path="",
        version_path=settings["app_version_path"],
        admin_command=[],
    )
    options = argument_spec(FRAGMENT)["application"]["options"]
    assert fact.keys() == {name for name, option in options.items() if option.get("required")} == options.keys()
    assert options.keys() == Application.__dataclass_fields__.keys()


def test_without_a_database_there_is_no_admin_command() -> None:
    inventory = read(INVENTORIES / "local", "app_database: false")
    found = Application.from_fact(inventory.template(inventory.variables["app_contract"]))
    assert (found.database, found.admin_command) == (False, [])


def test_an_empty_setting_of_yaml_is_none() -> None:
    fact = {"name": "shop", "port": 8000, "health_path": "/", "database": True} | EMPTY
    found = Application.from_fact(fact)
    assert (found.ready_path, found.version_path, found.admin_command) == ("", "", [])


def test_an_admin_task_runs_a_subcommand_of_the_admin_command() -> None:
    shop = Application(name="shop", port=8000, health_path="/", admin_command=["python", "-m", "shop.admin"])
    assert shop.admin("renew", "--secret", "arn") == ["python", "-m", "shop.admin", "renew", "--secret", "arn"]
    with pytest.raises(OperationsError, match=r"so nothing can renew\. Next: give the image one"):
        Application(name="shop", port=8000, health_path="/").admin("renew")


def test_the_page_describes_what_the_code_reads() -> None:
    """The page for people who bring an application names each setting, log message and subcommand."""
    page = (PROJECT / "docs/your-application.md").read_text()
    constants = {name: value for name, value in vars(application).items() if name.isupper()}
    messages = [value for name, value in constants.items() if "ADMIN_COMMAND" not in name]
    assert len(messages) == 5
    source = "\n".join(path.read_text() for path in (PROJECT / "src/fargate_ops").rglob("*.py"))
    subcommands = set(re.findall(r'\.admin\(\s*"([a-z-]+)"', source)) | {"renew", "drop-index"}
    assert {"prepare", "sessions", "survey", "login"} < subcommands
    settings = re.findall(r"^(app_\w+):", (PROJECT / "inventory/shared.yml").read_text(), re.M)
    contract = settings[settings.index("app_source_dir") : settings.index("app_load_file") + 1]
    for word in [*messages, *(f"`{word}" for word in (*subcommands, *contract))]:
        assert word in page, word
