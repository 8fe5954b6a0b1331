"""Adopting whole projects: what is said, what is written, and what is refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from fargate_ops.adopt.adoption import (
    Adoption,
    Repository,
    Request,
    adopt,
    create,
    with_lock,
    with_revision,
    without_revision,
    write,
)
from fargate_ops.adopt.points import Verdict
from fargate_ops.core.problem import OperationsError, ProblemError
from tests.unit.adopt.conftest import Make, without
from tests.unit.adopt.projects import HASHED, HASHED_WITH_LIBRARY, IN_SRC, REFERENCE, SHARED, SMALL, TEMPLATE
from tests.unit.image.conftest import commit, git

PROJECT = Path(__file__).parents[3]
PYTHON = sys.executable


def settings(repository: Repository) -> dict[str, Any]:
    return dict(yaml.safe_load(repository.shared.read_text()))


def verdicts(adoption: Adoption) -> dict[str, str]:
    return {f"{point.group}, {point.subject}": str(point.verdict) for point in adoption.inspection.points}


def reason(adoption: Adoption, subject: str) -> str:
    (found,) = (point.reason for point in adoption.inspection.points if point.subject == subject)
    return found


def adopted(folder: Path, repository: Repository, **given: Any) -> Adoption:
    adoption = adopt(Request(str(folder), **given), repository)
    write(adoption)
    return adoption


def test_the_full_stack_template(checkout: Make, repository: Repository) -> None:
    folder = checkout("shop", TEMPLATE)
    adoption = adopted(folder, repository)
    assert verdicts(adoption) == {
        "application, FastAPI object": "OK",
        "routes, health": "OK",
        "routes, readiness": "optional",
        "routes, version": "optional",
        "packages, Python": "OK",
        "packages, lock": "TO DO",
        "image, build": "TO DO",
        "image, syntax": "TO DO",
        "image, library": "TO DO",
        "image, certificates": "TO DO",
        "image, base": "optional",
        "image, commit": "optional",
        "image, user": "TO DO",
        "image, /tmp": "TO DO",
        "image, keep-alive": "TO DO",
        "image, workers": "optional",
        "database, driver": "OK",
        "database, connection": "TO DO",
        "database, errors": "TO DO",
        "database, migrations": "OK",
        "database, admin command": "OK",
        "database, schema file": "optional",
        "database, load file": "optional",
        "environment, variables": "TO DO",
        "environment, logs": "optional",
    }
    assert reason(adoption, "FastAPI object") == "app.main:app (app/main.py:9)"
    assert reason(adoption, "driver") == "psycopg, synchronous, with sqlmodel"
    assert reason(adoption, "migrations").startswith("Alembic, head 1a31ce608336;")
    assert reason(adoption, "variables") == "it does not start without PROJECT_NAME"
    report = adoption.report(preview=False)
    assert adoption.inspection.lock_command.startswith("uv export --quiet --frozen --format requirements-txt")
    assert 'POSTGRES_SERVER: str = Field(validation_alias=AliasChoices("DATABASE_HOST", "POSTGRES_SERVER"))' in report
    assert f"{folder}/backend/Dockerfile:5" in report
    assert adoption.next_command.startswith(f"make adopt DIR={folder}/backend WRITE=1, which ")
    assert settings(repository) == yaml.safe_load(SHARED) | {
        "app_name": "shop",
        "app_source_dir": f"{folder}/backend",
        "app_health_path": "/api/v1/utils/health-check/",
        "app_ready_path": "",
        "app_version_path": "",
        "app_admin_command": ["python", "-m", "app.admin"],
        "app_schema_file": "",
        "app_locks": ["requirements.txt"],
        "database_name": "shop",
    }
    assert git(folder, "status", "--porcelain") == "?? backend/app/admin.py"


def test_a_project_without_a_dockerfile_gets_one_that_meets_the_contract(
    checkout: Make, repository: Repository
) -> None:
    folder = checkout("orders", SMALL | {"requirements.txt": HASHED})
    adoption = adopted(folder, repository)
    assert [point for point in adoption.inspection.points if point.verdict is Verdict.TO_DO] == []
    assert sorted(path.name for path in adoption.files) == [
        ".dockerignore",
        "Dockerfile",
        "requirements-build.txt",
        "shared.yml",
    ]
    dockerfile = (folder / "Dockerfile").read_text()
    assert 'CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"' in dockerfile
    assert "rds" not in dockerfile.replace("rm -rf wheels rds-ca.pem", "")
    assert settings(repository) | {
        "app_name": "orders",
        "app_database": False,
        "app_health_path": "/health",
    } == settings(repository)
    assert settings(repository)["database_name"] == "storefront", "it has no effect"


WITH_DATABASE = SMALL | {
    "requirements.txt": "fastapi\nuvicorn\nsqlalchemy[asyncio]\nasyncpg\n",
    "db.py": (
        "import os\nfrom sqlalchemy.ext.asyncio import create_async_engine\n"
        "engine = create_async_engine(os.environ['DATABASE_HOST'])\n"
        "async def create(metadata):\n"
        "    async with engine.begin() as connection:\n        await connection.run_sync(metadata.create_all)\n"
    ),
}


def to_do(adoption: Adoption) -> dict[str, str]:
    """Return what is to be done by subject."""
    return {point.subject: point.next_step for point in adoption.inspection.points if point.verdict is Verdict.TO_DO}


def test_what_the_first_run_asks_for_is_all(checkout: Make, repository: Repository) -> None:
    folder = checkout("orders", WITH_DATABASE)
    first = adopted(folder, repository)
    steps = to_do(first)
    assert steps.keys() == {"lock", "connection", "errors", "migrations"}
    assert "--extra database --extra psycopg " in first.inspection.lock_command, "the admin command needs it"
    assert 'python3 "$@" fargate-app' in (folder / "Dockerfile").read_text()
    assert "-m admin schema > schema.json" in (folder / "Dockerfile").read_text()
    again = adopted(folder, repository)
    assert to_do(again) == steps
    (folder / "migrations/versions").mkdir(parents=True)
    (folder / "migrations/versions/0001_tables.py").write_text('revision = "0001"\ndown_revision = None\n')
    (folder / "requirements.lock").write_text(HASHED_WITH_LIBRARY + "psycopg==3.3 --hash=sha256:03\n")
    adopted(folder, repository, edit=True)
    last = adopt(Request(str(folder)), repository)
    assert (to_do(last), last.kept, last.files) == ({}, {}, {})
    assert settings(repository)["app_admin_command"] == ["python", "-m", "admin"]
    assert settings(repository)["app_schema_file"] == "srv/schema.json"
    assert reason(last, "migrations").startswith("Alembic, head 0001;")


def test_an_admin_command_that_is_missing_is_written(checkout: Make, repository: Repository) -> None:
    folder = checkout("shop", TEMPLATE)
    adoption = adopted(folder, repository)
    text = (folder / "backend/app/admin.py").read_text()
    assert 'service = Service(migrations=Path(__file__).parent / "alembic")' in text
    assert reason(adoption, "admin command") == "python -m app.admin"
    assert verdicts(adoption)["image, library"] == "TO DO"
    assert reason(adoption, "health") == "/api/v1/utils/health-check/", "the library's routes are not installed"
    other = TEMPLATE | {"backend/app/admin.py": "print('mine')\n"}
    adopted(checkout("till", other), repository, overwrite=("app_source_dir",))
    assert (folder.parent / "till/backend/app/admin.py").read_text() == "print('mine')\n"
    assert settings(repository)["app_admin_command"] == ["python", "-m", "app.service_admin"]


def test_an_admin_command_of_its_own_needs_no_library(checkout: Make, repository: Repository) -> None:
    folder = checkout("orders", WITH_DATABASE)
    adopted(folder, repository)
    for file in ("Dockerfile", ".dockerignore", "requirements-build.txt", "admin.py"):
        (folder / file).unlink()
    shared = repository.shared.read_text()
    repository.shared.write_text(shared.replace("[python, -m, admin]", "[python, manage.py]"))
    adoption = adopted(folder, repository)
    assert to_do(adoption).keys() == {"lock", "connection", "errors"}
    assert "fargate" not in adoption.inspection.lock_command
    assert not (folder / "admin.py").exists()
    assert "fargate" not in (folder / "Dockerfile").read_text()


def test_what_an_adoption_wrote_is_not_what_a_person_chose(checkout: Make, repository: Repository) -> None:
    folder = checkout("orders", SMALL)
    adopted(folder, repository)
    assert settings(repository)["app_database"] is False
    route = "@app.get('/healthz')\ndef healthz():\n    return {}\n"
    (folder / "main.py").write_text(SMALL["main.py"] + route)
    (folder / "requirements.txt").write_text("fastapi\nuvicorn\npsycopg[binary]\n")
    adoption = adopted(folder, repository)
    assert adoption.kept == {}
    assert (settings(repository)["app_database"], settings(repository)["app_health_path"]) == (True, "/healthz")
    repository.shared.write_text(repository.shared.read_text().replace("/healthz", "/ready"))
    assert adopt(Request(str(folder)), repository).kept == {"app_health_path": "/ready, the application has /healthz"}
    repository.record.unlink()
    text = repository.shared.read_text().replace("/ready #", "/health #")
    repository.shared.write_text(text)
    elsewhere = adopt(Request(str(folder)), repository)
    assert elsewhere.kept.keys() == {"app_health_path"}, "another machine does not know who chose it"


def test_a_change_of_the_application_is_committed_before_it_is_deployed(checkout: Make, repository: Repository) -> None:
    folder = checkout("orders", SMALL | {"requirements.txt": HASHED})
    adopted(folder, repository)
    asked = f"git -C {folder} add . && git -C {folder} commit, then make deploy"
    assert adopt(Request(str(folder)), repository).next_command == asked
    commit(folder, "feat: a Dockerfile")
    assert adopt(Request(str(folder)), repository).next_command == "make deploy"


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that puts a program in the place of uv."""
    program = tmp_path / "bin/uv"
    program.parent.mkdir()
    monkeypatch.setattr(sys, "executable", str(program.parent / "python"))

    def become(script: str) -> None:
        program.write_text(f"#!/bin/bash\n{script}\n")
        program.chmod(0o755)

    return become


