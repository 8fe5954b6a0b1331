"""Look at an application's project: what it meets of the contract, and its values for the inventory."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from fargate_ops.adopt import database_points, image_points
from fargate_ops.adopt.code import Code, calls
from fargate_ops.adopt.database import Database, Migrations, database
from fargate_ops.adopt.database_points import Administration, admin_file, revision_path
from fargate_ops.adopt.dockerfile import Dockerfile
from fargate_ops.adopt.edits import Edit, titled, to_application
from fargate_ops.adopt.entry import Entry, find, import_root, imported_as
from fargate_ops.adopt.image_points import Context
from fargate_ops.adopt.library import (
    HEALTH_PATH,
    PACKAGE,
    READY_PATH,
    VERSION_PATH,
    admin_command,
    command_of,
    extras,
    has_argument,
    is_installed,
    schema_file,
)
from fargate_ops.adopt.points import Point, Verdict
from fargate_ops.adopt.project import Project
from fargate_ops.adopt.requirements import declared_entry, project_name, requirements
from fargate_ops.adopt.routes import HEALTH, READINESS, VERSION, Route, best, routes
from fargate_ops.adopt.variables import Variable, variables
from fargate_ops.inventory.yaml_edit import Value

_MARKS = ("Dockerfile", "pyproject.toml", "requirements.txt")
#: Variables that the platform, ECS or the image sets; the inventory sets the last two in app_environment.
_GIVEN = re.compile(
    r"DATABASE_(?:HOST|PORT|NAME|USER|PASSWORD|INSTANCE|POOL_SIZE|MAX_OVERFLOW)|WEB_CONCURRENCY|FORWARDED_ALLOW_IPS|IMAGE_DIGEST|GIT_HASH|APP_NAME"
    r"|MASTER_USERNAME|MASTER_PASSWORD|APP_DATABASE_SECRET_ARN|APP_DATABASE_CLONE_SECRET_ARN|PREPARE_TIMEOUT_SECONDS"
    r"|AWS_.*|ECS_.*|PATH|HOME|HOSTNAME|LOG_LEVEL|APP_ENVIRONMENT"
)
_SAYS_NOTHING = frozenset({"", ".", "..", "api", "app", "backend", "fastapi", "main", "server", "service", "src"})
#: Methods that send a statement to the database: SQLAlchemy's, SQLModel's and asyncpg's.
_STATEMENTS = ("execute", "scalar", "scalars", "exec", "fetch", "fetchrow", "fetchval")
#: The inventory's app_load_file, in the image's context.
_LOAD_FILE = "load.json"
#: 503, as a handler writes it.
_UNAVAILABLE = re.compile(r"\b503\b|SERVICE_UNAVAILABLE")
_JSON_LOGS = ("structlog", "python-json-logger", "json-logging", "ecs-logging", "loguru")


@dataclass(frozen=True)
class Inspection:
    """`folder` is the image's context, from the project's folder. `program` is the object as a server takes it.

    `lock_command` makes the lock, in the context; empty if there is one, or its packages have to change first.
    `root` is the folder from which Python imports it, in the context. `admin_module` is the library's admin command,
    `admin_to_write` the text of its file, by path, if there is none yet. `schema` is the file beside the migrations
    into which its build writes their revisions, `revision` that of a first migration that is to be written. Each is
    empty if there is none. `values` are by setting of the inventory.
    """

    name: str
    folder: str
    program: str
    root: str
    uses_library: bool
    has_its_routes: bool
    has_dockerfile: bool
    has_database: bool
    admin_module: str
    admin_to_write: Mapping[str, str]
    schema: str
    revision: str
    lock: str
    lock_command: str
    points: tuple[Point, ...]
    values: Mapping[str, Value]


def inspect(
    project: Project,
    *,
    named: str,
    python: str,
    shown: str,
    known: Mapping[str, Any] | None = None,
    given: Collection[str] = (),
    lock_again: bool = False,
) -> Inspection:
    """Inspect a project, which a person calls `shown`.

    `named` is its FastAPI object, needed if several are found; `python` is the image's Python. `known` are values of
    the inventory that a person set for this application: they count for what is not found. `given` are the names of
    environment variables that the inventory sets. `lock_again`: a lock that is there is made again.
    Raises ProblemError.
    """
    known = known or {}
    code = Code(project)
    dockerfiles = [text for path, text in project.files.items() if PurePosixPath(path).name == "Dockerfile"]
    hints = [word for text in dockerfiles for word in Dockerfile.parse(text).command]
    entry = find(code, named, [*hints, declared_entry(project)])
    folder, above = _context_of(project, entry.path), project.files
    if folder:
        project, entry = project.below(folder), replace(entry, path=entry.path.removeprefix(f"{folder}/"))
        code = Code(project)
    packages = requirements(project, above)
    root = import_root(code, entry.path)
    stored, read = database(project, code, packages), variables(code)
    has_database = bool(known.get("app_database", stored.used))
    administration = _administration(project, code, entry, root, stored if has_database else None, known)
    context = Context(
        project=project,
        packages=packages,
        dockerfile=Dockerfile.parse(project.files["Dockerfile"]) if "Dockerfile" in project.files else None,
        shown=str(PurePosixPath(shown, folder)),
        program=imported_as(entry, root),
        python=python,
        uses_library=code.imports(PACKAGE) or bool(administration.to_write),
        library_extras=extras(
            code, has_database=has_database, has_driver=packages.has("psycopg", "psycopg2", "psycopg2-binary")
        ),
        has_its_routes=is_installed(code),
        has_database=has_database,
        known_port=known.get("app_port"),
    )
    found = _Routes.of(context, code, entry, known)
    points = [
        _point("application", "FastAPI object", f"{context.program} ({entry.path}:{entry.line})"),
        *found.points(context, code, entry),
        *image_points.points(context),
        *database_points.points(context, code, entry, stored, read, administration),
        *_load_file(context, found.queries),
        *_environment(context, [variable for variable in read if not {variable.name, *variable.names} & set(given)]),
        _logs(context),
    ]
    values: dict[str, Value] = {
        "app_port": context.port,
        "app_health_path": found.health or HEALTH_PATH,
        "app_ready_path": found.ready,
        "app_version_path": found.version,
        "app_admin_command": list(administration.command),
        "app_schema_file": administration.schema_file,
        "app_locks": context.locks,
        "app_database": has_database,
    }
    return Inspection(
        name=_name(project, entry.path, context.shown, shown),
        folder=folder,
        program=context.program,
        root=root,
        uses_library=context.uses_library,
        has_its_routes=context.has_its_routes,
        has_dockerfile=context.dockerfile is not None,
        has_database=has_database,
        admin_module=administration.command[-1] if administration.by_library else "",
        admin_to_write=administration.written,
        schema=administration.migrations.schema if administration.migrations else "",
        revision=revision_path(stored, administration) if has_database else "",
        lock=packages.lock_to_be,
        lock_command=context.lock_command if _can_lock(context, points, again=lock_again) else "",
        points=tuple(points),
        values=values,
    )


def _can_lock(context: Context, points: Sequence[Point], *, again: bool) -> bool:
    """Return whether nothing but the lock is missing for the image's packages, and no file is in its place.

    `again`: it may be there.
    """
    packages = context.packages
    to_do = {
        point.subject
        for point in points
        if point.verdict is Verdict.TO_DO and (point.group == "packages" or point.subject == "driver")
    }
    if again:
        return to_do <= {"lock"} and bool(packages.source)
    return to_do == {"lock"} and bool(packages.source) and packages.lock_to_be not in context.project.paths


def _administration(
    project: Project, code: Code, entry: Entry, root: str, stored: Database | None, known: Mapping[str, Any]
) -> Administration:
    """Return the admin command: the application's own, the inventory's, or the one that it has to get.

    `stored` is its database, None if it has none; `known` are the inventory's values.
    """
    own = admin_command(code, root)
    set_ = list(known.get("app_admin_command") or [])
    file = admin_file(project, entry.path)
    # An earlier run set the command of a file that was to be written.
    to_write = file if stored and not own and set_ in ([], command_of(file, root)) else ""
    by_library = bool(own or to_write)
    migrations = stored.migrations if stored else None
    if stored and migrations is None and stored.creates_tables and by_library:
        migrations = Migrations("", str(PurePosixPath(file).parent / "migrations/versions"), ())
    dockerfile = Dockerfile.parse(project.files["Dockerfile"]) if "Dockerfile" in project.files else None
    return Administration(
        command=own or (command_of(file, root) if to_write else set_),
        schema_file=schema_file(dockerfile) or known.get("app_schema_file") or "",
        to_write=to_write,
        migrations=migrations,
        by_library=by_library,
        names_migrations=bool(to_write) or has_argument(code, "migrations"),
    )


def _name(project: Project, entry: str, *folders: str) -> str:
    """Return the name that the project gives itself, or that of a folder, without those that say nothing."""
    package, above = (str(PurePosixPath(path).parent) for path in (entry, folders[-1]))
    names = [project_name(project), *(PurePosixPath(folder).name for folder in (*folders, package, above))]
    found = [name for name in names if name]
    return next((name for name in found if name.lower() not in _SAYS_NOTHING), found[0] if found else "")


def _context_of(project: Project, path: str) -> str:
    """Return the folder of the application's file `path` that has a Dockerfile, or else that lists its packages."""
    folders = [str(folder).removeprefix(".") for folder in PurePosixPath(path).parents]
    for mark in _MARKS:
        for folder in folders:
            if str(PurePosixPath(folder, mark)) in project.paths:
                return folder
    return ""


