"""The application's database users: their roles and permissions."""

import logging
from collections.abc import Mapping

from sqlalchemy import Connection, text

from fargate_app.admin.failures import AdminError
from fargate_app.settings import AdminSettings

_log = logging.getLogger("settlement.admin")

# All that the service needs. There is no UPDATE or DELETE: posted rows never change.
GRANTS: Mapping[str, tuple[str, ...]] = {
    "accounts": ("SELECT", "INSERT"),
    "transactions": ("SELECT", "INSERT"),
    "alembic_version": ("SELECT",),
}


def ensure_user(connection: Connection, settings: AdminSettings, user: str) -> bool:
    """Create or correct the role and its permissions. Returns whether anything changed. Raises AdminError."""
    with connection.begin():
        role_changed = _ensure_role(connection, settings, user)
        rights_changed = _ensure_rights(connection, user)
    return role_changed or rights_changed


def _ensure_role(connection: Connection, settings: AdminSettings, role: str) -> bool:
    """Create the role, allow it to log in, set its timeouts. Raises AdminError if it has too many rights."""
    quoted = connection.dialect.identifier_preparer.quote(role)
    changed = False
    if connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}) is None:
        connection.execute(text(f"CREATE ROLE {quoted} LOGIN"))
        changed = True
    state = connection.execute(
        text(
            "SELECT rolcanlogin, coalesce(rolconfig, '{}') AS config,"
            " rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls AS powerful"
            " FROM pg_roles WHERE rolname = :role"
        ),
        {"role": role},
    ).one()
    if state.powerful:
        raise AdminError(f"the role {role} has rights that an application must not have: choose another name for it")
    if not state.rolcanlogin:
        connection.execute(text(f"ALTER ROLE {quoted} LOGIN"))
        changed = True
    timeouts = {
        "statement_timeout": settings.database_statement_timeout_ms,
        "idle_in_transaction_session_timeout": settings.database_idle_in_transaction_timeout_ms,
    }
    for name, milliseconds in timeouts.items():
        if f"{name}={milliseconds}" not in state.config:
            connection.execute(text(f"ALTER ROLE {quoted} SET {name} = :value"), {"value": str(milliseconds)})
            changed = True
    if changed:
        _log.info("role set", extra={"role": role, **timeouts})
    return changed


def _ensure_rights(connection: Connection, role: str) -> bool:
    """Grant what is missing; revoke PUBLIC's right to create tables. Raises AdminError if the master user cannot."""
    quote = connection.dialect.identifier_preparer.quote
    database: str = connection.scalars(text("SELECT current_database()")).one()
    # A table of this list that does not exist was dropped by a later image.
    tables = connection.scalars(
        text("SELECT name FROM unnest(CAST(:names AS text[])) AS name WHERE to_regclass(name) IS NOT NULL"),
        {"names": list(GRANTS)},
    ).all()
    changed = False
    for table in tables:
        for right in GRANTS[table]:
            held = text("SELECT has_table_privilege(:role, :table, :right)")
            if not connection.scalar(held, {"role": role, "table": table, "right": right}):
                connection.execute(text(f"GRANT {right} ON TABLE {quote(table)} TO {quote(role)}"))
                changed = True
    # PUBLIC has TEMPORARY by default, and had CREATE on the schema public before PostgreSQL 15.
    everyone = (
        ("has_database_privilege", database, "TEMPORARY", f"DATABASE {quote(database)}"),
        ("has_schema_privilege", "public", "CREATE", "SCHEMA public"),
    )
    for function, name, right, thing in everyone:
        held = text(f"SELECT {function}(:role, :name, :right)")
        if connection.scalar(held, {"role": role, "name": name, "right": right}):
            connection.execute(text(f"REVOKE {right} ON {thing} FROM PUBLIC"))
            changed = True
            if connection.scalar(held, {"role": role, "name": name, "right": right}):
                raise AdminError(f"{role} keeps the right {right} on {thing}: the master user may not revoke it")
    if changed:
        _log.info("rights set", extra={"role": role})
    return changed
