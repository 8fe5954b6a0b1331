"""A Dockerfile's instructions, and the server that its command starts."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_SERVERS = ("uvicorn", "gunicorn", "fastapi", "hypercorn", "granian")
#: Seconds, of the servers for which they are known.
_DEFAULT_KEEP_ALIVE = {"uvicorn": 5, "fastapi": 5, "gunicorn": 2, "hypercorn": 5}
_NETWORK = re.compile(
    r"\b(?:apt(?:-get)?|apk|uv\s+(?:sync|pip\s+install)|pip3?\s+install(?!.*--no-index)|poetry\s+install|pipenv\s+\w+"
    r"|curl|wget|git\s+clone|npm|yarn|bun)\b"
)
#: pip as a command or a module of the base image, not of a wheel or a virtual environment.
_PIP = re.compile(r"(?:^|&&|;|\|)\s*(?:python3?\s+-m\s+)?pip3?\s")
_BUILDKIT = re.compile(r"(?:--\S+\s+)*--(?:mount|network|security|chmod|link|parents|exclude)\b|.*<<-?[\"']?\w")
#: A port, or a variable's default: ``80``, ``$PORT``, ``${PORT:-8080}``.
_PORT = re.compile(r"(?:\$\{\w+:-)?(\d+)\}?")


@dataclass(frozen=True)
class Instruction:
    """An instruction in capitals, its text without continuations, and its line."""

    name: str
    text: str
    line: int


@dataclass(frozen=True)
class Server:
    """The server of a command. `port` and `host` are None if the command does not name them.

    `keep_alive` are the seconds for which an idle connection stays open; None if a configuration says so.
    """

    program: str
    port: int | None
    host: str | None
    keep_alive: int | None
    workers: bool
    reload: bool


@dataclass(frozen=True)
class Dockerfile:
    """The instructions of a Dockerfile, in order."""

    instructions: tuple[Instruction, ...]

    @classmethod
    def parse(cls, text: str) -> Dockerfile:
        return cls(tuple(_instructions(text)))

    @property
    def final(self) -> tuple[Instruction, ...]:
        """The instructions of the last stage."""
        starts = [number for number, instruction in enumerate(self.instructions) if instruction.name == "FROM"]
        return self.instructions[starts[-1] :] if starts else self.instructions

    def last(self, name: str) -> Instruction | None:
        """Return the last instruction `name` of the last stage, which is the one that counts."""
        return next((found for found in reversed(self.final) if found.name == name), None)

    @property
    def command(self) -> list[str]:
        """The words that a container starts, with those of an entry point."""
        return [word for name in ("ENTRYPOINT", "CMD") if (found := self.last(name)) for word in _words(found.text)]

    @property
    def exposed(self) -> int | None:
        found = self.last("EXPOSE")
        match = re.match(r"(\d+)", found.text) if found else None
        return int(match[1]) if match else None

    @property
    def base(self) -> str:
        """The image of the last stage: ``python:3.12``, ``${BASE_IMAGE}``."""
        name = ""
        stages: dict[str, str] = {}
        for instruction in self.instructions:
            if instruction.name == "FROM":
                image, *named = [word for word in instruction.text.split() if not word.startswith("--")]
                name = stages.get(image, image)
                if len(named) == 2:
                    stages[named[1]] = name
        return name

    def with_network(self) -> Instruction | None:
        """Return the first step that needs a network."""
        return next((step for step in self.instructions if step.name == "RUN" and _NETWORK.search(step.text)), None)

    def runs(self, text: str) -> bool:
        """Return whether a step of the build contains `text`."""
        return any(text in step.text for step in self.instructions if step.name == "RUN")

    def with_pip(self) -> Instruction | None:
        """Return the first step that runs the base image's pip."""
        return next((step for step in self.instructions if step.name == "RUN" and _PIP.search(step.text)), None)

    def with_buildkit(self) -> Instruction | None:
        """Return the first instruction that Docker's builder without BuildKit does not understand."""
        return next((step for step in self.instructions if _BUILDKIT.match(step.text)), None)


def server(command: list[str]) -> Server | None:
    """Return the server that a command starts; None if it is not one that is known."""
    # `sh -c "uvicorn …"` is one word.
    words = [part for word in command for part in (_split(word) if " " in word else [word])]
    names = [word.rpartition("/")[2] for word in words]
    program = next((name for name in names if name in _SERVERS), "")
    if not program:
        return None
    bind = _option(words, "--bind", "-b") or ""
    bound_host, _, bound_port = bind.rpartition(":")
    host = _option(words, "--host") or bound_host or _default_host(program, words, names)
    number = _PORT.fullmatch(_option(words, "--port", "-p") or bound_port)
    return Server(
        program=program,
        port=int(number[1]) if number else None,
        host=host,
        keep_alive=_keep_alive(program, words),
        workers=_option(words, "--workers", "-w") is not None,
        reload="--reload" in words or (program == "fastapi" and "dev" in names),
    )


def _keep_alive(program: str, words: list[str]) -> int | None:
    given = _option(words, "--timeout-keep-alive", "--keep-alive", "--keepalive") or ""
    if given.isdigit():
        return int(given)
    if program == "gunicorn" and _option(words, "--config", "-c"):
        return None
    return _DEFAULT_KEEP_ALIVE.get(program)


def _default_host(program: str, words: list[str], names: list[str]) -> str | None:
    if program == "fastapi":
        return "127.0.0.1" if "dev" in names else "0.0.0.0"  # noqa: S104 - a container's
    if program == "gunicorn" and _option(words, "--config", "-c"):
        return None  # its configuration says so
    return "127.0.0.1"


def _option(words: list[str], *names: str) -> str | None:
    for number, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else next(iter(words[number + 1 :]), "")
    return None


def _words(text: str) -> list[str]:
    """Return the words of a command, in either of its forms."""
    if text.startswith("["):
        try:
            return [str(word) for word in json.loads(text)]
        except ValueError:
            pass
    return _split(text)


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _instructions(text: str) -> Iterator[Instruction]:
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        whole = line.strip()
        while whole.endswith("\\"):
            _, following = next(lines, (0, ""))
            whole = whole[:-1] + ("" if following.lstrip().startswith("#") else following.strip())
            if following.lstrip().startswith("#"):
                whole += "\\"
        name, _, rest = whole.partition(" ")
        for heredoc in re.findall(r"<<-?[\"']?(\w+)[\"']?", rest):
            for _, inner in lines:
                if inner.strip() == heredoc:
                    break
        yield Instruction(name.upper(), rest.strip(), number)