@dataclass(frozen=True)
class _Routes:
    """The paths that the platform requests, each empty if there is none. `others` may be one for health checks.

    `other_version` has no commit in it. `other_ready` queries the database, and is not seen to answer 503 without it.
    `queries` may be one for a drill: it queries the database, and needs no value in its path.

    `health_reads_database`: its handler sends a statement to the database.
    """

    health: str
    ready: str
    version: str
    other_version: str
    checked: str
    other_ready: str = ""
    queries: str = ""
    others: Sequence[str] = ()
    health_reads_database: bool = False

    @classmethod
    def of(cls, context: Context, code: Code, entry: Entry, known: Mapping[str, Any]) -> _Routes:
        if context.has_its_routes:
            return cls(HEALTH_PATH, READY_PATH, VERSION_PATH, "", "")
        paths = routes(code, entry)
        alone = [route for route in paths if not _reads_database(route)]
        health = best(alone, HEALTH) or best(paths, HEALTH)
        ready, version = best(paths, READINESS), best(paths, VERSION)
        # A second route for health that queries the database is one for readiness.
        reading = [route for route in paths if route is not health and _reads_database(route)]
        other = best(reading, HEALTH) if context.has_database else None
        ready = ready or (other if other and _UNAVAILABLE.search(_text(other)) else None)
        has_hash = version is not None and "git_hash" in _text(version)
        return cls(
            health=health.path if health else known.get("app_health_path", ""),
            ready=ready.path if ready else known.get("app_ready_path", ""),
            version=version.path if version and has_hash else known.get("app_version_path", ""),
            other_version=version.path if version and not has_hash else "",
            other_ready=other.path if other and not ready else "",
            checked=_checked(context),
            queries=min((route.path for route in paths if _is_for_drills(route)), key=len, default=""),
            others=sorted(
                {route.path for route in paths if "{" not in route.path} - {"/", ""}, key=lambda path: (len(path), path)
            )[:3],
            health_reads_database=health is not None and _reads_database(health),
        )

    def points(self, context: Context, code: Code, entry: Entry) -> Iterator[Point]:
        edits, lines = _lines_of_health(code, entry)
        if self.health and self.health_reads_database and context.has_database:
            reason = f"{self.health} queries the database: an outage of it would replace all tasks"
            step = f"{lines}\nand have {self.health} answer 503 without a database: it becomes app_ready_path"
            yield context.point("routes", "health", Verdict.OPTIONAL, reason, step.strip(), edits=edits)
        elif self.health:
            yield _point("routes", "health", self.health)
        elif self.checked:
            reason = f"no such route was recognised; the Dockerfile's HEALTHCHECK requests {self.checked}"
            step = f"if it answers without credentials: app_health_path: {self.checked} in inventory/shared.yml"
            yield context.point("routes", "health", Verdict.TO_DO, reason, step)
        else:
            reason = "no route with a usual name; the load balancer requests it"
            if self.others:
                named = " or ".join(self.others)
                lines += f"\nor set app_health_path in inventory/shared.yml, if {named} answers 200 to anybody"
            yield context.point("routes", "health", Verdict.TO_DO, reason, lines.strip(), edits=edits)
        if self.ready:
            yield _point("routes", "readiness", self.ready)
        elif context.has_database:
            reason = "none; a release does not ask each task whether its database works"
            step = 'a route "/readyz" that queries the database and answers 200 or 503'
            if self.other_ready:
                step = f"have {self.other_ready}, which queries the database, answer 503 without it"
            yield context.point("routes", "readiness", Verdict.OPTIONAL, reason, step)
        if self.version:
            yield _point("routes", "version", self.version)
        else:
            has = f"{self.other_version} has no git_hash" if self.other_version else "none"
            reason = f"{has}; a release is verified by the image of the running tasks"
            answer = '{"git_hash": os.getenv("GIT_HASH"), "image_digest": os.getenv("IMAGE_DIGEST")}'
            step = f'a route "/version" that answers {answer}'
            yield context.point("routes", "version", Verdict.OPTIONAL, reason, step)


