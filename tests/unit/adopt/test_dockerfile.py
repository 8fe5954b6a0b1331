"""Reading a Dockerfile."""

from __future__ import annotations

import pytest

from fargate_ops.adopt.dockerfile import Dockerfile, Server, server

TEXT = """\
# syntax=docker/dockerfile:1
ARG BASE=python:3.12
FROM --platform=linux/amd64 python:3.13-slim AS base
EXPOSE 1
from base AS final
RUN one \\
    # why
    && two \\

run three
EXPOSE 8080/tcp 9000
CMD ["a", "b"]
CMD ["gunicorn", "-b", "0.0.0.0:80", \\
     "app:app"]
"""


def test_instructions_are_read_with_their_lines() -> None:
    file = Dockerfile.parse(TEXT)
    assert [(found.name, found.line) for found in file.final] == [
        ("FROM", 5),
        ("RUN", 6),
        ("RUN", 10),
        ("EXPOSE", 11),
        ("CMD", 12),
        ("CMD", 13),
    ]
    assert file.final[1].text == "one && two"
    assert (file.base, file.exposed) == ("python:3.13-slim", 8080)
    assert file.command == ["gunicorn", "-b", "0.0.0.0:80", "app:app"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["uvicorn", "a:b"], Server("uvicorn", None, "127.0.0.1", 5, False, False)),
        (["uvicorn", "a:b", "--host=0.0.0.0", "--port=80"], Server("uvicorn", 80, "0.0.0.0", 5, False, False)),
        (
            ["sh", "-c", "exec uvicorn a:b --host 0.0.0.0 --port ${PORT:-8080}"],
            Server("uvicorn", 8080, "0.0.0.0", 5, False, False),
        ),
        (
            ["/opt/venv/bin/gunicorn", "-w", "4", "--bind", "0.0.0.0:9000"],
            Server("gunicorn", 9000, "0.0.0.0", 2, True, False),
        ),
        (["gunicorn", "-c", "conf.py", "a:b"], Server("gunicorn", None, None, None, False, False)),
        (["gunicorn", "a:b"], Server("gunicorn", None, "127.0.0.1", 2, False, False)),
        (["fastapi", "run", "--workers", "4"], Server("fastapi", None, "0.0.0.0", 5, True, False)),
        (["fastapi", "dev"], Server("fastapi", None, "127.0.0.1", 5, False, True)),
        (["uv", "run", "uvicorn", "a:b", "--reload"], Server("uvicorn", None, "127.0.0.1", 5, False, True)),
        (["uvicorn", "a:b", "--port", "$PORT"], Server("uvicorn", None, "127.0.0.1", 5, False, False)),
        (["uvicorn", "a:b", "--timeout-keep-alive", "75"], Server("uvicorn", None, "127.0.0.1", 75, False, False)),
        (["granian", "a:b"], Server("granian", None, "127.0.0.1", None, False, False)),
        (["./start.sh"], None),
    ],
)
def test_the_server_of_a_command(command: list[str], expected: Server | None) -> None:
    assert server(command) == expected


@pytest.mark.parametrize(
    "step",
    [
        "pip install -r requirements.txt",
        "apt-get update",
        "uv sync --frozen",
        "cd x && poetry install",
        "curl -O https://x",
    ],
)
def test_a_step_that_needs_a_network(step: str) -> None:
    found = Dockerfile.parse(f"FROM a\nRUN {step}\n").with_network()
    assert found
    assert found.line == 2


@pytest.mark.parametrize(
    "step", ["pip install --no-index x", 'python3 "$1/pip" install --no-index x', "rm pip", "echo curly"]
)
def test_a_step_that_needs_none(step: str) -> None:
    assert Dockerfile.parse(f"FROM a\nRUN {step}\n").with_network() is None


@pytest.mark.parametrize(
    ("step", "line"),
    [
        ("RUN --mount=type=cache,target=/c pip", 2),
        ("COPY --from=a --chmod=755 b c", 2),
        ("RUN <<EOF\nFROM no\nEOF", 2),
        ("COPY --from=a b c", None),
        ("RUN tool --mount=x", None),
    ],
)
def test_instructions_of_buildkit(step: str, line: int | None) -> None:
    file = Dockerfile.parse(f"FROM a\n{step}\nUSER b\n")
    found = file.with_buildkit()
    assert (found.line if found else None) == line
    assert [instruction.name for instruction in file.instructions if instruction.name == "FROM"] == ["FROM"]
    assert file.last("USER")
