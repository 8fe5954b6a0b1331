"""Bad input: one clear error with the next command, before anything changes."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.conftest import API_PORT, Clone, Run, emulated, leftovers
from tests.local_cloud.conftest import wait_for
from tests.support.ports import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(autouse=True)
def nothing_is_touched(clone: Clone) -> Iterator[None]:
    before = leftovers()
    yield
    assert leftovers() == before


def assert_refused(clone: Clone, run: Run, cause: str) -> None:
    """Check that the last ten lines say why, where and what to do, and the cause nowhere else."""
    outcome = clone.outcome()
    assert (outcome["kind"], cause in outcome["cause"]) == ("refused", True), outcome
    end = "\n".join(run.screen.splitlines()[-10:])
    for name in ("what", "where", "cause", "serves", "next"):
        assert outcome[name], outcome
        assert outcome[name] in end, run.screen
    assert run.screen.count(outcome["cause"]) == 1, run.screen


def test_unknown_environment(clone: Clone) -> None:
    run = clone.make("deploy", "ENV=stagging", expect=2)
    assert 'no environment "stagging"' in run.output
    assert "local" in run.output
    assert "production" in run.output


def test_overlapping_networks(clone: Clone) -> None:
    zones = {
        "ap-northeast-2a": {"public": "10.0.8.0/24", "private": "10.0.1.0/24", "database": "10.0.3.0/24"},
        "ap-northeast-2b": {"public": "10.0.9.0/24", "private": "10.0.3.0/24", "database": "10.0.5.0/24"},
    }
    run = clone.make("deploy", expect=2, network_availability_zones=zones)
    assert_refused(clone, run, "overlap")
    assert "10.0.3.0/24" in clone.outcome()["cause"]


def test_whatever_is_wrong_with_the_inventory_is_one_report(clone: Clone) -> None:
    wrong = {
        "app_pool_size": 50,
        "app_min_tasks": 0,
        "app_scaling_timezone": "Asia/Seuol",
        "app_environment": {"VERSION": "1.10", "LIMIT": "{{ nowhere }}", "DATABASE_HOST": "db"},
    }
    run = clone.make("deploy", expect=2, **wrong)
    assert_refused(clone, run, "and 4 more above")
    for words in (
        "The tasks could ask for ",
        "app_min_tasks is 0.",
        "app_scaling_timezone is 'Asia/Seuol'.",
        "app_environment.LIMIT cannot be resolved: 'nowhere' is undefined",
        "DATABASE_HOST is reserved: a release sets it.",
    ):
        assert words in run.screen


def test_dirty_tree_outside_local(clone: Clone) -> None:
    (clone.path / "app/api/settlement/stray.py").write_text("x = 1\n")
    try:
        output = clone.make("deploy", "ENV=staging", expect=2).output
    finally:
        (clone.path / "app/api/settlement/stray.py").unlink()
    assert "uncommitted" in output
    assert "git" in output


def test_account_that_is_not_the_local_clouds(clone: Clone) -> None:
    run = clone.make("deploy", expect=2, aws_account_id="111122223333")
    assert "111122223333" in run.output
    assert "000000000000" in run.output
    assert "aws_account_id" in run.output
    run.assert_fails_in_words()
    assert "refused" in run.ending()[""]


OTHER_ACCOUNT = "999988887777"
"""The emulator uses an access key of twelve digits as the account's id."""
KEYS = {"AccessKeyId": OTHER_ACCOUNT, "SecretAccessKey": "test", "SessionToken": "test"}


@pytest.fixture(scope="module")
def sts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an emulated STS, which reports the account of the credentials."""
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "ministack"],
        cwd=tmp_path_factory.mktemp("sts"),
        env={**os.environ, "GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            wait_for(lambda: listens(port), what="STS listens")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


class _Portal(http.server.BaseHTTPRequestHandler):
    """https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_GetRoleCredentials.html"""

    def do_GET(self) -> None:
        known = self.path.startswith("/federation/credentials?") and self.headers["x-amz-sso_bearer_token"] == "cached"
        expires = int(time.time() * 1000) + 3_600_000
        keys = {key[0].lower() + key[1:]: value for key, value in KEYS.items()} | {"expiration": expires}
        body = json.dumps({"roleCredentials": keys}).encode()
        self.send_response(200 if known else 401)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def portal() -> Iterator[str]:
    """The address of a fake IAM Identity Center portal."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Portal) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def keys(home: Path) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": OTHER_ACCOUNT, "AWS_SECRET_ACCESS_KEY": "test"}


