"""What is said about an application's own Dockerfile, its packages and its files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fargate_ops.adopt.inspection import Inspection, inspect
from fargate_ops.adopt.points import Point
from fargate_ops.adopt.project import Project
from tests.unit.adopt.projects import HASHED, HASHED_WITH_LIBRARY, SMALL

GOOD = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY . .
RUN python3 wheels/pip.whl/pip install --no-index --find-links wheels --requirement requirements.txt
USER 1000
EXPOSE 8000
VOLUME ["/tmp"]
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000", "--timeout-keep-alive", "75"]
ARG GIT_HASH=unknown
"""


COMMAND = next(line for line in GOOD.splitlines() if line.startswith("CMD"))


def inspected(dockerfile: str, irregular: tuple[str, ...] = (), **files: str) -> Inspection:
    given = (
        SMALL
        | {"requirements.txt": HASHED, "Dockerfile": dockerfile}
        | {path.replace("_", "."): it for path, it in files.items()}
    )
    project = replace(Project.of(given), irregular=irregular)
    return inspect(project, named="", python="3.13", shown="../shop")


def point(inspection: Inspection, subject: str) -> Point:
    (found,) = (point for point in inspection.points if point.subject == subject)
    return found


def test_a_good_one() -> None:
    inspection = inspected(GOOD)
    assert [(point.subject, str(point.verdict)) for point in inspection.points if point.group == "image"] == [
        ("Dockerfile", "OK")
    ]
    assert inspection.values["app_locks"] == ["requirements.txt"]


@pytest.mark.parametrize(
    ("old", "new", "subject", "verdict", "line"),
    [
        ("USER 1000\n", "", "user", "TO DO", ""),
        ("USER 1000\n", "USER root:root\n", "user", "TO DO", ":5"),
        ("USER 1000\n", "USER 0\n", "user", "TO DO", ":5"),
        ("--host", "--root-path", "address", "TO DO", ":8"),
        ('VOLUME ["/tmp"]\n', "", "/tmp", "TO DO", ""),
        ('"75"]', '"60"]', "keep-alive", "TO DO", ":8"),
        (', "--timeout-keep-alive", "75"]', "]", "keep-alive", "TO DO", ":8"),
        ('"8000", "--', '"80", "--', "port", "TO DO", ":8"),
        ('CMD ["uvicorn", "main:app",', 'CMD ["uvicorn", "main:app", "--reload",', "reload", "TO DO", ":8"),
        ('CMD ["uvicorn", "main:app",', 'CMD ["uvicorn", "main:app", "--workers", "4",', "workers", "optional", ":8"),
        ('CMD ["uvicorn", ', 'CMD ["hypercorn", ', "server", "TO DO", None),
        ('CMD ["uvicorn", "main:app", ', 'ENTRYPOINT ["uvicorn", "main:app", ', "entry point", "TO DO", ":8"),
        (
            COMMAND,
            "CMD uvicorn main:app",
            "SIGTERM",
            "TO DO",
            ":8",
        ),
        (COMMAND, "", "command", "TO DO", ""),
        ("pip install --no-index", "pip install", "build", "TO DO", ":4"),
        ("python3 wheels/pip.whl/pip install", "pip install", "pip", "optional", ":4"),
        ("RUN python3 wheels/pip.whl/pip", "RUN true && python3 -m pip", "pip", "optional", ":4"),
        ("COPY . .", "COPY --chmod=755 . .", "syntax", "TO DO", ":3"),
        ("FROM ${BASE_IMAGE}", "FROM python:3.13", "base", "optional", ""),
        ("ARG GIT_HASH=unknown\n", "", "commit", "optional", ""),
        ("EXPOSE 8000\n", "EXPOSE 8000\nHEALTHCHECK CMD true\n", "HEALTHCHECK", "optional", ":7"),
    ],
)
def test_what_a_dockerfile_lacks(old: str, new: str, subject: str, verdict: str, line: str | None) -> None:
    assert old in GOOD
    found = point(inspected(GOOD.replace(old, new)), subject)
    assert str(found.verdict) == verdict
    assert found.where == ("../shop" if line is None else f"../shop/Dockerfile{line}")


