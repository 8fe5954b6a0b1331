"""Where the FastAPI object is."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fargate_ops.adopt.entry import find, import_root, imported_as
from fargate_ops.core.problem import ProblemError
from tests.unit.adopt.conftest import code

APP = "from fastapi import FastAPI\napp = FastAPI()\n"


def found(files: Mapping[str, str], named: str = "", *hints: str) -> str:
    modules = code(files)
    entry = find(modules, named, hints)
    return imported_as(entry, import_root(modules, entry.path))


@pytest.mark.parametrize(
    ("text", "attribute"),
    [
        (APP, "app"),
        ("import fastapi\nserver: fastapi.FastAPI = fastapi.FastAPI(title='x')\n", "server"),
        ("from fastapi import FastAPI as F\napi = F()\n", "api"),
        ("from fastapi import FastAPI\ndef make():\n    app = FastAPI()\n    return app\n", "make()"),
        ("from fastapi import FastAPI\ndef make():\n    return FastAPI()\napp = make()\n", "app"),
        ("import fastapi\ndef make(debug=False) -> 'fastapi.FastAPI': ...\n", "make()"),
        (f"{APP}admin = FastAPI()\napp.mount('/admin', admin)\n", "app"),
        (
            "from fastapi import FastAPI\ndef build(x) -> FastAPI: ...\ndef make() -> FastAPI:\n    return build(1)\n",
            "make()",
        ),
        (
            "from fastapi import FastAPI\ndef build() -> FastAPI: ...\ndef make() -> FastAPI:\n    return build()\n",
            "make()",
        ),
    ],
)
def test_the_object_of_one_file(text: str, attribute: str) -> None:
    assert found({"main.py": text}) == f"main:{attribute}"


def test_an_object_made_by_a_function_of_another_module() -> None:
    factory = "from fastapi import FastAPI\ndef create_app() -> FastAPI:\n    return FastAPI()\n"
    main = "from .factory import create_app\napp = create_app()\n"
    assert found({"shop/__init__.py": "", "shop/factory.py": factory, "shop/main.py": main}) == "shop.main:app"


@pytest.mark.parametrize(
    "text",
    [
        "app = FastAPI()\n",
        "from other import FastAPI\napp = FastAPI()\n",
        "from fastapi import FastAPI\ndef f(x) -> FastAPI: ...\n",
    ],
)
def test_what_is_no_application_is_none(text: str) -> None:
    with pytest.raises(ProblemError, match="No FastAPI application was found in 1 Python files"):
        found({"main.py": text, "tests/test_main.py": APP, "conftest.py": APP})


def test_a_file_that_is_not_python_is_counted() -> None:
    with pytest.raises(ProblemError, match="1 could not be read as Python"):
        found({"main.py": "print 'two'\n"})


def test_several_applications_are_refused_until_one_is_named() -> None:
    files = {"shop/__init__.py": "", "shop/main.py": APP, "till/__init__.py": "", "till/main.py": APP}
    with pytest.raises(ProblemError) as caught:
        found(files)
    assert "2 FastAPI applications were found: shop.main:app, till.main:app." in str(caught.value)
    assert "APP=shop.main:app" in str(caught.value)
    assert found(files, "till.main:app") == "till.main:app"
    assert found(files, "", "uvicorn", "till.main:app") == "till.main:app"


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("main", "is not module:attribute"),
        ("main:nothing", "There is no nothing in a module main"),
        ("x:app", "module x"),
    ],
)
def test_a_name_that_does_not_fit_is_refused(named: str, said: str) -> None:
    with pytest.raises(ProblemError, match=said):
        found({"main.py": APP}, named)


def test_a_name_of_what_is_not_recognised_is_taken() -> None:
    assert found({"main.py": "from company import Service\napp = Service().build()\n"}, "main:app") == "main:app"


@pytest.mark.parametrize(
    ("files", "program"),
    [
        (
            {"src/shop/__init__.py": "", "src/shop/main.py": f"import shop.db\n{APP}", "src/shop/db.py": ""},
            "shop.main:app",
        ),
        ({"src/main.py": f"from src.db import x\n{APP}", "src/db.py": "x = 1\n"}, "src.main:app"),
        ({"app/main.py": f"from app import db\n{APP}", "app/db.py": ""}, "app.main:app"),
        ({"app/main.py": f"from . import db\n{APP}", "app/db.py": ""}, "app.main:app"),
        ({"app/main.py": f"import db\n{APP}", "app/db.py": ""}, "main:app"),
        ({"app/__init__.py": APP}, "app:app"),
    ],
)
def test_the_folder_of_the_imports_is_the_applications_own(files: Mapping[str, str], program: str) -> None:
    assert found(files) == program
