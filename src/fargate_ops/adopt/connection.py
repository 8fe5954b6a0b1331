"""The lines with which an application finds the platform's database, and its own database everywhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

from fargate_ops.adopt.code import Code, Module, argument
from fargate_ops.adopt.database import Database
from fargate_ops.adopt.edits import Edit, Statement, after_imports, missing, replacing, titled
from fargate_ops.adopt.image_points import Context
from fargate_ops.adopt.points import Point, Verdict
from fargate_ops.adopt.variables import PARTS, Variable

_CA_FILE = "/etc/ssl/rds/ca.pem"
#: Preflight counts these connections of each worker.
_POOL = {
    "pool_size": 'int(os.environ.get("DATABASE_POOL_SIZE", "5"))',
    "max_overflow": 'int(os.environ.get("DATABASE_MAX_OVERFLOW", "10"))',
}
_TLS = f'ssl.create_default_context(cafile="{_CA_FILE}")'
#: asyncpg takes no TLS from the URL, and the library does not check its connections.
_ASYNCPG = {
    "connect_args": f'{{"ssl": {_TLS}}} if "DATABASE_HOST" in os.environ else {{}}',
    "pool_pre_ping": "True",
}
_FUNCTION = "platform_url"
_ALIASES = ("alias", "validation_alias")


def connection_point(context: Context, code: Code, database: Database, variables: Sequence[Variable]) -> Point:
    """Return how the application finds its database: the platform sets a variable for each part of the address."""
    if context.has_its_routes or any(set(PARTS) & {variable.name, *variable.names} for variable in variables):
        reason = "DATABASE_HOST and the variables beside it"
        if context.has_its_routes:
            return context.point("database", "connection", Verdict.OK, reason)
        return _Lines(code, database, None).point(context, reason)
    url = next((variable for variable in variables if variable.is_url), None)
    parts = [] if url else [variable for variable in variables if variable.part]
    read = [url] if url else parts
    found = f"it reads {', '.join(variable.name for variable in read)}" if read else "no variable for it was found"
    edits: Sequence[Edit] = ()
    if parts:
        step = _renamed(code, database, parts)
    elif database.library:
        edits, step = _Lines(code, database, url).found()
    else:
        call = [*(f"import {name}" for name in _modules(database)), "", *_driver_call(database)]
        step = titled("where DATABASE_HOST is set, connect with these lines; elsewhere as now:", call)
    return context.point(
        "database",
        "connection",
        Verdict.TO_DO,
        f"{found}; the platform sets DATABASE_HOST and the variables beside it",
        step,
        f"{context.shown}/{read[0].where}" if read else "",
        edits,
    )


@dataclass(frozen=True)
class _Lines:
    """The lines for an engine of SQLAlchemy. `url` is the variable with the database's address; None if none is."""

    code: Code
    database: Database
    url: Variable | None

    def found(self) -> tuple[list[Edit], str]:
        """Return the edits, and what else is to be done: all of it if the engine's code is not recognised."""
        engine = self._engine()
        if self.url and isinstance(self.url.read, ast.AnnAssign):
            return self._with_pool(self._of_settings(self.url, self.url.read), engine)
        statement, address = self._read(engine)
        if statement is None or address is None:
            lines = [*self._imports, "", *_function(self.database, "")]
            edits, pool = self._with_pool([], engine)
            said = [titled(f"add these lines, and use {_FUNCTION}() as the address:", lines), pool]
            return edits, "\n".join(filter(None, said))
        of_engine = engine and engine[0] == statement
        changed = self._with_arguments(*engine) if engine and of_engine else statement.having(address, f"{_FUNCTION}()")
        function = _function(self.database, statement.module.part(address))
        if statement.is_of_module:
            edits = [replacing(statement, ["", *function, "", "", *changed], self._imports)]
        else:
            edits = [after_imports(statement.module, function, self._imports), replacing(statement, changed)]
        return (edits, "") if engine and of_engine and not _unpacks(engine[1]) else self._with_pool(edits, engine)

    def point(self, context: Context, reason: str) -> Point:
        """Return what the engine's call lacks: TLS and a size that is written out are to do, a default size is not."""
        engine = self._engine()
        lacking = self._missing(engine[1]) if engine and not _unpacks(engine[1]) else {}
        if not engine or not lacking:
            return context.point("database", "connection", Verdict.OK, reason)
        given = {keyword.arg for keyword in engine[1].keywords}
        verdict = Verdict.TO_DO if given & lacking.keys() or "connect_args" in lacking else Verdict.OPTIONAL
        edits, step = self._with_pool([], engine)
        reason += f"; its engine has no {', '.join(lacking)} of the platform's"
        return context.point("database", "connection", verdict, reason, step, edits=edits)

    def _engine(self) -> tuple[Statement, ast.Call] | None:
        """Return the call that creates the engine, and the statement that it is in."""
        for module in self.code.modules.values():
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Call) and any(
                    self.code.calls(module.path, node, package, name)
                    for package in ("sqlalchemy", "sqlmodel")
                    for name in ("create_engine", "create_async_engine")
                ):
                    return (found, node) if (found := _statement(module, node)) else None
        return None

    def _read(self, engine: tuple[Statement, ast.Call] | None) -> tuple[Statement | None, ast.expr | None]:
        """Return the statement that reads the address, and what of it is the address; None if that is not known."""
        statement = engine[0] if engine else None
        if self.url and self.url.read:
            statement = _statement(self.code.modules[_path(self.url.where)], self.url.read)
        if engine and engine[0] == statement:
            return statement, argument(engine[1], "url", 0) if statement.is_alone else None
        node = statement.node if statement and statement.is_alone else None
        return statement, node.value if isinstance(node, ast.Assign | ast.AnnAssign | ast.Return) else None

    def _missing(self, call: ast.Call | None) -> dict[str, str]:
        """Return the arguments that the platform needs and a call has not."""
        given = {str(keyword.arg): keyword.value for keyword in call.keywords} if call else {}
        pool = {} if "poolclass" in given else _POOL
        wanted = {**(_ASYNCPG if self.database.driver == "asyncpg" else {}), **pool}
        return {
            name: _with_default(value, given.get(name))
            for name, value in wanted.items()
            if name not in given or _is_fixed(name, given[name])
        }

    def _with_arguments(self, statement: Statement, call: ast.Call, *, moved: bool = True) -> list[str]:
        """Return the statement with the arguments that its call has to get; `moved`: and with the new address."""
        address, part = argument(call, "url", 0), statement.module.part
        given = [f"{_FUNCTION}()" if moved and node is address else part(node) for node in call.args]
        lacking = {} if _unpacks(call) else self._missing(call)
        for keyword in call.keywords:
            if keyword.arg in lacking:
                continue
            value = f"{_FUNCTION}()" if moved and keyword.value is address else part(keyword.value)
            given.append(f"{keyword.arg}={value}" if keyword.arg else f"**{value}")
        given += [f"{name}={value}" for name, value in lacking.items()]
        lines = [f"{part(call.func)}(", *(f"    {line}," for line in given), ")"]
        return statement.having(call, "\n".join(lines))

    def _with_pool(self, edits: list[Edit], engine: tuple[Statement, ast.Call] | None) -> tuple[list[Edit], str]:
        """Return the edits, and one for the arguments that the engine has not; in words if its call is not known."""
        statement, call = engine or (None, None)
        lacking = self._missing(call)
        if statement and call and statement.is_alone and lacking and not _unpacks(call):
            changed = self._with_arguments(statement, call, moved=False)
            return [*edits, replacing(statement, changed, self._imports[:-1])], ""
        create = "create_async_engine" if self.database.asynchronous else "create_engine"
        lines = [f"{name}={value}," for name, value in lacking.items()]
        return edits, titled(f"and pass {create}:", lines) if lacking else ""

    def _of_settings(self, url: Variable, field: ast.AnnAssign) -> list[Edit]:
        """Return the edits for a field of pydantic's settings."""
        module = self.code.modules[_path(url.where)]
        unset = "" if isinstance(field.value, ast.Call | None) or url.required else module.part(field.value)
        statement, margin = Statement(module, field), " " * field.col_offset
        changed = f"{margin}{url.field}: {module.part(field.annotation)} = Field(default_factory={_FUNCTION})"
        imports = [*self._imports, "from pydantic import Field"]
        return [
            after_imports(module, _function(self.database, unset), imports),
            replacing(statement, [changed + statement.comment]),
        ]

    @property
    def _imports(self) -> list[str]:
        names = ["os", *(["ssl"] if self.database.driver == "asyncpg" else []), "sqlalchemy"]
        return [f"import {name}" for name in names]


