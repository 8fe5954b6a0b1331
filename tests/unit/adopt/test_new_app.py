"""The application of `make new-app` runs on the library, with the packages of its lock."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from fargate_ops.adopt.library import HEALTH_PATH, READY_PATH, VERSION_PATH
from fargate_ops.adopt.templates import new_files

LIBRARY = Path(__file__).parents[3] / "src/fargate_app/pyproject.toml"


def test_it_answers_what_the_platform_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_HOST", raising=False)
    main = tmp_path / "main.py"
    main.write_text(new_files("orders")["app/main.py"])
    with TestClient(runpy.run_path(str(main))["app"]) as client:
        assert client.get("/").json() == {"hello": "orders"}
        assert {client.get(path).status_code for path in (HEALTH_PATH, READY_PATH)} == {200}
        assert "git_hash" in client.get(VERSION_PATH).json()


def test_its_lock_has_the_packages_of_the_library() -> None:
    locked = set(re.findall(r"(?m)^([\w.-]+)==", new_files("orders")["requirements.txt"]))
    needed = tomllib.loads(LIBRARY.read_text())["project"]["dependencies"]
    assert {re.split(r"[>=<\[]", requirement)[0] for requirement in needed} <= locked