@pytest.mark.parametrize(
    ("command", "exposed", "port"),
    [
        ('CMD ["uvicorn", "a:b", "--port", "9000"]', "EXPOSE 8000", 9000),
        ('CMD ["./start"]', "EXPOSE 9000", 9000),
        ('CMD ["./start"]', "", 8000),
        ('CMD ["uvicorn", "a:b", "--port", "80"]', "", 8000),
    ],
)
def test_the_port(command: str, exposed: str, port: int) -> None:
    assert inspected(f"FROM a\n{exposed}\n{command}\n").values["app_port"] == port


def test_files_that_a_context_may_not_hold() -> None:
    found = point(inspected(GOOD, ("a", "b", "c", "d")), "files")
    assert found.reason.endswith("context: a, b, c and 1 more")


@pytest.mark.parametrize(
    ("ignored", "hidden"),
    [
        ("*\n!main.py\n", ["wheels", "rds-ca.pem", "requirements.txt"]),
        ("# wheels\n**/*.pem\n", ["rds-ca.pem"]),
        ("wheels/\n", ["wheels"]),
        ("tests\n.git\n", []),
    ],
)
def test_a_dockerignore_that_hides_what_the_build_needs(ignored: str, hidden: list[str]) -> None:
    inspection = inspected(GOOD, _dockerignore=ignored)
    found = [point.next_step for point in inspection.points if point.subject == ".dockerignore"]
    assert found == (["\n".join(["add at its end:", *(f"  !{path}" for path in hidden)])] if hidden else [])


def test_the_path_that_a_healthcheck_requests_is_a_hint() -> None:
    check = "HEALTHCHECK CMD curl --fail http://localhost:8000/api/up || exit 1\n"
    inspection = inspected(
        GOOD.replace("EXPOSE", f"{check}EXPOSE"), main_py="import fastapi\napp = fastapi.FastAPI()\n"
    )
    assert "app_health_path: /api/up" in point(inspection, "health").next_step


def test_other_routes_are_named_if_none_is_for_health() -> None:
    routes = "".join(f"@app.get('{path}')\ndef f(): ...\n" for path in ("/", "/orders/{id}", "/status", "/orders"))
    inspection = inspected(GOOD, main_py=f"import fastapi\napp = fastapi.FastAPI()\n{routes}")
    assert "app_health_path in inventory/shared.yml, if /orders or /status " in point(inspection, "health").next_step


@pytest.mark.parametrize(
    ("statement", "verdict"),
    [("session.execute(select(1))", "optional"), ("session.exec(select(1))", "optional"), ("session.now()", "OK")],
)
def test_a_health_route_leaves_the_database_alone(statement: str, verdict: str) -> None:
    text = "import asyncpg, fastapi\napp = fastapi.FastAPI()\n@app.get('/health')\ndef health(session):\n    %s\n"
    inspection = inspected(GOOD, main_py=text % statement)
    assert str(point(inspection, "health").verdict) == verdict
    assert inspection.values["app_health_path"] == "/health"
    assert verdict == "OK" or "have /health answer 503" in point(inspection, "health").next_step


def test_a_route_for_health_that_queries_the_database_is_one_for_readiness() -> None:
    def found(routes: str) -> Inspection:
        return inspected(GOOD, main_py=f"import asyncpg, fastapi\napp = fastapi.FastAPI()\n{routes}")

    queries = "@app.get('/healthz')\ndef database(session):\n    session.execute(1)\n"
    alone = "@app.get('/ping')\ndef ping():\n    return 1\n"
    only = found(queries).values
    assert (only["app_health_path"], only["app_ready_path"]) == ("/healthz", "")
    both = found(queries + alone)
    assert (both.values["app_health_path"], both.values["app_ready_path"]) == ("/ping", "")
    assert point(both, "readiness").next_step == "have /healthz, which queries the database, answer 503 without it"
    for answer in ("Response(status_code=503)", "Response(status_code=status.HTTP_503_SERVICE_UNAVAILABLE)"):
        good = found(f"{queries}    return {answer}\n{alone}").values
        assert (good["app_health_path"], good["app_ready_path"]) == ("/ping", "/healthz")


