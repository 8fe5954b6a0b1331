"""What the platform asks of an image: packages from a lock, a port, a user, and a process that SIGTERM reaches."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from docker.utils.build import PatternMatcher

from fargate_ops.adopt import library
from fargate_ops.adopt.dockerfile import Dockerfile, Instruction, Server, server
from fargate_ops.adopt.edits import Edit
from fargate_ops.adopt.points import Point, Verdict
from fargate_ops.adopt.project import Project
from fargate_ops.adopt.requirements import BUILD_LOCK, LOCKS, Requirements

#: The port of the image that this package writes, and that of the servers unless they are told another.
PORT = 8000
#: A user other than root may not listen below it.
_FIRST_PORT = 1024
#: Longer than the load balancer's idle timeout, in seconds: it must never reuse a connection that the server closes.
_IDLE, _KEEP_ALIVE = 60, 75
_WRITABLE = "/tmp"  # noqa: S108 - a volume of the task
#: What the builder puts beside the application's files: a .dockerignore must not hide it.
_PUT_THERE = ("wheels/one.whl", "rds-ca.pem")
_INSTALL = "pip install --no-index --find-links wheels --no-deps"


@dataclass(frozen=True)
class Context:
    """The folder that an image is built from. `shown` is that folder as a person writes it; `python` the image's.

    `uses_library` says that it imports the library, or will for its admin command; `has_its_routes` that it installs
    it into its FastAPI object.
    `library_extras` are the extras of the library that it then needs.
    `program` is the FastAPI object as a server takes it. `known_port` is the inventory's, if a person set it.
    """

    project: Project
    packages: Requirements
    dockerfile: Dockerfile | None
    shown: str
    program: str
    python: str
    uses_library: bool
    library_extras: Sequence[str]
    has_its_routes: bool
    has_database: bool
    known_port: int | None = None

    @property
    def server(self) -> Server | None:
        return server(self.dockerfile.command) if self.dockerfile else None

    @property
    def port(self) -> int:
        """The port on which the application listens, or will listen: root may have another than a user may."""
        found = (self.server.port if self.server else None) or (self.dockerfile.exposed if self.dockerfile else None)
        return found if found and found >= _FIRST_PORT else self.known_port or PORT

    @property
    def locks(self) -> list[str]:
        """The hashed requirement files that the image is built from."""
        needs_pip = self.dockerfile is None or BUILD_LOCK in self.project.paths
        return [self.packages.lock_to_be, *([BUILD_LOCK] if needs_pip else [])]

    @property
    def lock_command(self) -> str:
        """The command that makes the lock, with the library's packages if the application uses it."""
        extras = [f"--extra {name}" for name in self.library_extras]
        also = " ".join([*extras, str(library.PYPROJECT)]) if self.uses_library else ""
        return self.packages.lock_command(self.python, also)

    @property
    def command(self) -> str:
        """The command of an image with this application."""
        factory = '"--factory", ' if self.program.endswith("()") else ""
        return (
            f'CMD ["uvicorn", "{self.program.removesuffix("()")}", {factory}"--host", "0.0.0.0", "--port", "{PORT}", '
            f'"--timeout-keep-alive", "{_KEEP_ALIVE}"]'
        )

    def place(self, path: str, step: Instruction | None = None) -> str:
        return f"{self.shown}/{path}:{step.line}" if step else f"{self.shown}/{path}"

    def point(
        self,
        group: str,
        subject: str,
        verdict: Verdict,
        reason: str,
        next_step: str = "",
        where: str = "",
        edits: Sequence[Edit] = (),
    ) -> Point:
        """Return a point. Its next step is that of the edits, and what `next_step` says beside them.

        The last edit of a module comes first: the lines of the others stay where they are.
        """
        edits = sorted(edits, key=lambda edit: (edit.path, -edit.first))
        step = "\n".join(filter(None, ["\nand ".join(edit.step for edit in edits), next_step]))
        where = where or (self.shown if step else "")
        return Point(
            group=group,
            subject=subject,
            verdict=verdict,
            reason=reason,
            where=where,
            next_step=step,
            edits=tuple(edits),
        )


def points(context: Context) -> Iterator[Point]:
    """Yield the points of the packages and of the image."""
    yield from _packages(context)
    if context.dockerfile:
        yield from _Image(context, context.dockerfile).points()
    yield from _context(context)


