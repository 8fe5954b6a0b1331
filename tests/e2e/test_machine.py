"""The commands on a machine where every known obstacle exists at once. Each behaves as elsewhere."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import VERSION, Clone, containers, leftovers, make_clone
from tests.e2e.machine import UID, Machine, give, proxy, started

pytestmark = [pytest.mark.e2e, pytest.mark.rehearsal, pytest.mark.timeout(900)]

FOLDER = "it's a $trial (of) somebody"
#: The user's cache, and folders whose time of change is all that changes.
ALLOWED = re.compile(r"/(tmp|root|\.cache(/.*)?)")


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    log = tmp_path_factory.mktemp("proxy") / "log"
    with proxy(log) as address:
        yield address, log


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    folder = tmp_path_factory.mktemp("machine") / FOLDER
    folder.mkdir()
    clone = make_clone(folder / "clone")
    sign(clone)
    return clone


@pytest.fixture(scope="module")
def machine(clone: Clone, proxied: tuple[str, Path]) -> Iterator[Machine]:
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    settings = dict.fromkeys(names, proxied[0]) | {
        "AWS_PROFILE": "nobody",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "TF_WORKSPACE": "other",
        "TF_VAR_database_name": "other",
        "LC_ALL": "C",
    }
    with started(clone.path, settings) as machine:
        yield machine
        machine.make("down")


def sign(clone: Clone) -> None:
    """Sign the newest commit with a key that the machine does not have."""
    key = clone.path.parent / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    clone.git(
        *("-c", "gpg.format=ssh", "-c", f"user.signingKey={key}", "-c", f"safe.directory={clone.path}"),
        *("commit", "--quiet", "--amend", "--no-edit", "--allow-empty", "--gpg-sign"),
    )


def commit(clone: Clone) -> str:
    """Commit a change of the application and return its version."""
    path = clone.path / "app/api/settlement/currencies.py"
    path.write_bytes(path.read_bytes() + b"\n# Carriage returns stay: \r\n")
    trusted = ("-c", f"safe.directory={clone.path}", "-c", "core.autocrlf=false")
    clone.git(*trusted, "commit", "--quiet", "--message", "feat: a change", "--", str(path))
    give(clone.path / ".git")
    return clone.git(*trusted, *VERSION)


def serving(clone: Clone) -> str:
    return str(clone.request("/version")[1]["git_hash"])


@pytest.fixture(scope="module")
def first(machine: Machine, clone: Clone) -> str:
    """The version that a first deployment serves."""
    machine.make("deploy")
    return serving(clone)


def test_it_deploys_what_is_committed(machine: Machine, clone: Clone, first: str) -> None:
    assert clone.request("/readyz")[0] == 200
    assert first == clone.git("-c", f"safe.directory={clone.path}", *VERSION)
    assert machine.make("deploy").recap()["changed"] == 0


def test_a_commit_is_released_and_rolled_back(machine: Machine, clone: Clone, first: str) -> None:
    second = commit(clone)
    machine.make("deploy")
    assert serving(clone) == second
    assert machine.make("rollback").recap()["changed"] == 1
    assert serving(clone) == first
    assert f"uid {UID}@" in machine.make("status").output


def test_a_command_sees_what_was_typed(machine: Machine, first: str) -> None:
    assert re.search(r"(?m)^\W*typed: \$HOME \"x\"", machine.make("run", """CMD=echo 'typed: $HOME "x"'""").output)


def test_nothing_of_the_machine_goes_through_the_proxy(first: str, proxied: tuple[str, Path]) -> None:
    asked = re.findall(r"- [A-Z]+ (\S+) - ", proxied[1].read_text())
    assert asked, "the packages came through it"
    assert not [address for address in asked if address.startswith(("127.", "172.31.", "localhost"))]


def test_one_sentence_names_what_the_tests_need(machine: Machine) -> None:
    """There is neither jq nor PostgreSQL, and this user cannot install them."""
    output = machine.make("rehearse", expect=2).output
    (sentence,) = (line for line in output.splitlines() if "cannot run" in line)
    assert "Not installed: jq and postgresql." in sentence
    assert "Next: `sudo apt-get install jq postgresql`" in sentence


def test_it_leaves_nothing(machine: Machine, first: str) -> None:
    machine.make("down")
    assert not leftovers()
    assert not containers()
    assert {path for path in machine.changed() if not ALLOWED.fullmatch(path)} == set()
