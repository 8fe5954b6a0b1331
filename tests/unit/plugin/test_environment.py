"""The variables that a bare `ansible-playbook` unsets are unset in a worker, a module and a lookup."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.plugin.environment import bypass_proxies, unset, user_name

REPOSITORY = Path(__file__).parents[3]
NOBODY = "http://127.0.0.1:9"
SHELL = {
    "AWS_PROFILE": "nope",
    "AWS_ENDPOINT_URL_S3": NOBODY,
    "AWS_SESSION_TOKEN": "",
    "TF_WORKSPACE": "dev",
    "DOCKER_HOST": "tcp://127.0.0.1:9",
    "http_proxy": NOBODY,
    "NO_PROXY": ".company.example",
}

PLAY = """
- hosts: controller
  gather_facts: false
  environment: "{{ aws_environment }}"
  tasks:
    - ansible.builtin.command: "{{ ansible_playbook_python }} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
      register: module
    - ansible.builtin.set_fact: {lookup: "{{ lookup('ansible.builtin.env', 'TF_WORKSPACE') }}"}
    - ansible.builtin.debug: {msg: "SEEN {{ module.stdout }} {{ lookup }} END"}
"""


#: Runs a command as a uid without an entry in passwd, if the machine allows user namespaces.
NOBODY_KNOWN = ["unshare", "--user", "--map-user=54321", "--map-group=54321"]
if not shutil.which("unshare") or subprocess.run([*NOBODY_KNOWN, "true"], capture_output=True, check=False).returncode:
    NOBODY_KNOWN = []


@pytest.mark.parametrize("environment", ["local", "staging"])
def test_a_bare_ansible_playbook_builds_its_environment(tmp_path: Path, environment: str) -> None:
    for name in ("callback_plugins", "group_vars"):
        (tmp_path / name).symlink_to(REPOSITORY / "playbooks" / name)
    (tmp_path / "play.yml").write_text(PLAY)
    inventory = str(REPOSITORY / "inventory" / environment)
    given = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_", "LOGNAME"))}
    done = subprocess.run(
        [
            *NOBODY_KNOWN,
            Path(sys.executable).with_name("ansible-playbook"),
            "-i",
            inventory,
            str(tmp_path / "play.yml"),
        ],
        cwd=REPOSITORY,
        env=given
        | {
            "PYTHONPATH": str(REPOSITORY / "src"),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_STDOUT_CALLBACK": "default",
        }
        | SHELL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    line = next(line for line in done.stdout.splitlines() if '"SEEN ' in line)
    seen: dict[str, Any] = json.loads(json.loads(f"{{{line}}}")["msg"].removeprefix("SEEN ").removesuffix("  END"))
    assert not {"AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "TF_WORKSPACE", "DOCKER_HOST"} & seen.keys()
    dropped = ["AWS_ENDPOINT_URL_S3", "DOCKER_HOST", "TF_WORKSPACE"]
    addresses = [".company.example", "localhost", "127.0.0.1", "::1"]
    if environment == "local":
        assert seen["AWS_CONFIG_FILE"] == seen["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
        assert "AWS_PROFILE" not in seen
        dropped += ["AWS_PROFILE"]
        addresses += ["172.31.240.1", "172.31.240.0/24"]
    else:
        assert seen["AWS_PROFILE"] == "nope"
    assert seen["http_proxy"] == NOBODY
    assert not NOBODY_KNOWN or seen["LOGNAME"] == "uid 54321", "Python 3.13 asks passwd otherwise, and raises"
    assert seen["no_proxy"] == seen["NO_PROXY"] == ",".join(addresses)
    warning = " ".join(done.stderr.split())
    assert f"These variables of the shell are not used: {', '.join(dropped)}." in warning


def test_an_empty_variable_is_unset_and_not_named() -> None:
    environment = {"AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "AKIA", "AWS_REGION": "us-east-1", "HOME": "/home/ann"}
    assert unset(environment, credentials=True) == ["AWS_REGION"]
    assert environment == {"AWS_ACCESS_KEY_ID": "AKIA", "HOME": "/home/ann"}


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_what_no_proxy_says_stays(name: str) -> None:
    environment = {name: "a.example, localhost"}
    bypass_proxies(environment, ["localhost", "127.0.0.1"])
    bypass_proxies(environment, ["172.31.240.1"])
    assert environment == dict.fromkeys(("no_proxy", "NO_PROXY"), "a.example,localhost,127.0.0.1,172.31.240.1")


def test_a_user_without_an_entry_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert user_name() == "uid 54321"