def _lines_of_health(code: Code, entry: Entry) -> tuple[tuple[Edit, ...], str]:
    """Return the edit that adds a route for health; in words if a function makes the application."""
    app = "app" if entry.factory else entry.attribute
    lines = [f'@{app}.get("{HEALTH_PATH}")', "def healthz() -> dict[str, str]:", '    return {"status": "healthy"}']
    edits = to_application(code, entry, lines, [])
    return edits, "" if edits else titled(f"add to {entry.attribute}() of {entry.path}:", lines)


def _load_file(context: Context, queries: str) -> Iterator[Point]:
    """Yield the point of the drills' requests, for an application with a database."""
    if not context.has_database:
        return
    if _LOAD_FILE in context.project.paths:
        yield _point("database", "load file", _LOAD_FILE)
        return
    reason = "none: drills send only requests that need no database"
    request = f'{{"requests": [{{"path": "{queries or "/…"}", "status": 200}}]}}'
    step = f"write {_LOAD_FILE}, with a status that anybody gets: {request}"
    yield context.point("database", "load file", Verdict.OPTIONAL, reason, step)


def _reads_database(route: Route) -> bool:
    return route.function is not None and any(True for _ in calls(route.function, _STATEMENTS))


def _is_for_drills(route: Route) -> bool:
    """Return whether a route queries the database for its callers, and needs no value in its path."""
    return _reads_database(route) and "{" not in route.path and not best([route], (*HEALTH, *READINESS))


