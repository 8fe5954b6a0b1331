"""The provider lock of `make lock`, with a real Terraform and a mirror with two versions for three platforms."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fargate_ops.core.problem import ProblemError
from fargate_ops.terraform import workspace
from fargate_ops.terraform.provider_lock import Request, checksums, resolve, write

PLATFORMS = ("linux_amd64", "linux_arm64", "darwin_arm64")
ROOT = Path(__file__).parents[3] / "terraform"

pytestmark = pytest.mark.skipif(not shutil.which("terraform"), reason="there is no terraform; make test provides it")


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A mirror whose packages need not run: only their checksums are computed."""
    for version in ("6.25.0", "6.30.0"):
        for platform in PLATFORMS:
            folder = tmp_path / "mirror/registry.terraform.io/hashicorp/aws" / version / platform
            folder.mkdir(parents=True)
            (folder / f"terraform-provider-aws_v{version}").write_text(f"{version} {platform}")
    return tmp_path / "mirror"


def lock(request: Request, current: Path) -> str:
    before = sorted(path for path in ROOT.rglob("*") if ".terraform" not in path.parts)
    terraform = shutil.which("terraform")
    assert terraform
    try:
        # With no CLI configuration of the machine, no registry answers for it.
        return resolve(request, ROOT, current, Path(terraform), {"TF_CLI_CONFIG_FILE": "/dev/null"})
    finally:
        assert sorted(path for path in ROOT.rglob("*") if ".terraform" not in path.parts) == before


def test_the_exact_version_is_locked_for_every_platform(mirror: Path, tmp_path: Path) -> None:
    kept = tmp_path / "terraform.lock.hcl"
    text = lock(Request("6.25.0", PLATFORMS[:1], mirror), kept)
    assert 'version     = "6.25.0"' in text
    assert 'constraints = ">= 5.100.0, < 7.0.0"' in text
    assert checksums(text) == 1
    assert write(kept, text)

    more = lock(Request("6.25.0", PLATFORMS, mirror), kept)
    assert checksums(more) == 3
    assert set(text.splitlines()) <= set(more.splitlines()), "what was known is kept"
    assert write(kept, more)
    assert not write(kept, lock(Request("6.25.0", PLATFORMS, mirror), kept))

    other = lock(Request("6.30.0", PLATFORMS, mirror), kept)
    assert 'version     = "6.30.0"' in other
    assert not set(filter(lambda line: "h1:" in line, more.splitlines())) & set(other.splitlines())


def test_init_takes_the_known_package_and_no_other(mirror: Path, tmp_path: Path) -> None:
    root, kept, launcher = tmp_path / "root", tmp_path / "terraform.lock.hcl", tmp_path / "terraform.sh"
    write(kept, lock(Request("6.25.0", PLATFORMS, mirror), kept))
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".terraform*"))
    workspace.install_lock_file(root, [kept], "6.25.0")
    workspace.write_launcher(launcher, str(shutil.which("terraform")), locked=True, progress=tmp_path / "progress.txt")
    config = tmp_path / "terraform.rc"
    config.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')

    def init() -> str:
        command = [str(launcher), "init", "-backend=false", "-input=false", "-no-color"]
        environment = {"TF_CLI_CONFIG_FILE": str(config), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        return " ".join((done.stdout + done.stderr).split())

    assert "Installed hashicorp/aws v6.25.0" in init()
    shutil.rmtree(root / ".terraform")
    for package in mirror.rglob("6.25.0/*/*"):
        package.write_text("another")
    assert "doesn't match any of the checksums previously recorded" in init()
    assert (root / workspace.LOCK_FILE).read_text() == kept.read_text()


def test_what_cannot_be_had_is_told_and_nothing_is_touched(mirror: Path, tmp_path: Path) -> None:
    kept = tmp_path / "terraform.lock.hcl"
    kept.write_text("as it was")
    shutil.rmtree(mirror / "registry.terraform.io/hashicorp/aws/6.25.0/darwin_arm64")
    with pytest.raises(ProblemError) as caught:
        lock(Request("6.25.0", PLATFORMS, mirror), kept)
    told = str(caught.value)
    assert "no checksums of provider hashicorp/aws 6.25.0 for linux_amd64, linux_arm64, darwin_arm64" in told
    assert "nothing was written" in told
    assert "terraform providers mirror" in told
    assert kept.read_text() == "as it was"


def test_a_version_that_the_code_does_not_allow_is_refused(mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="nothing was written"):
        lock(Request("5.1.0", PLATFORMS, mirror), tmp_path / "none")
