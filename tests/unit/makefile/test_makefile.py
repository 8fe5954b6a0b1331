"""What make hands to the programs that it starts: the environment, and the user's words."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.plugin.environment import unset
from tests.support.makefile import REPOSITORY, Tree

#: The shell of somebody who works with the same tools on something else.
STRANGER = {
    "TF_WORKSPACE": "dev",
    "TF_VAR_container_insights": "disabled",
    "TF_CLI_ARGS_plan": "-target=module.vpc",
    "TF_DATA_DIR": "/nope",
    "TF_CLI_CONFIG_FILE": "/nope",
    "AWS_REGION": "us-east-1",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "ANSIBLE_CONFIG": "empty.cfg",
    "ANSIBLE_VAULT_PASSWORD_FILE": "/nope",
    "ANSIBLE_COLLECTIONS_PATH": "/nope",
    "DOCKER_HOST": "tcp://127.0.0.1:9",
    "DOCKER_TLS_VERIFY": "1",
    "GIT_DIR": "/nope",
    "PIP_TARGET": "/nope",
    "UV_PROJECT_ENVIRONMENT": "/nope",
    "PYTHONPATH": "/nope",
    "PYTHONHOME": "/nope",
    "PYTHONDONTWRITEBYTECODE": "1",
    "LC_ALL": "de_DE.UTF-8",
    "LANG": "ko_KR.EUC-KR",
    "CDPATH": "/",
    "MAKEFLAGS": "k",
}
#: Of these families, and passed all the same.
PASSED = {
    "TF_PLUGIN_DIR": "/mirror",
    "TF_LOG": "DEBUG",
    "DOCKER_CONTEXT": "prod",
    "DOCKER_CONFIG": "/config",
    "ANSIBLE_STDOUT_CALLBACK": "minimal",
    "ANSIBLE_FORCE_COLOR": "1",
    "PIP_INDEX_URL": "https://index.example",
    "PIP_FIND_LINKS": "/wheels",
    "UV_DEFAULT_INDEX": "https://index.example",
    "UV_INDEX_PRIVATE_PASSWORD": "hush",
}
#: Of no family, among them one with a dollar.
OTHERS = {
    "SSH_AUTH_SOCK": "/agent",
    "https_proxy": "http://proxy.example",
    "SSL_CERT_FILE": "/ca.pem",
    "REQUESTS_CA_BUNDLE": "/ca.pem",
    "PRICE": "5$HOME$(HOME)$$",
}
#: Each way to have credentials.
CREDENTIALS = {
    "AWS_PROFILE": "company",
    "AWS_CONFIG_FILE": "/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/credentials",
    "AWS_CA_BUNDLE": "/ca.pem",
    "AWS_ACCESS_KEY_ID": "AKIA",
    "AWS_SECRET_ACCESS_KEY": "hush",
    "AWS_SESSION_TOKEN": "hush",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/token",
    "AWS_ROLE_ARN": "arn:aws:iam::1:role/x",
    "AWS_ROLE_SESSION_NAME": "ann",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """In a path with everything that a shell or make gives a meaning to."""
    return Tree(tmp_path_factory.mktemp("field trial") / 'it\'s $x (b) "q" #h; `id` & co' / "checkout")


@pytest.mark.parametrize("environment", ["local", "staging"])
def test_the_environment_is_built_and_not_inherited(tree: Tree, environment: str) -> None:
    made = tree.make("deploy", f"ENV={environment}", **STRANGER, **PASSED, **OTHERS, **CREDENTIALS)
    assert made.code == 0, made.errors
    assert made.call
    seen = made.call.environment
    for name in STRANGER.keys() - {"ANSIBLE_CONFIG", "PYTHONPATH", "LC_ALL"}:
        assert name not in seen, "unset, and not emptied"
    passed = PASSED | OTHERS | (CREDENTIALS if environment == "staging" else {})
    assert {name: seen.get(name) for name in passed} == passed
    assert environment == "staging" or not CREDENTIALS.keys() & seen.keys()
    assert seen["LC_ALL"] == "C.UTF-8"
    assert seen["ANSIBLE_CONFIG"] == f"{tree.path}/ansible.cfg"
    assert seen["PYTHONPATH"] == f"{tree.path}/src"
    assert seen["PATH"] == f"{tree.path}/.venv/bin:{os.environ['PATH']}"
    assert made.errors.count("\n") == 1
    assert f"ENV={environment} does not use" in made.errors
    assert "TF_WORKSPACE" in made.errors
    assert ("AWS_PROFILE" in made.errors) is (environment == "local")


@pytest.mark.parametrize("environment", ["local", "staging"])
def test_make_and_a_bare_ansible_playbook_unset_the_same(tree: Tree, environment: str) -> None:
    shell = STRANGER | PASSED | CREDENTIALS
    made = tree.make("deploy", f"ENV={environment}", **shell)
    unset(shell, credentials=environment != "local")
    assert made.call
    families = ("AWS_", "TF_", "DOCKER_")
    assert {n for n in made.call.environment if n.startswith(families)} == {n for n in shell if n.startswith(families)}


def test_a_shell_without_such_variables_reads_nothing_of_it(tree: Tree) -> None:
    assert tree.make("deploy").errors == ""


def test_without_a_home_the_checkout_has_one(tree: Tree) -> None:
    made = tree.run(["env", "-u", "HOME", "make", "deploy"])
    assert made.call
    assert made.call.environment["HOME"] == f"{tree.path}/.local/home"


TEXT = """x 'it'"s $HOME $$ $(touch pwned) `touch pwned` \\" \\ #{{ 1 + 1 }} %d é; * [a] \t"""


