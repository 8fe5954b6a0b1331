from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fargate_ops.core.problem import ProblemError
from fargate_ops.terraform import provider as providers
from fargate_ops.terraform.provider import Provider, Source
from fargate_ops.terraform.version import Constraint, Version

AWS = Provider("hashicorp", "aws", "linux_amd64")
RANGE = Constraint.parse(">= 5.100, < 7.0")


def unpacked(mirror: Path, version: str, platform: str = "linux_amd64") -> None:
    folder = mirror / AWS.address / version / platform
    folder.mkdir(parents=True)
    (folder / f"terraform-provider-aws_v{version}_x5").touch()


def packed(mirror: Path, version: str, platform: str = "linux_amd64") -> None:
    (mirror / AWS.address).mkdir(parents=True, exist_ok=True)
    (mirror / AWS.address / f"terraform-provider-aws_{version}_{platform}.zip").touch()


def test_the_newest_suitable_version_of_the_first_mirror_that_has_one(tmp_path: Path) -> None:
    for version in ("5.99.0", "5.100.0", "6.0.0", "7.0.0", "not-a-version"):
        unpacked(tmp_path / "b", version)
    unpacked(tmp_path / "a", "4.0.0")
    packed(tmp_path / "b", "6.25.0")
    packed(tmp_path / "b", "6.26.0", "darwin_arm64")
    source = providers.choose(AWS, RANGE, ["", str(tmp_path / "missing"), str(tmp_path / "*"), str(tmp_path / "b")])
    assert (source.mirror, str(source.version)) == (tmp_path / "b", "6.25.0")
    assert str(source) == f"mirror {tmp_path / 'b'}"


def test_a_mirror_without_the_exact_version_is_not_used(tmp_path: Path) -> None:
    unpacked(tmp_path, "5.100.0")
    source = providers.choose(AWS, Constraint.parse("6.25.0"), [str(tmp_path)])
    assert (source.mirror, str(source.version)) == (None, "6.25.0")
    assert str(source) == "registry registry.terraform.io"


def test_a_home_relative_place_is_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    unpacked(tmp_path / ".terraform.d/plugins", "6.25.0")
    assert providers.choose(AWS, RANGE, ["~/.terraform.d/plugins"]).mirror == tmp_path / ".terraform.d/plugins"


def test_the_configuration_of_a_mirror_keeps_the_registry_out_of_it(tmp_path: Path) -> None:
    text = providers.cli_config(AWS, Source(Path('/mir"${x}'), Version.parse("6.25.0")), tmp_path)
    assert 'path    = "/mir\\"$${x}"' in text
    assert 'include = ["registry.terraform.io/hashicorp/aws"]' in text
    assert 'exclude = ["registry.terraform.io/hashicorp/aws"]' in text
    assert "plugin_cache_dir" not in text


def test_the_configuration_of_the_registry_caches(tmp_path: Path) -> None:
    text = providers.cli_config(AWS, Source(None, None), tmp_path)
    assert f'plugin_cache_dir   = "{tmp_path}"' in text
    assert "provider_installation" not in text


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not on PATH")
@pytest.mark.parametrize("mirror", [None, Path("/somewhere")])
def test_terraform_reads_what_is_written(tmp_path: Path, mirror: Path | None) -> None:
    config = tmp_path / "terraform.rc"
    config.write_text(providers.cli_config(AWS, Source(mirror, None), tmp_path))
    done = subprocess.run(
        ["terraform", "version"], env={"TF_CLI_CONFIG_FILE": str(config), "PATH": "/usr/bin:/bin:/usr/local/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "problems with the CLI configuration" not in done.stdout + done.stderr


def test_a_provider_in_the_cache_needs_no_registry(tmp_path: Path) -> None:
    unpacked(tmp_path, "6.25.0")
    providers.require_reachable(AWS, RANGE, tmp_path, "http://127.0.0.1:9")


def test_a_registry_that_answers_is_enough(tmp_path: Path, served: tuple[str, Path]) -> None:
    url, root = served
    providers.require_reachable(AWS, RANGE, tmp_path / "cache", url)  # 404: it answers
    (root / ".well-known").mkdir()
    (root / ".well-known/terraform.json").write_text("{}")
    providers.require_reachable(AWS, RANGE, tmp_path / "cache", url)


def test_no_mirror_and_no_registry_is_said_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="is in no mirror on this machine") as caught:
        providers.require_reachable(AWS, RANGE, tmp_path, "http://127.0.0.1:9")
    assert "terraform providers mirror" in caught.value.problem.next_step