def profile(home: Path) -> dict[str, str]:
    """Write a profile to files with unusual names."""
    (home / "credentials").write_text(f"[company]\naws_access_key_id = {OTHER_ACCOUNT}\naws_secret_access_key = test\n")
    return {
        "AWS_PROFILE": "company",
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"),
        "AWS_CONFIG_FILE": str(home / "none"),
    }


def sso_cache(home: Path) -> dict[str, str]:
    """Write the files that `aws sso login` leaves."""
    session = "[sso-session company]\nsso_start_url = https://company.example\nsso_region = us-east-1\n"
    role = f"[profile company]\nsso_session = company\nsso_account_id = {OTHER_ACCOUNT}\nsso_role_name = admin\n"
    cache = home / ".aws/sso/cache"
    cache.mkdir(parents=True)
    (home / ".aws/config").write_text(session + role)
    expires = datetime.now(UTC) + timedelta(hours=1)
    token = {"accessToken": "cached", "expiresAt": f"{expires:%Y-%m-%dT%H:%M:%SZ}"}
    (cache / f"{hashlib.sha1(b'company', usedforsecurity=False).hexdigest()}.json").write_text(json.dumps(token))
    return {"AWS_PROFILE": "company"}


def credential_process(home: Path) -> dict[str, str]:
    (home / ".aws").mkdir()
    (home / "keys.json").write_text(json.dumps({"Version": 1} | KEYS))
    (home / ".aws/config").write_text(f"[profile company]\ncredential_process = cat {home / 'keys.json'}\n")
    return {"AWS_PROFILE": "company"}


def web_identity(home: Path) -> dict[str, str]:
    (home / "token").write_text("token")
    role = f"arn:aws:iam::{OTHER_ACCOUNT}:role/deploy"
    return {"AWS_WEB_IDENTITY_TOKEN_FILE": str(home / "token"), "AWS_ROLE_ARN": role}


@pytest.mark.parametrize("way", [keys, profile, sso_cache, credential_process, web_identity])
def test_credentials_of_another_account_however_they_come(
    clone: Clone,
    sts: str,
    portal: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[Path], dict[str, str]],
) -> None:
    """Each kind of credentials is used. Endpoints of the shell are ignored."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    shell = way(tmp_path) | {"HOME": str(tmp_path), "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9"}
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    place = urlsplit(sts).port
    assert place
    aws = emulated(place, place) | {"AWS_ENDPOINT_URL_SSO": portal}
    output = clone.make(
        "plan",
        "ENV=staging",
        expect=2,
        aws_environment=aws,
        # This machine may lack the exact versions of staging.
        terraform_required_version=">= 1.11",
        aws_provider_version=">= 5.100, < 7.0",
    ).output
    assert f"The credentials belong to account {OTHER_ACCOUNT}, and staging is account 222222222222." in output
    assert "next:  export AWS_PROFILE=<profile of 222222222222>" in output


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_an_endpoint_that_does_not_answer(clone: Clone) -> None:
    run = clone.make("rollback", expect=2)
    assert clone.outcome()["kind"] == "refused"
    run.assert_fails_in_words()
    run.assert_looks_like("unreachable-aws")


def test_terraform_too_old(clone: Clone) -> None:
    run = clone.make("deploy", expect=2, terraform_required_version=">= 99.0")
    assert_refused(clone, run, "Terraform >= 99.0 is required")


def test_port_taken(clone: Clone) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", API_PORT))
        listener.listen()
        output = clone.make("deploy", expect=2).output
    assert str(API_PORT) in output
    assert "local_cloud_api_port" in output


def test_an_engine_that_the_shell_names_is_not_asked(clone: Clone) -> None:
    run = clone.make("up", "CHECK=1", "DOCKER_HOST=unix:///nonexistent/docker.sock")
    assert re.search(r"does not use these variables of the shell: .*\bDOCKER_HOST\b", run.output)


def test_a_docker_context_of_another_engine_is_refused_and_not_asked(clone: Clone, tmp_path: Path) -> None:
    folder = tmp_path / ".docker"
    meta = folder / "contexts/meta" / hashlib.sha256(b"prod").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "other.sock"))
        other.listen()
        other.setblocking(False)
        endpoint = {"Host": f"unix://{tmp_path}/other.sock", "SkipTLSVerify": False}
        meta.write_text(json.dumps({"Name": "prod", "Metadata": {}, "Endpoints": {"docker": endpoint}}))
        (folder / "config.json").write_text(json.dumps({"currentContext": "prod"}))
        run = clone.make("up", "CHECK=1", f"DOCKER_CONFIG={folder}", expect=2)
        with pytest.raises(BlockingIOError):
            other.accept()
    assert f"Docker context prod is unix://{tmp_path}/other.sock" in " ".join(run.output.split())
    assert "docker context use default" in run.output
