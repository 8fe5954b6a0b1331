"""The paths of routes, as the code writes them out."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fargate_ops.adopt.entry import find
from fargate_ops.adopt.routes import HEALTH, best, routes
from tests.unit.adopt.conftest import code

APP = "from fastapi import APIRouter, FastAPI\napp = FastAPI()\n"


def paths(files: Mapping[str, str]) -> list[str]:
    modules = code(files)
    return sorted(route.path for route in routes(modules, find(modules, "")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@app.get('/a')\ndef a(): ...\n", ["/a"]),
        ("@app.get(path='/a', tags=[])\nasync def a(): ...\n", ["/a"]),
        ("@app.post('/a')\ndef a(): ...\n", []),
        ("app.add_api_route('/a', print)\n", ["/a"]),
        ("A = '/a'\n@app.get(A + '/b')\ndef a(): ...\n", ["/a/b"]),
        ("@app.get(compute())\ndef a(): ...\n", []),
        ("r = APIRouter(prefix='/r')\n@r.get('/a')\ndef a(): ...\napp.include_router(r, prefix='/v1')\n", ["/v1/r/a"]),
        ("r = APIRouter()\n@r.get('')\ndef a(): ...\napp.include_router(prefix='/health', router=r)\n", ["/health"]),
        ("r = APIRouter()\n@r.get('/a')\ndef a(): ...\napp.include_router(r, prefix=compute())\n", []),
        ("r = APIRouter(prefix=compute())\n@r.get('/a')\ndef a(): ...\napp.include_router(r)\n", []),
        ("sub = FastAPI()\n@sub.get('/a')\ndef a(): ...\napp.mount('/sub', sub)\n", ["/sub/a"]),
        ("r = APIRouter()\n@r.get('/a')\ndef a(): ...\nfor x in [r]:\n    app.include_router(x)\n", ["/a"]),
    ],
)
def test_the_paths_of_one_file(text: str, expected: list[str]) -> None:
    assert paths({"main.py": APP + text}) == expected


def test_prefixes_of_other_modules_and_settings() -> None:
    assert paths(
        {
            "shop/__init__.py": "",
            "shop/settings.py": "class Settings:\n    PREFIX: str = '/api'\nsettings = Settings()\n",
            "shop/routers/__init__.py": "from .health import router as health\n",
            "shop/routers/health.py": (
                "from fastapi import APIRouter\nrouter = APIRouter()\n@router.get('/ping')\ndef ping(): ...\n"
            ),
            "shop/main.py": (
                "from fastapi import FastAPI\nfrom shop import routers\nfrom shop.settings import settings\n"
                "def create_app():\n    app = FastAPI()\n"
                "    app.include_router(routers.health, prefix=f'{settings.PREFIX}/v1')\n    return app\n"
            ),
        }
    ) == ["/api/v1/ping"]


def test_a_router_in_itself_ends() -> None:
    text = "r = APIRouter()\n@r.get('/a')\ndef a(): ...\nr.include_router(r)\napp.include_router(r)\n"
    assert paths({"main.py": APP + text}) == ["/a"]


def test_the_most_usual_name_is_the_best() -> None:
    text = "".join(
        f"@app.get('{path}')\ndef f(): ...\n" for path in ("/ping", "/v1/health/", "/{id}/healthz", "/health")
    )
    modules = code({"main.py": APP + text})
    chosen = best(routes(modules, find(modules, "")), HEALTH)
    assert chosen
    assert chosen.path == "/health"
    assert best([], HEALTH) is None