@pytest.mark.parametrize(
    ("verb", "name", "variable", "text"),
    [
        ("run", "CMD", "command", TEXT),
        ("run", "CMD", "command", 'sh -c "echo $HOSTNAME"'),
        ("run", "FAMILY", "ecs_task_family", TEXT),
        ("logs", "FILTER", "logs_filter", TEXT),
        ("logs", "FILTER", "logs_filter", '"ERROR"'),
        ("logs", "FILTER", "logs_filter", '" 4"'),
        ("logs", "FILTER", "logs_filter", '{ $.level = "ERROR" }'),
        ("logs", "SINCE", "logs_since", TEXT),
        ("logs", "FOLLOW", "logs_follow", TEXT),
        ("drill", "DRILL", "drill_name", TEXT),
        ("adopt", "DIR", "app_adoption_directory", TEXT),
        ("adopt", "NAME", "app_adoption_name", TEXT),
        ("adopt", "APP", "app_adoption_entry", TEXT),
        ("adopt", "OVERWRITE", "app_adoption_overwrite", TEXT),
        ("adopt", "WRITE", "app_adoption_edit", "1"),
        ("new-app", "NAME", "app_adoption_name", TEXT),
        ("new-app", "DIR", "app_adoption_directory", TEXT),
        ("new-env", "NAME", "environment_folder_name", TEXT),
        ("new-env", "FROM", "environment_folder_from", TEXT),
        ("new-env", "REGION", "environment_folder_region", TEXT),
        ("new-env", "ACCOUNT", "environment_folder_account_id", TEXT),
        ("new-env", "ZONES", "environment_folder_zones", TEXT),
        ("zone-away", "ZONE", "zone_away_zone", TEXT),
        ("release", "STRATEGY", "release_strategy", TEXT),
        ("zone-away", "CANCEL", "zone_away_cancel", TEXT),
    ],
)
def test_text_of_the_user_reaches_ansible_byte_for_byte(
    tree: Tree, verb: str, name: str, variable: str, text: str
) -> None:
    made = tree.make(verb, f"{name}={text}")
    assert made.code == 0, made.errors
    assert made.call
    assert made.call.text(variable) == text
    assert not list(tree.path.glob("pwned"))


def test_what_is_not_given_is_not_passed(tree: Tree) -> None:
    """Some shells have a NAME; a prompt asks for what is not given."""
    made = tree.make("new-env", NAME="WINDOWS-PC", ACCOUNT="home")
    assert made.call
    assert made.call.arguments == ["-i", "inventory/local", "playbooks/new_env.yml"]