def _packages(context: Context) -> Iterator[Point]:
    packages, python = context.packages, context.python
    if packages.takes_python(python):
        said = f"it asks for {packages.python}, and " if packages.python else ""
        yield context.point("packages", "Python", Verdict.OK, f"{said}the image has {python}")
    else:
        reason = f"it asks for {packages.python}, and the image has {python}"
        step = (
            "widen requires-python, or set image_build_python and base_image in inventory/shared.yml to another Python"
        )
        yield context.point("packages", "Python", Verdict.TO_DO, reason, step)
    of_library = library.packages(context.library_extras) if context.uses_library else []
    listed = "" if packages.source else "list its packages in requirements.in, then "
    command = f"{listed}make adopt DIR={shlex.quote(context.shown)} OVERWRITE={LOCKS}, and commit it"
    if packages.lock and (missing := [name for name in of_library if not packages.has(name)]):
        reason = f"{packages.lock} lacks packages of the library: {_few(missing)}"
        yield context.point("packages", "lock", Verdict.TO_DO, reason, command)
    elif left_out := packages.left_out(python) if packages.lock else []:
        reason = (
            f"{packages.lock} is for several Pythons: a controller with another one does not download {_few(left_out)}"
        )
        locked = f"--python-version {python} --generate-hashes --no-deps {packages.lock} --output-file {packages.lock}"
        step = f"(cd {context.shown} && uv pip compile {locked}), then commit it"
        yield context.point("packages", "lock", Verdict.TO_DO, reason, step)
    elif packages.lock:
        yield context.point("packages", "lock", Verdict.OK, f"{packages.lock} has a version and hashes of each package")
    else:
        source = f", made from {packages.source}" if packages.source else ""
        reason = f"no requirement file with hashes; the image's packages are downloaded by one{source}"
        yield context.point("packages", "lock", Verdict.TO_DO, reason, command)
    program = context.server.program if context.server else ""
    # fastapi[standard] has uvicorn and the command fastapi.
    standard = packages.extras.get("fastapi", frozenset()) & {"standard", "all"} and program in ("uvicorn", "fastapi")
    if program and packages.extras and not packages.has(program) and not standard and program not in of_library:
        reason = f"the image's command is {program}, which is not among the packages"
        yield context.point("packages", "server", Verdict.TO_DO, reason, f"add {program}, and lock again")


