"""Whether an application answers the errors of its database, and the handler that is added."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
import sqlalchemy.exc
from fastapi.testclient import TestClient

from fargate_ops.adopt.edits import applied
from fargate_ops.adopt.inspection import inspect
from fargate_ops.adopt.points import Point
from fargate_ops.adopt.project import Project
from tests.unit.adopt.projects import SMALL

APPLICATION = """\
from fastapi import FastAPI

web = FastAPI()


@web.get("/fails")
def fails() -> None:
    raise ERROR
"""


def errors(main: str, packages: str = "sqlalchemy\npsycopg[binary]\n", **files: str) -> Point:
    project = SMALL | {"requirements.txt": packages, "main.py": main} | {f"{name}.py": it for name, it in files.items()}
    points = inspect(Project.of(project), named="", python="3.13", shown="../shop").points
    (found,) = (point for point in points if point.subject == "errors")
    return found


@pytest.mark.parametrize(
    ("handler", "verdict"),
    [
        ("", "TO DO"),
        ("@web.exception_handler(Exception)\ndef f(*_): ...\n", "TO DO"),
        ("@web.exception_handler(404)\ndef f(*_): ...\n", "TO DO"),
        ("from sqlalchemy.exc import SQLAlchemyError as Error\n@web.exception_handler(Error)\ndef f(*_): ...\n", "OK"),
        ("import sqlalchemy\nweb.add_exception_handler(sqlalchemy.exc.DBAPIError, print)\n", "OK"),
        ("import psycopg\nFastAPI(exception_handlers={404: print, psycopg.Error: print})\n", "OK"),
    ],
)
def test_a_handler_is_found(handler: str, verdict: str) -> None:
    assert errors(APPLICATION + handler).verdict == verdict


def test_the_library_has_a_handler() -> None:
    library = "from fargate_app.service import Service\nservice = Service()\nservice.install(web)\n"
    assert errors(APPLICATION + library).verdict == "OK"


@pytest.mark.parametrize(
    ("packages", "error", "message"),
    [
        ("sqlalchemy\npsycopg[binary]\n", sqlalchemy.exc.OperationalError("", {}, OSError()), "cannot be used"),
        ("sqlalchemy\npsycopg[binary]\n", sqlalchemy.exc.TimeoutError(), "no free database connection"),
        ("sqlalchemy\nasyncpg\n", ConnectionRefusedError(), "cannot be used"),
        ("psycopg[binary]\n", psycopg.OperationalError(), "cannot be used"),
        ("asyncpg\n", ConnectionRefusedError(), "cannot be used"),
    ],
)
def test_the_handler_that_is_added_answers_503(
    packages: str, error: Exception, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main = '"""A shop."""\n' + APPLICATION + '\nif __name__ == "__main__":\n    raise SystemExit("serves")\n'
    found = errors(main, packages)
    assert found.where == "../shop/main.py"
    text = applied(main, found.edits)
    assert errors(text, packages).verdict == "OK"
    names: dict[str, Any] = {"ERROR": error, "__name__": "main"}
    exec(compile(text, "main.py", "exec"), names)  # noqa: S102 - lines of this package
    answer = TestClient(names["web"]).get("/fails")
    assert (answer.status_code, message in answer.json()["detail"]) == (503, True)
    assert message in capsys.readouterr().out
    assert text.index("exception_handler") < text.index("__main__")


def test_an_application_that_a_function_makes_gets_the_lines_by_hand() -> None:
    main = "from fastapi import FastAPI\n\ndef create() -> FastAPI:\n    return FastAPI()\n"
    found = errors(main)
    assert found.edits == ()
    assert found.next_step.startswith("add to create() of main.py:\n  import json\n")