def play(tree: Tree, *tasks: dict[str, Any]) -> None:
    """What `make run` is in this checkout: these tasks, by Ansible itself."""
    (tree.path / "playbooks").mkdir(parents=True)
    (tree.path / "playbooks/run.yml").write_text(
        json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}])
    )


def note(text: str, path: Path) -> dict[str, Any]:
    return {"ansible.builtin.copy": {"content": text, "dest": str(path), "mode": "0600"}}


OWN_PYTHON = ("-o", f"{sys.prefix}/.ready", f"VENV={sys.prefix}")


def test_ansible_reads_it_as_text(tmp_path: Path) -> None:
    """What looks like Jinja, YAML or JSON is neither."""
    tree = Tree(tmp_path / "checkout")
    play(tree, note("{{ command }}", tmp_path / "command"))
    text = f"{{'a': 1}} {TEXT}\n- b"
    made = tree.make("run", *OWN_PYTHON, f"CMD={text}")
    assert made.code == 0, made.output
    assert (tmp_path / "command").read_text() == text


def test_ansible_has_the_projects_configuration_whatever_home_and_folder_are(tmp_path: Path) -> None:
    """A world-writable checkout, a home that has an old collection, a shell that names other files."""
    tree = Tree(tmp_path / "checkout")
    shutil.copy(REPOSITORY / "ansible.cfg", tree.path)
    tree.path.chmod(0o777)
    (tree.path / "empty.cfg").touch()
    home = tmp_path / "home"
    old = home / ".ansible/collections/ansible_collections/community/general/plugins/modules/terraform.py"
    old.parent.mkdir(parents=True)
    old.write_text("raise SystemExit('an old collection')\n")
    before = sorted(home.rglob("*"))
    needs_path = {
        "community.general.terraform": {},
        "register": "terraform",
        "failed_when": "'missing required arguments: project_path' not in terraform.msg",
    }
    roles = "{{ lookup('ansible.builtin.config', 'DEFAULT_ROLES_PATH') | first }}"
    play(tree, needs_path, note(roles, tmp_path / "roles"))
    made = tree.make("run", *OWN_PYTHON, HOME=str(home), **STRANGER | {"ANSIBLE_STDOUT_CALLBACK": "default"})
    assert made.code == 0, made.output
    assert (tmp_path / "roles").read_text() == f"{tree.path}/roles"
    assert sorted(home.rglob("*")) == before


def test_arguments_are_words_and_nothing_in_them_is_run(tree: Tree) -> None:
    arguments = (
        """-e '{"why": "checkout \\"fails\\"; it is $HOME"}' -e "a=b c" --tags=$(touch pwned) -v `touch pwned` *"""
    )
    made = tree.make("rollback", "CHECK=1", f"ARGS={arguments}")
    assert made.call
    assert made.call.arguments == [
        *("-i", "inventory/local", "--check", "playbooks/rollback.yml"),
        *("-e", '{"why": "checkout \\"fails\\"; it is $HOME"}', "-e", "a=b c"),
        *("--tags=$(touch", "pwned)", "-v", "`touch", "pwned`", "*"),
    ]
    assert not list(tree.path.glob("pwned"))


def test_arguments_with_an_open_quote_are_refused_in_one_sentence(tree: Tree) -> None:
    made = tree.make("rollback", "ARGS=-e 'why=it")
    assert made.call is None
    assert made.code != 0
    assert made.errors.startswith("ARGS: No closing quotation. Next: ")
    assert "Traceback" not in made.errors


@pytest.mark.parametrize("name", ["%", "sta%", "local staging", "$(HOME)", "no$HOME", "none"])
def test_an_environment_that_there_is_not_is_refused(tree: Tree, name: str) -> None:
    made = tree.make("deploy", f"ENV={name}")
    assert made.call is None
    assert made.code != 0