def _text(route: Route) -> str:
    return ast.unparse(route.function) if route.function else ""


def _checked(context: Context) -> str:
    """Return the path that the Dockerfile's HEALTHCHECK requests; empty if there is none."""
    check = context.dockerfile.last("HEALTHCHECK") if context.dockerfile else None
    found = re.search(r"https?://[^/\s\"']+(/[^\s\"'?|)]*)", check.text) if check else None
    return found[1] if found else ""


def _environment(context: Context, read: Sequence[Variable]) -> Iterator[Point]:
    needed = [
        variable
        for variable in read
        if variable.required
        and not any(_GIVEN.fullmatch(name) for name in (variable.name, *variable.names))
        and not variable.part
        and not variable.is_url
    ]
    if not needed:
        yield _point("environment", "variables", "the platform and the inventory set all that have no default")
        return
    names = ", ".join(variable.name for variable in needed)
    yield context.point(
        "environment",
        "variables",
        Verdict.TO_DO,
        f"it does not start without {names}",
        "set each in inventory/<env>/group_vars/all/app.yml: a secret in app_secrets, anything else in app_environment",
        f"{context.shown}/{needed[0].where}",
    )


def _logs(context: Context) -> Point:
    if context.has_its_routes or context.packages.has(*_JSON_LOGS):
        return _point(
            "environment", "logs", "JSON" if context.has_its_routes else "a library for JSON logs is installed"
        )
    reason = "plain lines; JSON lines can be searched by field"
    return context.point("environment", "logs", Verdict.OPTIONAL, reason)


def _point(group: str, subject: str, reason: str) -> Point:
    return Point(group=group, subject=subject, verdict=Verdict.OK, reason=reason)