def test_a_drill_sends_a_request_that_queries_the_database() -> None:
    text = "import asyncpg, fastapi\napp = fastapi.FastAPI()\n" + "".join(
        f"@app.get('{path}')\ndef f(session):\n    session.{method}()\n"
        for path, method in (("/a", "add"), ("/b/{id}", "execute"), ("/ping", "execute"), ("/orders", "scalars"))
    )
    assert '[{"path": "/orders", "status": 200}]' in point(inspected(GOOD, main_py=text), "load file").next_step
    assert str(point(inspected(GOOD, main_py=text, load_json="{}"), "load file").verdict) == "OK"
    assert "load file" not in {point.subject for point in inspected(GOOD).points}


def test_a_dockerfile_for_another_platform_is_one_thing_to_do() -> None:
    text = GOOD.replace("pip install --no-index", "pip install").replace("USER 1000\n", "")
    points = [point for point in inspected(text).points if point.group == "image"]
    assert [(point.subject, str(point.verdict)) for point in points] == [("build", "TO DO"), ("user", "TO DO")]
    first, *lines = points[0].next_step.splitlines()
    assert first.startswith("git -C ../shop mv Dockerfile Dockerfile.own, and adopt writes one that meets all")
    assert [line.partition(":")[0].strip() for line in lines] == ["build", "user"]
    assert points[1].next_step == ""


def test_the_library_is_installed_as_the_dockerfile_installs_the_packages() -> None:
    uses = "from fastapi import FastAPI\nfrom fargate_app.service import Service\napp = FastAPI()\n"
    other = inspected(GOOD, main_py=uses)
    assert point(other, "library").next_step.startswith("RUN pip install ")
    ours = GOOD.replace("RUN ", 'RUN python3 "$@" --require-hashes --requirement requirements.txt && ')
    assert point(inspected(ours, main_py=uses), "library").next_step.startswith('&& python3 "$@" fargate-app')


def test_a_version_document_has_the_commit() -> None:
    text = "import fastapi\napp = fastapi.FastAPI()\n@app.get('/version')\ndef version():\n    return {'%s': '1'}\n"
    assert inspected(GOOD, main_py=text % "git_hash").values["app_version_path"] == "/version"
    other = inspected(GOOD, main_py=text % "version")
    assert other.values["app_version_path"] == ""
    assert point(other, "version").reason.startswith("/version has no git_hash")


WITH_LIBRARY = """\
from fastapi import FastAPI
from fargate_app.service import Service
service = Service(asynchronous=True)
app = FastAPI(lifespan=service.lifespan)
service.install(app)
"""


def test_a_lock_needs_the_packages_of_the_library() -> None:
    found = point(inspected(GOOD, main_py=WITH_LIBRARY), "lock")
    assert "requirements.txt lacks packages of the library: gunicorn, httptools, pydantic-settings and" in found.reason
    assert found.next_step.endswith("make adopt DIR=../shop OVERWRITE=app_locks, and commit it")
    assert found.next_step.startswith("list its packages in requirements.in, then ")
    project = SMALL | {"main.py": WITH_LIBRARY, "requirements.txt": HASHED, "requirements.in": "fastapi\n"}
    listed = inspect(Project.of(project), named="", python="3.13", shown="../shop", lock_again=True)
    assert "--extra asyncio " in listed.lock_command
    assert listed.lock_command.endswith("/src/fargate_app/pyproject.toml --output-file requirements.txt")
    locked = inspected(GOOD, main_py=WITH_LIBRARY, requirements_txt=HASHED_WITH_LIBRARY)
    assert str(point(locked, "lock").verdict) == "OK"


def test_readiness_is_asked_only_of_an_application_with_a_database() -> None:
    inspection = inspected(GOOD, main_py="from fastapi import FastAPI\napp = FastAPI()\n")
    assert "readiness" not in {point.subject for point in inspection.points}
    assert inspection.values["app_ready_path"] == ""