def test_a_colon_in_the_path_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "a:b")
    (tree.path / ".venv/.ready").unlink()
    before = sorted(tree.path.rglob("*"))
    made = tree.make("venv")
    assert made.code != 0
    assert "has a colon" in made.errors.splitlines()[0]
    assert sorted(tree.path.rglob("*")) == before


def test_a_path_of_which_ansible_would_expand_a_part_is_refused(tmp_path: Path) -> None:
    made = Tree(tmp_path / "a $HOME b").make("status")
    assert made.call is None
    assert "Ansible would expand a part of the path" in made.errors


def python_that_makes_a_folder(programs: Path) -> Path:
    """A folder with a Python that makes a folder, and in it a Python and a uv that only note how they were called.

    Like Python, it keeps bytecode where PYTHONPYCACHEPREFIX says unless it is isolated. With EMPTY=1 pip and uv have
    downloaded nothing before.
    """
    programs.mkdir()
    (programs / "stub").write_text(
        '#!/bin/sh\necho "$@" >> calls\ncase "$EMPTY $*" in\n'
        '  "1 "*" download "*) touch downloaded ;;\n'
        '  "1 "*--no-index*) test -e downloaded ;;\n'
        '  "1 "*requirements.txt*--offline) exit 1 ;;\nesac\n'
    )
    (programs / "python3").write_text(
        '#!/bin/sh\ncase $1 in -I*) ;; *) mkdir -p "$PYTHONPYCACHEPREFIX" ;; esac\n'
        '[ "$2" = venv ] || exit 0\necho "$@" > made\nmkdir -p "$4/bin"\n'
        f'cp {programs}/stub "$4/bin/uv"\ncp {programs}/stub "$4/bin/python"\n'
    )
    for name in ("python3", "stub"):
        (programs / name).chmod(stat.S_IRWXU)
    return programs


def test_the_python_environment_is_made_in_a_folder_that_is_new(tree: Tree, tmp_path: Path) -> None:
    programs = python_that_makes_a_folder(tmp_path / "programs")
    made = tree.make("venv", f"VENV={tmp_path}/other", PATH=f"{programs}:{os.environ['PATH']}")
    assert made.code == 0, made.errors
    assert (tmp_path / "other/.ready").exists()


@pytest.mark.parametrize(("empty", "times"), [("", 0), ("1", 2)])
def test_packages_are_downloaded_once(tree: Tree, tmp_path: Path, empty: str, times: int) -> None:
    """A rollback must not depend on the package index: the cache of its workflow has them."""
    programs = python_that_makes_a_folder(tmp_path / "programs")
    calls = tree.path / "calls"
    calls.unlink(missing_ok=True)
    made = tree.make("venv", f"VENV={tmp_path}/new", EMPTY=empty, PATH=f"{programs}:{os.environ['PATH']}")
    assert made.code == 0, made.errors
    installs = [line for line in calls.read_text().splitlines() if " install " in line or " download " in line]
    assert len([line for line in installs if "--no-index" not in line and "--offline" not in line]) == times


@pytest.mark.parametrize("name", ["field trial", "it's", "a(b", "a$b", "a;b&c"])
def test_the_python_environment_is_made_in_the_checkout_and_nothing_beside_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "field").mkdir()
    (tmp_path / "field/file").touch()
    tree = Tree(tmp_path / name / "checkout")
    (tree.path / ".venv/.ready").unlink()
    programs = python_that_makes_a_folder(tmp_path / "programs")
    (tree.path / ".venv/bin/python").unlink()
    made = tree.make("venv", PATH=f"{programs}:{os.environ['PATH']}", HOME="/nonexistent")
    assert made.code == 0, made.errors
    assert (tree.path / "made").read_text() == "-m venv --clear .venv\n"
    assert (tree.path / "calls").read_text().splitlines()[-1].endswith("--editable .")
    assert (tree.path / ".venv/.ready").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["field", name, "programs"])
    assert (tmp_path / "field/file").exists()