MODELS = """\
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase
class Base(DeclarativeBase): pass
class Order(Base):
    __tablename__ = "orders"
    id = sa.Column(sa.Integer, primary_key=True)
"""
#: Has the place of uv: it runs Python with the packages of these tests.
RUNS = 'until [[ $1 == python ]]; do shift; done; [[ $2 != find ]] && exec "$PYTHON_OF_TESTS" "${@:2}"; exit 1'


@pytest.fixture
def with_models(checkout: Make, uv: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An application whose code has to be edited, and a uv that can import it."""
    monkeypatch.setenv("PYTHON_OF_TESTS", PYTHON)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    uv(RUNS)
    engine = "from sqlalchemy import create_engine\nimport os\nengine = create_engine(os.environ['DATABASE_URL'])\n"
    create = "def begin():\n    Base.metadata.create_all(engine)\n"
    return checkout(
        "orders",
        {
            "main.py": f"import fastapi\n{MODELS}{engine}{create}web = fastapi.FastAPI()\n",
            "requirements.txt": "fastapi\n",
            "requirements.lock": HASHED_WITH_LIBRARY + "psycopg2-binary==3.3 --hash=sha256:03\n",
        },
    )


def test_what_is_to_do_in_the_code_is_written_on_request(with_models: Path, repository: Repository) -> None:
    first = adopted(with_models, repository)
    assert git(with_models, "status", "--porcelain", "--", "main.py", "migrations") == ""
    assert first.next_command.startswith(f"make adopt DIR={with_models} WRITE=1, which ")
    request = Request(str(with_models), edit=True)
    plan = adopt(request, repository)
    assert to_do(plan).keys() == {"migrations"}
    names = {str(path.relative_to(with_models)) for path in plan.written(preview=True)}
    assert names == {"main.py", "migrations/versions/0001_tables.py"}
    assert git(with_models, "status", "--porcelain", "--", "main.py", "migrations") == "", "nothing is written yet"
    write(plan)
    done = with_revision(plan, request, repository)
    assert to_do(done) == {}
    assert "op.create_table('orders'" in (with_models / "migrations/versions/0001_tables.py").read_text()
    report = done.report(preview=False)
    assert f"wrote {os.path.relpath(with_models / 'migrations/versions/0001_tables.py')}\n" in report
    assert f"wrote {os.path.relpath(with_models / 'main.py')}\n" in report
    assert done.next_command == f"git -C {with_models} add . && git -C {with_models} commit, then make deploy"
    commit(with_models, "feat: run on the platform")
    again = adopt(request, repository)
    assert (again.files, again.written(preview=True), with_revision(again, request, repository)) == ({}, [], again)


def test_an_application_that_cannot_be_imported_gets_no_migration(with_models: Path, repository: Repository) -> None:
    with (with_models / "main.py").open("a") as main:
        main.write("raise RuntimeError('no token')\n")
    request = Request(str(with_models), edit=True)
    plan = adopt(request, repository)
    write(plan)
    said = r"main cannot be imported: main.py:\d+: RuntimeError no token"
    with pytest.raises(OperationsError, match=said) as raised:
        with_revision(plan, request, repository)
    assert not (with_models / "migrations").exists()
    plan = without_revision(plan, str(raised.value))
    assert plan.what == "orders meets the contract, except for: migrations"
    assert "WRITE=1 could not make it: main cannot be imported: main.py:" in to_do(plan)["migrations"]


@pytest.mark.parametrize("end", [b"\r\n", b"  # \xe9\n"], ids=["CRLF", "latin-1"])
def test_a_file_that_could_not_be_written_back_is_not_edited(
    checkout: Make, repository: Repository, end: bytes
) -> None:
    main = b"from fastapi import FastAPI\napp = FastAPI()\n".replace(b"\n", end)
    folder = checkout("orders", SMALL)
    (folder / "main.py").write_bytes(main)
    adoption = adopted(folder, repository, edit=True)
    assert (folder / "main.py").read_bytes() == main
    assert "health" in to_do(adoption)


def test_a_lock_is_made_again_on_request(checkout: Make, repository: Repository, uv: Callable[[str], None]) -> None:
    folder = checkout("orders", SMALL | {"requirements.lock": HASHED})
    assert adopt(Request(str(folder)), repository).lock is None
    request = Request(str(folder), overwrite=("app_locks",))
    uv("echo > requirements.lock; exit 1")
    with pytest.raises(OperationsError):
        with_lock(adopt(request, repository), request, repository)
    assert (folder / "requirements.lock").read_text() == HASHED
    uv("true")
    assert with_lock(adopt(request, repository), request, repository).made == ()
    uv('echo "# $UV_CUSTOM_COMPILE_COMMAND" >> requirements.lock')
    assert with_lock(adopt(request, repository), request, repository).made == (folder / "requirements.lock",)
    first = "make adopt DIR=... OVERWRITE=app_locks"
    assert (folder / "requirements.lock").read_text().endswith(f"# {first}\n"), "no path of this machine"


def test_a_missing_lock_is_made(checkout: Make, repository: Repository, uv: Callable[[str], None]) -> None:
    folder = checkout("orders", SMALL)
    request = Request(str(folder))
    first = adopt(request, repository)
    assert f"would write {os.path.relpath(folder / 'requirements.lock')}\n" in first.report(preview=True)
    uv("touch requirements.lock; echo warning: old >&2; echo error: no such version >&2; echo more >&2; exit 1")
    with pytest.raises(OperationsError, match="error: no such version"):
        with_lock(first, request, repository)
    assert not (folder / "requirements.lock").exists()
    assert f"wrote {os.path.relpath(folder / 'requirements.lock')}\n" not in first.report(preview=False)
    expected = "pip compile '*' requirements.txt --output-file requirements.lock"
    uv(f"[[ $* == '{expected}' ]] && echo '{HASHED}' > ${{@: -1}}")
    adoption = with_lock(first, request, repository)
    write(adoption)
    assert to_do(adoption) == {}
    assert f"wrote {os.path.relpath(folder / 'requirements.lock')}\n" in adoption.report(preview=False)
    assert "--requirement requirements.lock" in (folder / "Dockerfile").read_text()
    commit(folder, "feat: a lock")
    again = adopt(request, repository)
    assert with_lock(again, request, repository) is again


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": "[project]\ndependencies = ['fastapi']\n", "requirements.txt": "uvicorn\n", "uv.lock": ""},
        {"requirements.txt": "fastapi\npsycopg\n"},
        {"requirements.txt": "fastapi\n", ".python-version": "3.9\n"},
        {"requirements.txt": HASHED},
    ],
    ids=["in the place of a file", "another driver first", "another Python first", "one is there"],
)
def test_no_lock_is_made(checkout: Make, repository: Repository, files: Mapping[str, str]) -> None:
    assert adopt(Request(str(checkout("orders", SMALL | files))), repository).lock is None


def test_no_lock_is_made_of_packages_that_are_not_listed(checkout: Make, repository: Repository) -> None:
    folder = checkout("orders", {"main.py": SMALL["main.py"]})
    assert adopt(Request(str(folder)), repository).lock is None


def test_what_the_application_gets_later_is_taken(checkout: Make, repository: Repository) -> None:
    dockerfile = "FROM python:3.13\nCMD uvicorn main:app\n"
    folder = checkout("orders", SMALL | {"requirements.lock": HASHED, "Dockerfile": dockerfile})
    adopted(folder, repository)
    assert settings(repository)["app_version_path"] == ""
    assert settings(repository)["app_locks"] == ["requirements.lock"]
    route = "@app.get('/version')\ndef version():\n    return {'git_hash': ''}\n"
    (folder / "main.py").write_text(SMALL["main.py"] + route)
    (folder / "Dockerfile").rename(folder / "Dockerfile.old")
    adoption = adopted(folder, repository)
    assert adoption.kept == {}
    assert settings(repository)["app_version_path"] == "/version"
    assert settings(repository)["app_locks"] == ["requirements.lock", "requirements-build.txt"]


def test_comments_and_order_of_the_inventory_stay(checkout: Make, repository: Repository) -> None:
    adopted(checkout("orders", SMALL), repository)
    text = repository.shared.read_text()
    for old, new in (
        ("app_name: storefront", "app_name: orders"),
        ("/healthz # answers", "/health # answers"),
        ("/readyz", "/ready"),
        ("app_version_path: /version", 'app_version_path: ""'),
        ("[python, -m, storefront.admin] # []", "[] # []"),
        ("app_schema_file: srv/storefront/schema.json", 'app_schema_file: ""'),
        ("app_locks: [requirements.txt, ", "app_locks: [requirements.lock, "),
        ("app_database: true", "app_database: false"),
        ('"{{ project_dir }}/app/api" #', f"{repository.project.parent}/orders #"),
    ):
        assert text.count(new) == 1, new
        text = text.replace(new, old)
    assert text == SHARED


@pytest.mark.parametrize("files", [TEMPLATE, SMALL, REFERENCE], ids=["template", "small", "reference"])
def test_a_second_run_changes_nothing(checkout: Make, repository: Repository, files: Mapping[str, str]) -> None:
    folder = checkout("orders", files)
    first = adopted(folder, repository)
    assert first.files
    second = adopt(Request(str(folder)), repository)
    assert second.files == {}
    assert second.kept == {}
    assert second.inspection == replace(first.inspection, has_dockerfile=True)


def test_the_reference_application_has_its_values_already(repository: Repository) -> None:
    adoption = adopt(Request(str(repository.reference)), repository)
    assert adoption.files == {}
    assert adoption.kept == {}
    assert set(verdicts(adoption).values()) == {"OK"}
    assert adoption.next_command == "make deploy"


def test_nothing_is_written_before_it_is_asked_for(checkout: Make, repository: Repository) -> None:
    folder = checkout("orders", SMALL)
    report = adopt(Request(str(folder)), repository).report(preview=True)
    assert "would write" in report
    assert "  app_name: storefront → orders" in report
    assert repository.shared.read_text() == SHARED
    assert sorted(path.name for path in folder.iterdir()) == [".git", "main.py", "requirements.txt"]


def test_a_value_that_somebody_set_stays_unless_it_is_named(checkout: Make, repository: Repository) -> None:
    repository.shared.write_text(SHARED.replace("/healthz", "/alive").replace("app_name: storefront", "app_name: till"))
    folder = checkout("orders", SMALL)
    adoption = adopted(folder, repository)
    assert adoption.kept == {"app_health_path": "/alive, the application has /health"}
    assert f"make adopt DIR={folder} OVERWRITE=app_health_path" in adoption.report(preview=False)
    assert settings(repository)["app_health_path"] == "/alive"
    assert settings(repository)["app_name"] == "till"
    adopted(folder, repository, overwrite=("app_health_path",))
    assert settings(repository)["app_health_path"] == "/health"
    adopted(folder, repository, name="orders")
    assert settings(repository)["app_name"] == "orders"


def test_a_value_that_is_set_counts_for_what_is_not_found(checkout: Make, repository: Repository) -> None:
    folder = checkout("shop", TEMPLATE | {"backend/app/api/routes/utils.py": "router = None\n"})
    first = adopted(folder, repository)
    assert verdicts(first)["routes, health"] == "TO DO"
    assert settings(repository)["app_health_path"] == "/healthz"
    text = repository.shared.read_text()
    for old, new in (
        ("/healthz", "/up"),
        ('_path: ""', "_path: /own"),
        ("[python, -m, app.admin] #", "[python, admin.py] #"),
        ("8000", "9000"),
    ):
        text = text.replace(old, new)
    repository.shared.write_text(text)
    (folder / "backend/app/admin.py").unlink()
    second = adopted(folder, repository)
    assert (second.files, second.kept) == ({}, {})
    found = verdicts(second)
    subjects = ("routes, health", "routes, readiness", "routes, version", "database, admin command")
    assert {found[subject] for subject in subjects} == {"OK"}
    text = text.replace("app_database: true", "app_database: false")
    repository.shared.write_text(text)
    third = adopt(Request(str(folder)), repository)
    assert third.kept == {}
    assert reason(third, "database").startswith("the inventory has none")


def test_a_variable_that_an_environment_sets_is_none_to_do(checkout: Make, repository: Repository) -> None:
    folder = checkout("shop", TEMPLATE)
    app = repository.inventory / "local/group_vars/all/app.yml"
    app.write_text("---\napp_environment:\n  LOG_LEVEL: INFO\napp_secrets: {PROJECT_NAME: username}\n")
    assert verdicts(adopt(Request(str(folder)), repository))["environment, variables"] == "OK"


def test_a_value_that_is_set_for_another_application_does_not(checkout: Make, repository: Repository) -> None:
    adopted(checkout("orders", SMALL), repository)
    folder = checkout("till", {"main.py": "from fastapi import FastAPI\napp = FastAPI()\n"})
    shared = repository.shared.read_text()
    with pytest.raises(ProblemError, match=r"has another application: .*/orders\. A checkout deploys one\.") as refused:
        adopt(Request(str(folder)), repository)
    assert f"make adopt DIR={folder} OVERWRITE=app_source_dir" in str(refused.value)
    assert repository.shared.read_text() == shared
    repository.shared.write_text(shared.replace("8000", "9000"))
    adoption = adopted(folder, repository, overwrite=("app_source_dir",))
    assert verdicts(adoption)["routes, health"] == "TO DO"
    assert adoption.kept == {"app_port": "9000, the application has 8000"}
    assert (settings(repository)["app_name"], settings(repository)["app_health_path"]) == ("till", "/healthz")


def test_without_the_reference_application_every_value_counts_as_set(checkout: Make, repository: Repository) -> None:
    without(repository.project, "app")
    adoption = adopted(checkout("orders", SMALL), repository)
    assert repository.shared not in adoption.files
    assert len(adoption.kept) > 5


def test_a_relative_folder_stays_relative(
    checkout: Make, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout("orders", SMALL)
    monkeypatch.chdir(repository.project)
    write(adopt(Request("../orders"), repository))
    assert settings(repository)["app_source_dir"] == "{{ project_dir }}/../orders"


def test_the_name_is_the_projects_or_its_folders(checkout: Make, repository: Repository) -> None:
    folder = checkout("orders", SMALL | {"pyproject.toml": '[project]\nname = "Point_of Sale"\n'})
    assert adopt(Request(str(folder)), repository).name == "point-of-sale"
    (folder / "pyproject.toml").write_text('[project]\nname = "backend"\n')
    assert adopt(Request(str(folder)), repository).name == "orders"
    folder = checkout("till", {f"backend/{path}": text for path, text in SMALL.items()})
    assert adopt(Request(f"{folder}/backend"), repository).name == "till"
    folder = checkout("app", {f"bookshelf/{path}" if path == "main.py" else path: text for path, text in SMALL.items()})
    assert adopt(Request(str(folder)), repository).name == "bookshelf"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Orders", "lower-case letters"),
        ("orders-", "lower-case letters"),
        ("1st", "a letter first"),
        ("a-very-long-name-indeed", "With the environment production it may have 17"),
    ],
)
def test_a_name_that_the_inventory_refuses_is_refused(
    checkout: Make, repository: Repository, name: str, said: str
) -> None:
    folder = checkout("orders", SMALL)
    for plan in (adopt, create):
        with pytest.raises(ProblemError, match=said):
            plan(Request(str(folder), name=name), repository)


def test_a_folder_without_a_version_is_refused(checkout: Make, repository: Repository, tmp_path: Path) -> None:
    def refused(folder: Path) -> str:
        with pytest.raises(ProblemError) as caught:
            adopt(Request(str(folder)), repository)
        return str(caught.value)

    with pytest.raises(ProblemError, match="folder is not given"):
        adopt(Request(""), repository)
    assert f"{tmp_path}/none is no folder" in refused(tmp_path / "none")
    (tmp_path / "plain").mkdir()
    assert "is not in a git repository" in (said := refused(tmp_path / "plain"))
    assert f"git init {tmp_path}/plain" in said
    assert f"{tmp_path}/plain/file is a file" in refused(_file(tmp_path / "plain/file"))
    git(tmp_path, "init", "--quiet", "new")
    _file(tmp_path / "new/main.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    assert "has no commit" in (said := refused(tmp_path / "new"))
    assert f"git -C {tmp_path}/new add --all && git -C {tmp_path}/new commit" in said
    folder = checkout("orders", SMALL)
    _file(folder / "inner/main.py")
    assert "inner has no commit" in refused(folder / "inner")


def _file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_a_new_application_meets_the_contract(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository.project)
    request = Request("app/orders", name="orders")
    adoption = create(request, repository)
    assert not (repository.project / "app/orders").exists()
    write(adoption)
    assert set(verdicts(adoption).values()) == {"OK"}
    assert settings(repository) == yaml.safe_load(SHARED) | {
        "app_name": "orders",
        "app_source_dir": "{{ project_dir }}/app/orders",
        "app_admin_command": [],
        "app_schema_file": "",
        "app_database": False,
    }
    lines = [line for line in (repository.project / "app/orders/app/main.py").read_text().splitlines() if line.strip()]
    assert len(lines) < 15
    assert "git -C app/orders add ." in adoption.next_command
    with pytest.raises(ProblemError, match="There is app/orders already"):
        create(request, repository)
    commit(repository.project, "feat: orders")
    assert adopt(request, repository).files == {}


def test_a_new_application_is_in_a_git_repository(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="is not in a git repository"):
        create(Request(str(tmp_path / "plain/orders"), name="orders"), repository)
    assert not (tmp_path / "plain").exists()


@pytest.mark.parametrize(
    "files",
    [SMALL, IN_SRC, {path: text for path, text in REFERENCE.items() if path != "Dockerfile"}],
    ids=["small", "src", "library"],
)
def test_a_written_dockerfile_passes_the_linter(
    checkout: Make, repository: Repository, files: Mapping[str, str]
) -> None:
    folder = checkout("orders", files)
    adopted(folder, repository)
    linter = ["hadolint", str(folder / "Dockerfile")]
    done = subprocess.run(linter, capture_output=True, text=True, cwd=PROJECT, check=False)
    assert done.returncode == 0, done.stdout + (folder / "Dockerfile").read_text()


def test_a_written_dockerfile_builds_the_librarys_schema(checkout: Make, repository: Repository) -> None:
    folder = checkout("orders", IN_SRC)
    adoption = adopted(folder, repository)
    assert set(verdicts(adoption).values()) == {"OK"}
    text = (folder / "Dockerfile").read_text()
    assert "PYTHONPATH=/srv/src /opt/venv/bin/python -m storefront.admin schema > src/storefront/schema.json" in text
    assert '"python:fargate_app.gunicorn_conf", "storefront.app:from_environment()"]' in text
    assert adoption.inspection.values["app_schema_file"] == "srv/src/storefront/schema.json"
    assert re.search(r"ENV PATH=\S+ \\\n    PYTHONPATH=/srv/src \\\n", text)


def playbook(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ansible-playbook", "-i", "inventory/local", f"playbooks/{name}.yml", *arguments],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_the_playbooks(checkout: Make, repository: Repository) -> None:
    folder = checkout("orders", SMALL | {"requirements.txt": HASHED})  # a lock would be made from the package index
    where = [
        "-e",
        f"app_adoption_inventory={repository.inventory}",
        "-e",
        f"app_adoption_reference={repository.reference}",
        "-e",
        "app_adoption_overwrite=app_source_dir",  # the inventory names it from another checkout
    ]
    given = [*where, "-e", f"app_adoption_directory={folder}"]
    looked = playbook("adopt", *given, "--check")
    assert looked.returncode == 0, looked.stdout
    assert "changed=1" in looked.stdout
    assert not (folder / "Dockerfile").exists()
    assert "changed=1" in playbook("adopt", *given).stdout
    assert (folder / "Dockerfile").exists()
    assert "changed=0" in playbook("adopt", *given, "-e", "app_adoption_overwrite=app_port,app_name").stdout
    refused = playbook("new_app", *given, "-e", "app_adoption_name=orders")
    assert refused.returncode != 0
    assert "already" in refused.stdout + refused.stderr
