"""The working folder of a root: the files written, and the refusals before anything is planned."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from fargate_ops.core.problem import ProblemError
from fargate_ops.terraform.prepare import Request, prepare, unreadable_state
from fargate_ops.terraform.workspace import record_applied

BACKEND = {"bucket": "state-bucket", "key": "qa/environment.tfstate", "region": "ap-northeast-2"}
LOCK = 'provider "registry.terraform.io/hashicorp/aws" {\n  version = "6.25.0"\n}\n'

Prepare = Callable[..., dict[str, Any]]


class Screen:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def prepared(tmp_path: Path, s3: Any, screen: Screen) -> Prepare:
    """Prepare the root ``terraform`` of the environment qa."""
    root = tmp_path / "terraform"
    (tmp_path / "modules").mkdir()
    root.mkdir()
    (root / "main.tf").write_text("# a root\n")
    values: dict[str, Any] = {
        "root": root,
        "data_dir": tmp_path / "data",
        "variables": {"zones": 2},
        "backend": BACKEND,
        "lock_file": tmp_path / "qa/terraform.lock.hcl",
        "provider_version": "",
        "terraform_path": "/usr/bin/terraform",
        "provider_source": "the registry",
        "plan_unchanged": True,
        "preview": False,
    }

    def run(**changes: Any) -> dict[str, Any]:
        return prepare(Request(**{**values, **changes}), s3, screen.said.append, screen.warned.append)

    return run


def test_variables_and_launcher_are_in_place_and_init_is_due(prepared: Prepare, tmp_path: Path) -> None:
    found = prepared()
    assert (found["known"], found["init"], found["unchanged"], found["preview"]) == (True, True, False, False)
    assert json.loads(Path(found["variables_file"]).read_text()) == {"zones": 2}
    assert Path(found["launcher"]).is_file()
    assert found["plan_file"] == str(tmp_path / "data/apply.tfplan")


def test_only_its_owner_reads_the_working_folder(prepared: Prepare, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o755)
    prepared()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_plan_that_is_only_looked_at_has_files_of_its_own(prepared: Prepare) -> None:
    applied, preview = prepared(), prepared(preview=True, variables={"zones": 3})
    assert preview["plan_file"].endswith("/preview.tfplan")
    assert json.loads(Path(applied["variables_file"]).read_text()) == {"zones": 2}


def test_what_is_as_it_was_applied_is_not_planned_unless_that_is_wanted(
    prepared: Prepare, s3: Any, screen: Screen
) -> None:
    etag = s3.put_object(Bucket=BACKEND["bucket"], Key=BACKEND["key"], Body=b"{}")["ETag"]
    applied = prepared()["applied"]
    record_applied(Path(applied["data_dir"]), applied["digest"], etag)
    assert not prepared()["unchanged"]
    assert prepared(plan_unchanged=False)["unchanged"]
    assert screen.said == ["  terraform: as it was applied, so it is not planned"]
    assert not prepared(plan_unchanged=False, variables={"zones": 3})["unchanged"]


def test_an_exact_provider_without_checksums_is_only_planned(prepared: Prepare, screen: Screen, tmp_path: Path) -> None:
    prepared(provider_version="= 6.25.0", preview=True)
    (warning,) = screen.warned
    assert "no qa/terraform.lock.hcl has the checksums of provider 6.25.0" in warning
    with pytest.raises(ProblemError, match=r"(?s)no qa/terraform\.lock\.hcl has the .* make lock, then commit"):
        prepared(provider_version="= 6.25.0")
    (tmp_path / "qa").mkdir()
    (tmp_path / "qa/terraform.lock.hcl").write_text(LOCK)
    prepared(provider_version="= 6.25.0")
    assert len(screen.warned) == 1


def test_a_lock_of_another_version_is_refused(prepared: Prepare, tmp_path: Path) -> None:
    (tmp_path / "qa").mkdir()
    (tmp_path / "qa/terraform.lock.hcl").write_text(LOCK)
    with pytest.raises(ProblemError, match="make lock, then commit what it wrote"):
        prepared(provider_version="= 6.26.0")


def test_variables_that_terraform_would_take_by_itself_are_refused(prepared: Prepare, tmp_path: Path) -> None:
    (tmp_path / "terraform/my file.auto.tfvars").touch()
    with pytest.raises(ProblemError, match=r"from my file\.auto\.tfvars; nothing was planned") as refused:
        prepared()
    assert f"rm '{tmp_path}/terraform/my file.auto.tfvars'" in str(refused.value)
    assert not (tmp_path / "data").exists()


def test_why_a_state_cannot_be_read(s3: Any) -> None:
    class Bucket:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def head_bucket(self, Bucket: str) -> None:
            raise self.error

    assert not unreadable_state(s3, "state-bucket")
    assert "does not exist; bootstrap makes it" in unreadable_state(s3, "another-bucket")
    answer: Any = {"Error": {"Code": "403", "Message": "Forbidden"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    assert "cannot be read: " in unreadable_state(Bucket(ClientError(answer, "HeadBucket")), "b")
    silent = EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
    assert unreadable_state(Bucket(silent), "b").startswith("AWS does not answer: Could not connect")
