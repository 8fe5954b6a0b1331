from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from fargate_ops.core.problem import ProblemError
from fargate_ops.terraform import binary as terraform
from fargate_ops.terraform.binary import Download, current_platform
from fargate_ops.terraform.version import Constraint, Version
from tests.unit.terraform.conftest import fake_terraform

RANGE = Constraint.parse(">= 1.11, < 2.0")


def download(tmp_path: Path, url: str = "http://127.0.0.1:9", sha256: Mapping[str, str] | None = None) -> Download:
    return Download(
        Version.parse("1.14.0"), url, {current_platform(): "0" * 64} if sha256 is None else sha256, tmp_path / "cache"
    )


def release(root: Path, tmp_path: Path, version: str = "1.14.0", member: str = "terraform") -> str:
    """Put an archive where releases.hashicorp.com has it. Return its SHA-256."""
    archive = root / "terraform" / "1.14.0" / f"terraform_1.14.0_{current_platform()}.zip"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as contents:
        contents.write(fake_terraform(tmp_path / "packed", version), member)
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def silent(_: str) -> None:
    pass


def test_the_first_suitable_binary_on_the_path_is_used(tmp_path: Path) -> None:
    fake_terraform(tmp_path / "old/terraform", "1.5.7")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/terraform").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "broken/terraform").chmod(0o755)
    fake_terraform(tmp_path / "good/terraform", "1.11.4")
    path = ":".join(str(tmp_path / name) for name in ("absent", "broken", "old", "good"))

    found, downloaded = terraform.provide(RANGE, download(tmp_path), search_path=path, say=silent)

    assert (str(found.version), found.path, downloaded) == ("1.11.4", tmp_path / "good/terraform", False)


def test_a_cached_download_is_used_without_the_network(tmp_path: Path) -> None:
    wanted = download(tmp_path)
    fake_terraform(wanted.cached_path, "1.14.0")
    found, downloaded = terraform.provide(Constraint.parse("1.14.0"), wanted, search_path=str(tmp_path), say=silent)
    assert (found.path, downloaded) == (wanted.cached_path, False)


def test_the_pinned_release_is_downloaded_verified_and_kept(tmp_path: Path, served: tuple[str, Path]) -> None:
    url, root = served
    wanted = download(tmp_path, url, {current_platform(): release(root, tmp_path)})
    said: list[str] = []

    found, downloaded = terraform.provide(RANGE, wanted, search_path="/nowhere", say=said.append)

    assert (str(found.version), downloaded) == ("1.14.0", True)
    assert said[0].startswith("downloading http")
    assert [p.name for p in wanted.cache_dir.iterdir()] == ["terraform-1.14.0"]  # nothing incomplete is left


def test_an_archive_that_is_not_the_pinned_one_is_refused(tmp_path: Path, served: tuple[str, Path]) -> None:
    url, root = served
    release(root, tmp_path)
    with pytest.raises(ProblemError, match="not the pinned one") as caught:
        terraform.provide(RANGE, download(tmp_path, url), search_path="/nowhere", say=silent)
    assert "none is on PATH" in str(caught.value)
    assert not download(tmp_path).cached_path.exists()


def test_too_old_and_no_way_to_download_says_both_and_what_to_do(tmp_path: Path) -> None:
    fake_terraform(tmp_path / "bin/terraform", "1.5.7")
    with pytest.raises(ProblemError) as caught:
        terraform.provide(RANGE, download(tmp_path), search_path=str(tmp_path / "bin"), say=silent)
    message = str(caught.value)
    assert f"found only 1.5.7 at {tmp_path}/bin/terraform" in message
    assert "could not be downloaded" in message
    assert "install Terraform 1.14.0 by hand" in message


def test_a_missing_release_is_an_error_with_its_address(tmp_path: Path, served: tuple[str, Path]) -> None:
    with pytest.raises(ProblemError, match="The download failed: File not found"):
        terraform.fetch(download(tmp_path, served[0]), current_platform(), silent)


def test_a_platform_without_a_pinned_digest_is_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=r"No SHA-256 is pinned .* on plan9_amd64"):
        terraform.fetch(download(tmp_path), "plan9_amd64", silent)


def test_a_pin_outside_the_constraint_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="does not satisfy it either"):
        terraform.provide(Constraint.parse("1.15.0"), download(tmp_path), search_path="/nowhere", say=silent)


@pytest.mark.parametrize(
    ("version", "member", "message"),
    [("1.13.0", "terraform", "does not run here"), ("1.14.0", "other", "cannot be kept")],
)
def test_an_archive_with_the_wrong_content_is_refused(
    tmp_path: Path, served: tuple[str, Path], version: str, member: str, message: str
) -> None:
    url, root = served
    wanted = download(tmp_path, url, {current_platform(): release(root, tmp_path, version, member)})
    with pytest.raises(ProblemError, match=message):
        terraform.fetch(wanted, current_platform(), silent)


def test_a_long_download_shows_that_it_is_alive(
    tmp_path: Path, served: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terraform, "_PROGRESS_SECONDS", 0)
    url, root = served
    wanted = download(tmp_path, url, {current_platform(): release(root, tmp_path)})
    said: list[str] = []
    terraform.fetch(wanted, current_platform(), said.append)
    assert said[1] == "downloaded 0 of 0 MiB"


def test_an_empty_path_falls_back_to_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert terraform.default_search_path()


def test_a_look_says_where_terraform_comes_from_and_downloads_nothing(tmp_path: Path, served: tuple[str, Path]) -> None:
    path = str(fake_terraform(tmp_path / "bin/terraform", "1.12.0").parent)
    assert terraform.look(RANGE, download(tmp_path), path) == f"1.12.0 ({path}/terraform)"
    url, root = served
    wanted = download(tmp_path, url)
    with pytest.raises(ProblemError, match="it cannot be downloaded"):
        terraform.look(RANGE, wanted, "/nowhere")
    release(root, tmp_path)
    assert terraform.look(RANGE, wanted, "/nowhere") == "1.14.0, which the next command downloads"
    assert not wanted.cached_path.exists()