@dataclass(frozen=True)
class _Image:
    """The image that a Dockerfile builds."""

    context: Context
    file: Dockerfile

    def points(self) -> Iterator[Point]:
        found = [*self._build(), *self._process()]
        if not any(point.verdict is Verdict.TO_DO for point in found):
            reason = f"builds without a network; port {self.context.port}"
            yield self.context.point("image", "Dockerfile", Verdict.OK, reason)
        yield from self._replaced(found) if self.file.with_network() else found

    def _replaced(self, points: Sequence[Point]) -> Iterator[Point]:
        """Yield the points with one step for all: a Dockerfile that needs a network is made for another platform."""
        mends = "\n".join(f"  {point.subject}: {point.next_step}" for point in points if point.verdict is Verdict.TO_DO)
        rename = (
            f"git -C {self.context.shown} mv Dockerfile Dockerfile.own, and adopt writes one that meets all of [image]"
        )
        for point in points:
            step = f"{rename}; or mend it:\n{mends}" if point.subject == "build" else ""
            yield replace(point, next_step=step)

    def _to_do(self, subject: str, reason: str, next_step: str, step: Instruction | None = None) -> Point:
        return self._point(subject, Verdict.TO_DO, reason, next_step, step)

    def _optional(self, subject: str, reason: str, next_step: str = "", step: Instruction | None = None) -> Point:
        return self._point(subject, Verdict.OPTIONAL, reason, next_step, step)

    def _point(self, subject: str, verdict: Verdict, reason: str, next_step: str, step: Instruction | None) -> Point:
        return self.context.point("image", subject, verdict, reason, next_step, self.context.place("Dockerfile", step))

    def _build(self) -> Iterator[Point]:
        if step := self.file.with_network():
            yield self._to_do(
                "build",
                "a step needs a network, and the image is built without one, from the wheels in wheels/",
                f"COPY wheels/ and the lock, then RUN {_INSTALL} --require-hashes "
                f"--requirement {self.context.packages.lock_to_be}",
                step,
            )
        if step := self.file.with_buildkit():
            reason = "Docker's builder without BuildKit does not understand this"
            yield self._to_do("syntax", reason, "use COPY and RUN without these options", step)
        if self.context.uses_library and not self._has(r"fargate[-_]app"):
            reason = "the library fargate_app is not installed; its wheel is in wheels/"
            # The Dockerfile of this package runs pip from its wheel: the image has no other.
            ours = self._has(r'python3 "\$@" --require-hashes')
            install = '&& python3 "$@" fargate-app \\' if ours else f"RUN {_INSTALL} fargate-app"
            yield self._to_do("library", reason, f"{install}, after the lock's packages")
        if self.context.has_database and not self._has(r"rds-ca\.pem"):
            reason = "it has no CA certificates, with which the application verifies its database"
            yield self._to_do("certificates", reason, "COPY rds-ca.pem /etc/ssl/rds/ca.pem")
        if step := self.file.with_pip():
            reason = "where no public registry answers, the base image has python3 and no pip: the image does not build"
            yield self._optional("pip", reason, "rename this file, and adopt writes one", step)
        if self.file.base not in ("${BASE_IMAGE}", "$BASE_IMAGE"):
            yield self._optional(
                "base",
                f"each build pulls {self.file.base} from its registry",
                f"ARG BASE_IMAGE, then FROM ${{BASE_IMAGE}}: Python {self.context.python}. Where no public registry "
                "answers, it is a Debian with python3",
            )
        if not any(step.name == "ARG" and step.text.startswith("GIT_HASH") for step in self.file.instructions):
            lines = "ARG GIT_HASH=unknown, then ENV GIT_HASH=${GIT_HASH}, as the last two lines"
            yield self._optional("commit", "the image does not know its commit", lines)

    def _has(self, pattern: str) -> bool:
        return any(re.search(pattern, step.text) for step in self.file.instructions if step.name in ("RUN", "COPY"))

    def _process(self) -> Iterator[Point]:
        command, entry, user = (self.file.last(name) for name in ("CMD", "ENTRYPOINT", "USER"))
        running = self.context.server
        if user is None or user.text.partition(":")[0] in ("root", "0"):
            yield self._to_do("user", "the process runs as root", "USER 10001:10001 before CMD", user)
        if not any(_WRITABLE in step.text for step in self.file.final if step.name == "VOLUME"):
            reason = f"the user cannot write to {_WRITABLE}, the only writable folder"
            yield self._to_do(_WRITABLE, reason, f'VOLUME ["{_WRITABLE}"]')
        if command is None and entry is None:
            yield self._to_do("command", "it starts nothing", self.context.command)
        if entry:
            reason = "a one-off task replaces the command, and would become arguments of the entry point"
            yield self._to_do("entry point", reason, "move it into CMD", entry)
        if command and not command.text.startswith("["):
            reason = "a shell starts the process, and passes no signal on"
            yield self._to_do("SIGTERM", reason, f"write the command as a list: {self.context.command}", command)
        if running and running.host in ("127.0.0.1", "localhost"):
            yield self._to_do(
                "address", f"{running.program} listens on the loopback only", "add --host 0.0.0.0", command
            )
        if running and running.keep_alive is not None and running.keep_alive <= _IDLE:
            reason = (
                f"{running.program} closes an idle connection after {running.keep_alive} s, the load balancer after "
                f"{_IDLE} s: some requests would fail"
            )
            option = {"uvicorn": "--timeout-keep-alive", "gunicorn": "--keep-alive", "hypercorn": "--keep-alive"}
            added = f"add {option.get(running.program, '')} {_KEEP_ALIVE}"
            yield self._to_do(
                "keep-alive", reason, added if running.program in option else self.context.command, command
            )
        bound = running.port if running else None
        port = bound or self.file.exposed
        if port and port < _FIRST_PORT:
            place = command if bound else self.file.last("EXPOSE")
            yield self._to_do("port", f"{port} needs root", f"listen on {PORT}, and EXPOSE {PORT}", place)
        if running and running.reload:
            yield self._to_do("reload", "the server restarts whenever a file changes", "leave out --reload", command)
        if running and running.workers:
            step = "leave it out: the platform sets WEB_CONCURRENCY to app_workers, and counts the workers' connections"
            yield self._optional("workers", "the command fixes their number", step, command)
        if check := self.file.last("HEALTHCHECK"):
            reason = "ECS does not run it: the load balancer requests app_health_path"
            yield self._optional("HEALTHCHECK", reason, step=check)


def _context(context: Context) -> Iterator[Point]:
    if context.project.irregular:
        yield context.point(
            "image",
            "files",
            Verdict.TO_DO,
            f"a link or a submodule cannot be part of an image's context: {_few(context.project.irregular)}",
            "put the files in its place",
        )
    ignored = context.project.files.get(".dockerignore")
    if ignored is not None and (hidden := _hidden(context, ignored)):
        yield context.point(
            "image",
            ".dockerignore",
            Verdict.TO_DO,
            f"it hides {_few(hidden)} from the build",
            "\n".join(["add at its end:", *(f"  !{path}" for path in hidden)]),
            context.place(".dockerignore"),
        )


def _hidden(context: Context, ignored: str) -> list[str]:
    patterns = [line.strip() for line in ignored.splitlines() if line.strip() and not line.startswith("#")]
    matcher = PatternMatcher(patterns)
    hidden = [path for path in (*_PUT_THERE, *context.locks) if matcher.matches(path)]  # type: ignore[arg-type]  # the stub is wrong
    return [path.partition("/")[0] for path in hidden]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