def test_a_folder_that_is_no_python_environment_is_not_emptied(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    made = tree.make("venv", f"VENV={tmp_path}")
    assert made.code != 0
    assert "is no Python environment" in made.errors
    assert (tmp_path / "file").exists()


def test_an_environment_that_is_a_link_is_not_emptied(tree: Tree, tmp_path: Path) -> None:
    environment, link = tmp_path / "environment", tmp_path / "link"
    environment.mkdir()
    (environment / "pyvenv.cfg").touch()
    link.symlink_to(environment)
    made = tree.make("venv", f"VENV={link}")
    assert made.code != 0
    assert "is a link" in made.errors
    assert (environment / "pyvenv.cfg").exists()


@pytest.mark.parametrize("verb", ["status", "settings"])
def test_json_stands_alone_on_standard_output(tree: Tree, verb: str) -> None:
    (tree.path / f".local/staging/{verb}.json").write_text(f'{{"of": "{verb}"}}\n')
    made = tree.make(verb, "ENV=staging", "FORMAT=json")
    assert (made.code, made.output) == (0, f'{{"of": "{verb}"}}\n')
    assert made.call
    assert made.call.arguments == ["-i", "inventory/staging", f"playbooks/{verb}.yml", "-e", f"{verb}_format=json"]
    made = tree.make(verb, "ENV=staging")
    assert made.call
    assert made.call.arguments == ["-i", "inventory/staging", f"playbooks/{verb}.yml"]


def test_the_raw_log_stands_alone_on_standard_output(tree: Tree) -> None:
    program = tree.path / ".venv/bin/ansible-playbook"
    program.write_text("#!/bin/sh\necho for a person; for last; do :; done; echo '{}' >> \"${last#*=}\"\n")
    assert tree.make("logs", "RAW=1").output == "{}\n"


def verbs_of_the_help() -> list[str]:
    done = subprocess.run(["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  make ")]


def test_without_a_python_environment_the_doctor_says_only_that(tree: Tree, tmp_path: Path) -> None:
    program = tmp_path / "python"
    # As Debian's without python3-venv.
    program.write_text("#!/bin/sh\ncase $* in *venv*) echo no ensurepip >&2; exit 1;; *ensurepip*) exit 1;; esac\n")
    program.chmod(0o755)
    made = tree.make("doctor", f"PYTHON={program}", f"VENV={tmp_path}/venv")
    assert made.code
    assert made.call is None
    *_, reason, told, _ = made.errors.splitlines()
    assert reason == "no ensurepip"
    assert told.startswith("One problem, and everything else needs this: the Python environment cannot be made")
    assert told.endswith("Next: sudo apt-get install python3-venv, then make doctor")


def test_every_verb_of_the_help_has_a_recipe_that_can_be_read() -> None:
    """make reads a line of its file as a recipe even when a quote in it is left open."""
    for verb in verbs_of_the_help():
        script = subprocess.run(["make", "-n", verb], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
        subprocess.run(["bash", "-n", "-c", script], check=True)


def test_the_help_has_each_verb_once_on_one_short_line_below_its_purpose(tree: Tree) -> None:
    helped = tree.make("help")
    goals = re.search(r"(?m)^VERBS := (.*)$", (REPOSITORY / "Makefile").read_text())
    assert goals
    assert sorted(verbs_of_the_help()) == sorted(goals[1].split())
    purposes = [part.splitlines()[0] for part in helped.output.split("\n\n")]
    assert purposes[1:-1] == ["Every day", "Incident", "Once", "This machine", "Development"]
    verbs = [line for line in helped.output.splitlines() if line.startswith("  make ")]
    assert max(map(len, verbs)) <= 100
    assert not any(line.endswith(".") for line in verbs)


@pytest.mark.parametrize(("typed", "nearest"), [("deplyo", "deploy"), ("rollbck", "rollback"), ("xyzzy", "help")])
def test_an_unknown_verb_gets_the_nearest_one(tree: Tree, typed: str, nearest: str) -> None:
    made = tree.make(typed)
    assert made.code == 2
    assert f'There is no verb "{typed}". Nothing was done. Next: make {nearest}\n' in made.errors
    assert made.call is None
