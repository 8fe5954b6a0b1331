"""Whether an application answers an error of its database, and the handler that does."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from fargate_ops.adopt.code import Code, argument, root_name
from fargate_ops.adopt.database import Database
from fargate_ops.adopt.edits import titled, to_application
from fargate_ops.adopt.entry import Entry
from fargate_ops.adopt.image_points import Context
from fargate_ops.adopt.points import Point, Verdict

#: The packages whose errors a handler may name: an error of psycopg_pool is one of psycopg.
_PACKAGES = ("sqlalchemy", "psycopg", "psycopg_pool", "psycopg2", "asyncpg")


def errors_point(context: Context, code: Code, database: Database, entry: Entry) -> Point:
    """Return whether an error of the database gets a response.

    After an unhandled one, uvicorn closes the connection, on which the load balancer may just send a request.
    """
    if context.has_its_routes:
        return context.point("database", "errors", Verdict.OK, "the library answers 503")
    if named := next(_handled(code), ""):
        return context.point("database", "errors", Verdict.OK, f"a handler of {named}")
    reason = "no handler: uvicorn closes the connection after an unhandled error, and further requests fail"
    imports, lines = _handler(database, "app" if entry.factory else entry.attribute)
    edits = to_application(code, entry, lines, imports)
    step = "" if edits else titled(f"add to {entry.attribute}() of {entry.path}:", [*imports, "", *lines])
    return context.point("database", "errors", Verdict.TO_DO, reason, step, context.place(entry.path), edits)


def _handled(code: Code) -> Iterator[str]:
    """Yield the database's exceptions that have a handler."""
    for path, module in code.modules.items():
        for node in ast.walk(module.tree):
            for exception in _exceptions(node):
                found = module.imports.get(root_name(exception))
                if found and found.module.partition(".")[0] in _PACKAGES:
                    yield f"{ast.unparse(exception)} ({path}:{exception.lineno})"


def _exceptions(node: ast.AST) -> Sequence[ast.expr]:
    """Return what a call registers a handler for.

    ``app.exception_handler(E)``, ``app.add_exception_handler(E, …)`` or ``FastAPI(exception_handlers={E: …})``.
    """
    if not isinstance(node, ast.Call):
        return []
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("exception_handler", "add_exception_handler"):
        exception = argument(node, "exc_class_or_status_code", 0)
        return [exception] if exception else []
    handlers = argument(node, "exception_handlers")
    return [key for key in handlers.keys if key] if isinstance(handlers, ast.Dict) else []


def _handler(database: Database, app: str) -> tuple[list[str], list[str]]:
    """Return the imports and the lines of a handler, with the messages that an incident counts."""
    unusable, full = '"the database cannot be used"', '"no free database connection"'
    if database.library:
        imported, caught = "from sqlalchemy import exc", ["exc.SQLAlchemyError"]
        message = f"{full} if isinstance(error, exc.TimeoutError) else {unusable}"
    else:
        imported, caught, message = f"import {database.driver}", [f"{database.driver}.Error"], unusable
    if database.driver == "asyncpg":
        # A connection that asyncpg cannot open is an error of the system, with SQLAlchemy too.
        of_driver = ["asyncpg.PostgresError", "asyncpg.InterfaceError"]
        caught = [*(caught if database.library else of_driver), "OSError"]
    imports = ["import json", "from fastapi.responses import JSONResponse", imported]
    return imports, [
        *(f"@{app}.exception_handler({name})" for name in caught),
        "async def database_error(request, error):",
        f"    message = {message}",
        '    print(json.dumps({"message": message, "reason": str(error)}))',
        '    return JSONResponse({"detail": message}, 503)',
    ]