def _statement(module: Module, node: ast.AST | None) -> Statement | None:
    """Return the innermost statement of a module that contains `node`."""
    found = [stmt for stmt in ast.walk(module.tree) if isinstance(stmt, ast.stmt) and node in list(ast.walk(stmt))]
    return Statement(module, found[-1]) if found else None


def _is_fixed(name: str, value: ast.expr) -> bool:
    """Return whether an argument is written out, so that it cannot be what the platform sets."""
    return isinstance(value, ast.Constant) if name in _POOL else isinstance(value, ast.Dict) and not value.keys


def _with_default(value: str, given: ast.expr | None) -> str:
    """Return the value of an argument, with the application's own number where the platform sets none."""
    return re.sub(r'"\d+"', f'"{ast.unparse(given)}"', value) if isinstance(given, ast.Constant) else value


def _unpacks(call: ast.Call) -> bool:
    """Return whether a call has arguments that it does not write out."""
    return any(keyword.arg is None for keyword in call.keywords)


def _path(where: str) -> str:
    return where.rpartition(":")[0]


def _function(database: Database, elsewhere: str) -> list[str]:
    """Return a function that returns the platform's address. `elsewhere` is the one where the platform sets none."""
    verified = (
        [] if database.driver == "asyncpg" else [f'query={{"sslmode": "verify-full", "sslrootcert": "{_CA_FILE}"}}']
    )
    given = [f'"postgresql+{database.driver}"', *_parts("username", "database"), *verified]
    otherwise = ['    if "DATABASE_HOST" not in os.environ:', f"        return {elsewhere}"] if elsewhere else []
    return [
        f"def {_FUNCTION}() -> str:",
        *otherwise,
        "    return sqlalchemy.URL.create(",
        *(f"        {line}," for line in given),
        "    ).render_as_string(hide_password=False)",
    ]


