"""Terraform and the source of its provider are returned as the fact that other roles use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fargate_ops.core.problem import ProblemError
from fargate_ops.terraform import binary
from fargate_ops.terraform.toolchain import Request, provide
from fargate_ops.terraform.version import VersionError
from tests.unit.terraform.conftest import fake_terraform


@pytest.fixture
def values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A machine with Terraform 1.14.0 on its path and a mirror of the provider."""
    fake_terraform(tmp_path / "bin/terraform", "1.14.0")
    monkeypatch.setattr(binary, "default_search_path", lambda: str(tmp_path / "bin"))
    platform = binary.current_platform()
    mirror = tmp_path / "mirror/registry.terraform.io/hashicorp/aws/6.25.0" / platform
    mirror.mkdir(parents=True)
    (mirror / "terraform-provider-aws_v6.25.0_x5").touch()
    return {
        "required_version": ">= 1.11",
        "provider_version": ">= 6, < 7",
        "work_dir": str(tmp_path / "work"),
        "cache_dir": str(tmp_path / "cache"),
        "download_version": "1.14.0",
        "download_sha256": {},
        "releases_url": "http://127.0.0.1:9",
        "registry_url": "http://127.0.0.1:9",
        "mirror_directories": [str(tmp_path / "mirror")],
        "cli_config_file": "",
    }


def test_terraform_and_a_mirror_of_this_machine_are_used(values: dict[str, Any], tmp_path: Path) -> None:
    said: list[str] = []
    downloaded, toolchain = provide(Request(**values), said.append)
    assert not downloaded
    assert toolchain["terraform_path"] == str(tmp_path / "bin/terraform")
    assert (toolchain["terraform_version"], toolchain["provider_version"]) == ("1.14.0", "6.25.0")
    assert str(tmp_path / "mirror") in toolchain["provider_source"]
    config = Path(toolchain["environment"]["TF_CLI_CONFIG_FILE"])
    assert config == tmp_path / "work/terraform.rc"
    assert str(tmp_path / "mirror") in config.read_text()
    assert said[-1] == f"terraform 1.14.0 ({tmp_path}/bin/terraform); provider from {toolchain['provider_source']}"


def test_a_cli_configuration_of_ones_own_is_used_as_it_is(values: dict[str, Any], tmp_path: Path) -> None:
    own = tmp_path / "own.rc"
    with pytest.raises(ProblemError, match=r"There is no such CLI configuration\.\n  where: .*own\.rc"):
        provide(Request(**{**values, "cli_config_file": str(own)}), lambda _: None)
    own.touch()
    _, toolchain = provide(Request(**{**values, "cli_config_file": str(own)}), lambda _: None)
    assert toolchain["environment"]["TF_CLI_CONFIG_FILE"] == str(own)
    assert (toolchain["provider_source"], toolchain["provider_version"]) == (f"the CLI configuration {own}", "")


def test_without_mirror_and_registry_the_way_out_is_named(values: dict[str, Any]) -> None:
    with pytest.raises(ProblemError):
        provide(Request(**{**values, "mirror_directories": []}), lambda _: None)


def test_a_malformed_constraint_is_an_expected_failure(values: dict[str, Any]) -> None:
    with pytest.raises(VersionError, match="is not a version such as"):
        provide(Request(**{**values, "required_version": "new"}), lambda _: None)
