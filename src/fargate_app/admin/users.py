"""The application's database users: their roles and permissions."""

import logging
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, text

from fargate_app.admin.failures import AdminError
from fargate_app.settings import AdminSettings

_log = logging.getLogger("fargate_app.admin")

#: The permissions on each table or sequence of the schema public.
Grants = Mapping[str, Sequence[str]]

_TABLE = ("SELECT", "INSERT", "UPDATE", "DELETE")
_SEQUENCE = ("USAGE",)
_VERSION_TABLE = "alembic_version"
# Those of an extension belong to it.
_RELATIONS = text(
    "SELECT c.relname, c.relkind = 'S', pg_has_role(c.relowner, 'USAGE') FROM pg_class c"
    " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S')"
    " AND NOT EXISTS (SELECT FROM pg_depend d"
    " WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') ORDER BY c.relname"
)


def ensure_user(connection: Connection, settings: AdminSettings, user: str, grants: Grants | None = None) -> bool:
    """Create or correct the role and its permissions. Returns whether anything changed. Raises AdminError.

    Without `grants`, the user may read and write every table of the schema public that the master user owns, and use
    every such sequence. It may always read the table of the revisions.
    """
    with connection.begin():
        role_changed = _ensure_role(connection, settings, user)
        rights_changed = _ensure_rights(connection, user, grants)
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


def _ensure_rights(connection: Connection, role: str, grants: Grants | None) -> bool:
    """Grant what is missing; revoke PUBLIC's right to create tables. Raises AdminError if the master user cannot."""
    quote = connection.dialect.identifier_preparer.quote
    database: str = connection.scalars(text("SELECT current_database()")).one()
    changed = False
    for name, is_sequence, is_own in connection.execute(_RELATIONS).all():
        if grants is None and not is_own:
            continue
        kind = "sequence" if is_sequence else "table"
        relation = f"public.{quote(name)}"
        for right in _rights(name, is_sequence, grants):
            held = text(f"SELECT has_{kind}_privilege(:role, :relation, :right)")
            if not connection.scalar(held, {"role": role, "relation": relation, "right": right}):
                connection.execute(text(f"GRANT {right} ON {kind} {relation} TO {quote(role)}"))
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


def _rights(name: str, is_sequence: bool, grants: Grants | None) -> Sequence[str]:
    if name == _VERSION_TABLE:
        return ("SELECT",)
    if grants is not None:
        return grants.get(name, ())  # a table of the list that does not exist was dropped by a later image
    return _SEQUENCE if is_sequence else _TABLE
