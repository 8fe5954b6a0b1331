"""Packages, locks and the Python of a project."""

from __future__ import annotations

import pytest

from fargate_ops.adopt.project import Project
from fargate_ops.adopt.requirements import declared_entry, project_name, requirements
from tests.unit.adopt.projects import HASHED

PROJECT = """\
[project]
name = "shop"
requires-python = ">=3.11"
dependencies = ["fastapi[standard]>=0.1", "Psycopg_Binary"]
"""
POETRY = """\
[tool.poetry]
name = "till"
[tool.poetry.dependencies]
python = "^3.9"
fastapi = "^0.79"
uvicorn = {extras = ["standard"], version = "*"}
[tool.fastapi]
entrypoint = "till.main:app"
"""


def test_a_pyproject() -> None:
    project = Project.of({"pyproject.toml": PROJECT, "uv.lock": '[[package]]\nname = "h11"\n'})
    found = requirements(project)
    assert found.extras == {"fastapi": {"standard"}, "psycopg-binary": set()}
    assert found.has("h11")
    assert not found.has("gunicorn")
    assert (found.lock, found.source, found.python) == ("", "uv.lock", ">=3.11")
    assert (project_name(project), declared_entry(project)) == ("shop", "")


def test_a_project_of_poetry() -> None:
    project = Project.of({"pyproject.toml": POETRY})
    found = requirements(project)
    assert found.extras == {"fastapi": set(), "uvicorn": {"standard"}}
    assert found.python == ">=3.9,<4"
    assert (project_name(project), declared_entry(project)) == ("till", "till.main:app")


def test_requirement_files() -> None:
    text = "# why\n-r base.txt\nfastapi[all] ; python_version > '3'\nhttps://x/y.whl\nuvicorn  # the server\n"
    found = requirements(Project.of({"requirements.txt": text, "requirements-dev.txt": "pytest\n"}))
    assert found.extras == {"fastapi": {"all"}, "uvicorn": set()}
    assert (found.lock, found.source) == ("", "requirements.txt")


@pytest.mark.parametrize(
    ("files", "lock"),
    [
        ({"requirements.txt": HASHED}, "requirements.txt"),
        ({"requirements.txt": "fastapi\n", "requirements.lock": HASHED}, "requirements.lock"),
        ({"requirements.txt": HASHED + "idna==3\n"}, ""),
        ({"requirements.txt": "fastapi==1\n"}, ""),
        ({"requirements.txt": "# nothing\n"}, ""),
        ({"requirements/prod.txt": HASHED}, ""),
        ({"requirements-dev.txt": HASHED}, ""),
    ],
)
def test_a_lock_has_a_version_and_a_hash_of_each_package(files: dict[str, str], lock: str) -> None:
    assert requirements(Project.of(files)).lock == lock


COMPILE = "uv pip compile --quiet --only-binary :all: --python-version 3.13 --generate-hashes"


@pytest.mark.parametrize(
    ("files", "command"),
    [
        (
            {"pyproject.toml": PROJECT},
            f"{COMPILE} pyproject.toml --output-file requirements.txt",
        ),
        (
            {"requirements.txt": "fastapi\n"},
            f"{COMPILE} requirements.txt --output-file requirements.lock",
        ),
        (
            {"pyproject.toml": PROJECT, "uv.lock": ""},
            "uv export --quiet --frozen --format requirements-txt --no-dev --no-emit-project | "
            f"{COMPILE} --no-deps - --output-file requirements.txt",
        ),
        (
            {"pyproject.toml": POETRY, "poetry.lock": ""},
            "uv tool run --from poetry --with poetry-plugin-export poetry export --format requirements.txt | "
            f"{COMPILE} --no-deps - --output-file requirements.txt",
        ),
    ],
)
def test_the_command_that_makes_a_lock(files: dict[str, str], command: str) -> None:
    found = requirements(Project.of(files))
    assert found.lock_command("3.13") == command
    assert command.endswith(found.lock_to_be)


def test_the_lock_of_a_workspace() -> None:
    above = {"uv.lock": '[[package]]\nname = "h11"\n', "Dockerfile": "FROM a\n"}
    found = requirements(Project.of({"pyproject.toml": PROJECT}), above)
    assert found.source == "uv.lock"
    assert found.has("h11")


def test_packages_of_a_lock_that_a_controller_with_another_python_leaves_out() -> None:
    hashed = "--hash=sha256:00\n"
    lock = (
        f"fastapi==1 {hashed}audioop-lts==1 ; python_version >= '3.13' {hashed}"
        f"tomli==1 ; python_version < '3.11' {hashed}"
        f"colorama==1 ; sys_platform == 'win32' {hashed}"
    )
    found = requirements(Project.of({"requirements.txt": lock}))
    assert found.lock == "requirements.txt"
    assert found.left_out("3.13") == ["audioop-lts"]
    assert found.left_out("3.12") == []


@pytest.mark.parametrize(
    ("files", "takes"),
    [
        ({}, True),
        ({"pyproject.toml": "[project]\nrequires-python = '>=3.14'\n"}, False),
        ({"pyproject.toml": "[project]\nrequires-python = 'whatever'\n"}, True),
        ({"pyproject.toml": "[project\n"}, True),
        ({".python-version": "3.12.4\n"}, False),
        ({".python-version": "3.13\n"}, True),
    ],
)
def test_the_python_that_a_project_takes(files: dict[str, str], takes: bool) -> None:
    assert requirements(Project.of(files)).takes_python("3.13") is takes