def _modules(database: Database) -> list[str]:
    return ["os", *(["ssl"] if database.driver == "asyncpg" else []), database.driver]


def _driver_call(database: Database) -> list[str]:
    """Return the call that connects without SQLAlchemy."""
    if database.driver == "asyncpg":
        given = [*_parts("user", "database"), f"ssl={_TLS}", 'max_size=int(os.environ["DATABASE_POOL_SIZE"])']
        return ["asyncpg.create_pool(", *(f"    {line}," for line in given), ")"]
    given = [*_parts("user", "dbname"), 'sslmode="verify-full"', f'sslrootcert="{_CA_FILE}"']
    return [f"{database.driver}.connect(", *(f"    {line}," for line in given), ")"]


def _parts(user: str, name: str) -> list[str]:
    """Return the arguments with the parts of the address. Drivers differ in the names of two of them."""
    return [
        f'{user}=os.environ["DATABASE_USER"]',
        'password=os.environ["DATABASE_PASSWORD"]',
        'host=os.environ["DATABASE_HOST"]',
        'port=int(os.environ["DATABASE_PORT"])',
        f'{name}=os.environ["DATABASE_NAME"]',
    ]


def _renamed(code: Code, database: Database, parts: Sequence[Variable]) -> str:
    """Return the lines that read the platform's names before the application's own, which keep their defaults."""
    steps = []
    for path in dict.fromkeys(_path(part.where) for part in parts):
        there = [part for part in parts if _path(part.where) == path]
        imports = ["from pydantic import AliasChoices, Field"] if any(part.field for part in there) else []
        module = code.modules[path]
        lines = [*missing(module, imports), *(_read_first(module, part) for part in there)]
        steps.append(titled(f"read the platform's names first, in {path}:", lines))
    return "\n".join([*steps, _verification(database)])


def _read_first(module: Module, variable: Variable) -> str:
    """Return the line or the expression that reads the platform's name before the application's own."""
    read = variable.read
    if not isinstance(read, ast.AnnAssign):
        return f'os.environ.get("{variable.part}") or {module.part(read) if read else variable.name}'
    given = [] if read.value is None else [module.part(read.value)]
    if isinstance(read.value, ast.Call):
        given = [module.part(node) for node in read.value.args]
        given += [f"{it.arg}={module.part(it.value)}" for it in read.value.keywords if it.arg not in _ALIASES]
    alias = f'validation_alias=AliasChoices("{variable.part}", "{variable.name}")'
    return f"{variable.field}: {module.part(read.annotation)} = Field({', '.join([*given, alias])})"


def _verification(database: Database) -> str:
    if database.driver == "asyncpg" and database.library:
        return titled("and pass create_async_engine:", [f"{name}={value}," for name, value in _ASYNCPG.items()])
    if database.driver == "asyncpg":
        return f"and verify the server: ssl={_TLS}"
    return f"and verify the server: ?sslmode=verify-full&sslrootcert={_CA_FILE} at the end of the URL"
