"""Work on the database that needs the master user: `python -m settlement.admin prepare` and `renew`; `sessions` in an
incident, `survey` after a restore, `drop-index` for what a migration left.

The application has two database users with the same rights, each with a secret of its own. The service uses one of
them; `renew` gives the other a new password, and a release then moves the service to it: no task ever meets a password
that does not work.

Runs as a one-off task of the `<prefix>-admin` family, beside the service, never inside it. On RDS the master is
not a superuser, so only statements that a role with CREATEROLE and the database's ownership may run are used.

The last line on standard output is the result, one JSON object: `{"schema_head": "0001", "changed": false}`;
`sessions` and `survey` give one object a line. Exit code 0, or 1 with a line that says why (`settlement.failures`).
"""

import argparse
import json
import logging
import logging.config
import random
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol

import botocore.session
from botocore.config import Config as BotocoreConfig
from botocore.exceptions import BotoCoreError, ClientError
from psycopg2.extensions import encrypt_password
from pydantic import SecretStr, ValidationError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from settlement.database import single_use_engine
from settlement.failures import AdminError, Stopped, failure, is_full
from settlement.logs import logging_config
from settlement.migrate import be_bounded, drop_index, migrate
from settlement.sessions import EndLimits, Record, be_brief, end_all, end_unused, look
from settlement.settings import AdminSettings
from settlement.survey import survey

_log = logging.getLogger("settlement.admin")

_LOCK_KEY = 0x5E771E  # an arbitrary number: one `prepare` or `renew` at a time in a database
_LOCK_WAIT_SECONDS = 60.0
_SLOT_WAIT_SECONDS = 20.0

# All that the service does. There is no UPDATE or DELETE: what was posted stays.
GRANTS: Mapping[str, tuple[str, ...]] = {
    "accounts": ("SELECT", "INSERT"),
    "transactions": ("SELECT", "INSERT"),
    "alembic_version": ("SELECT",),
}


class SecretStore(Protocol):
    """Where one user's credentials are kept."""

    def read(self) -> str | None:
        """The secret's current text; None when it has no value yet."""

    def write(self, value: str) -> None:
        """Make this the secret's current text."""


class SecretsManagerSecret:
    """A secret of AWS Secrets Manager. Credentials and endpoint are botocore's business (task role, AWS_ENDPOINT_URL).

    Its methods raise botocore's BotoCoreError and ClientError.
    """

    def __init__(self, arn: str, region: str) -> None:
        self._arn = arn
        self._client = botocore.session.get_session().create_client(
            "secretsmanager",
            region_name=region,
            config=BotocoreConfig(
                connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 5}
            ),
        )

    def read(self) -> str | None:
        """The AWSCURRENT version."""
        try:
            value: str | None = self._client.get_secret_value(SecretId=self._arn).get("SecretString")
        except self._client.exceptions.ResourceNotFoundException:
            return None  # the secret exists, made by Terraform, without a version
        return value

    def write(self, value: str) -> None:
        """Put a new AWSCURRENT version."""
        self._client.put_secret_value(SecretId=self._arn, SecretString=value)


@dataclass(frozen=True)
class Prepared:
    """What `prepare` did: the revision that the database is at, and whether anything had to be changed."""

    schema_head: str
    changed: bool


def prepare(settings: AdminSettings, secrets_of: Mapping[str, SecretStore]) -> Prepared:
    """Migrate, make the application's users what they should be, and see that their secrets work. Idempotent.

    `secrets_of` is by user. Raises AdminError, SQLAlchemyError, and what the secret store raises.
    """
    with _locked(settings) as connection:
        revision, changed = migrate(connection, _master_engine(settings))
        for user, secret in secrets_of.items():
            changed |= _ensure_user(connection, settings, user)
            changed |= _ensure_credentials(connection, settings, user, secret)
    return Prepared(revision, changed)


@dataclass(frozen=True)
class Renewed:
    """Whose password `renew` made new, and how many sessions the old one still had."""

    user: str
    ended: int
    changed: bool = True


def renew(settings: AdminSettings, user: str, secret: SecretStore) -> Renewed:
    """Give this user, whom the service does not use, a new password, and end the sessions that the old one opened.

    Raises AdminError, SQLAlchemyError, and what the secret store raises.
    """
    with _locked(settings) as connection:
        _ensure_user(connection, settings, user)
        password = _renew_credentials(connection, user, secret)
        with connection.begin():
            ended = end_all(connection, user)
        _see_login(settings, user, password)
    return Renewed(user, ended)


@dataclass(frozen=True)
class Dropped:
    """Which invalid index `drop-index` dropped, and whether it was there."""

    index: str
    changed: bool


def drop_invalid_index(settings: AdminSettings, name: str) -> Dropped:
    """Drop an invalid index that a migration left. Raises AdminError, SQLAlchemyError."""
    with _locked(settings) as connection:
        return Dropped(name, drop_index(connection, _master_engine(settings), name))


def _master_engine(settings: AdminSettings) -> Engine:
    return single_use_engine(settings, settings.master_username, settings.master_password)


@contextmanager
def _locked(settings: AdminSettings) -> Iterator[Connection]:
    """The master's connection, holding this program's lock, until it is closed."""
    with _connect_patiently(_master_engine(settings)) as connection:
        with connection.begin():
            be_bounded(connection, settings.prepare_timeout_seconds)
        # Asked for again and again: one that waits inside a statement is an open transaction, for which the
        # CREATE INDEX CONCURRENTLY of the one that has the lock would wait in turn.
        deadline = time.monotonic() + _LOCK_WAIT_SECONDS
        while not _take_lock(connection):
            if time.monotonic() > deadline:
                raise AdminError(f"another prepare or renew has run for {_LOCK_WAIT_SECONDS:.0f} s", kind="lock_wait")
            time.sleep(0.2)
        yield connection


def _take_lock(connection: Connection) -> bool:
    with connection.begin():
        return bool(connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK_KEY}))


def _ensure_user(connection: Connection, settings: AdminSettings, user: str) -> bool:
    with connection.begin():
        role_changed = _ensure_role(connection, settings, user)
        rights_changed = _ensure_rights(connection, user)
    return role_changed or rights_changed


def _ensure_role(connection: Connection, settings: AdminSettings, role: str) -> bool:
    """Make the role, allow it to log in, set its timeouts. Raises AdminError when it could do more than it should."""
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
    """Grant what is missing; take from everyone the right to make tables. Raises AdminError when that is not ours."""
    quote = connection.dialect.identifier_preparer.quote
    database: str = connection.scalars(text("SELECT current_database()")).one()
    # A table of this list that is not there was dropped by a later image.
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
    # TEMPORARY is PUBLIC's by default; CREATE on schema public was, before PostgreSQL 15.
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


def _ensure_credentials(connection: Connection, settings: AdminSettings, role: str, secret: SecretStore) -> bool:
    """See that the secret's credentials log in: a restored database has those of its time. Without any, make some."""
    known = _password_for(role, secret.read())
    if known is None:
        _see_login(settings, role, _renew_credentials(connection, role, secret))
        return True
    if _can_log_in(settings, role, known):
        return False
    # What is in the secret stays as it is: another database, to which one may go back, takes it too.
    with connection.begin():
        _set_password(connection, role, known)
    _see_login(settings, role, known)
    return True


def _renew_credentials(connection: Connection, role: str, secret: SecretStore) -> SecretStr:
    password = SecretStr(secrets.token_urlsafe(32))
    with connection.begin():
        _set_password(connection, role, password)
        # Before the commit: if writing fails, the old password still holds and the running tasks stay connected.
        secret.write(json.dumps({"username": role, "password": password.get_secret_value()}))
    return password


def _set_password(connection: Connection, role: str, password: SecretStr) -> None:
    quoted = connection.dialect.identifier_preparer.quote(role)
    # Made by libpq on this side, as psql's \password does: the password reaches neither the server nor a log of it.
    verifier = encrypt_password(
        password.get_secret_value(), role, scope=connection.connection.driver_connection, algorithm="scram-sha-256"
    )
    # psycopg2 puts the value into the statement on this side, so a parameter works in a utility statement too.
    connection.execute(text(f"ALTER ROLE {quoted} PASSWORD :verifier"), {"verifier": verifier})


def _see_login(settings: AdminSettings, role: str, password: SecretStr) -> None:
    if not _can_log_in(settings, role, password):
        raise AdminError(f"{role} cannot log in with the password just set: does the server allow SCRAM-SHA-256?")
    _log.info("credentials set", extra={"role": role})


def _password_for(role: str, secret: str | None) -> SecretStr | None:
    """The password in a secret's text, if it is one for this role."""
    try:
        value: Any = json.loads(secret or "")
    except ValueError:
        return None
    if not isinstance(value, dict) or value.get("username") != role or not isinstance(value.get("password"), str):
        return None
    return SecretStr(value["password"])


def _can_log_in(settings: AdminSettings, role: str, password: SecretStr) -> bool:
    """Whether the server takes this password. Raises OperationalError when it fails for any other reason."""
    try:
        with single_use_engine(settings, role, password).connect():
            return True
    except OperationalError as error:
        # libpq gives no SQLSTATE for a failed login, only the server's words.
        if "password authentication failed" in str(error.orig):
            return False
        raise


def sessions(settings: AdminSettings, limits: EndLimits | None) -> Iterator[Record]:
    """What the server's sessions do; with `limits`, those of the application that nobody uses are ended instead.

    Raises SQLAlchemyError.
    """
    with _connect_patiently(_master_engine(settings)).execution_options(isolation_level="AUTOCOMMIT") as connection:
        be_brief(connection)
        if limits is None:
            yield from look(connection)
            yield {"kind": "end", "app_users": settings.app_users}
        else:
            yield from end_unused(connection, settings.app_users, limits)


def _connect_patiently(engine: Engine) -> Connection:
    """Connect to a server that is full. Raises OperationalError.

    The slots kept for the master are counted with every attempt to connect that is not refused yet: while a service
    tries again and again, they seem to be taken for some milliseconds, and are free a moment later.
    """
    deadline = time.monotonic() + _SLOT_WAIT_SECONDS
    while True:
        try:
            return engine.connect()
        except OperationalError as error:
            if not is_full(error) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.02, 0.2))  # noqa: S311 - to meet a gap


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m settlement.admin", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare", help="migrate, make the application's users, write their secrets")
    renewing = commands.add_parser("renew", help="give the user that the service does not use a new password")
    renewing.add_argument("--secret", required=True, metavar="ARN", help="the user's secret")
    looking = commands.add_parser("sessions", help="tell what the server's sessions do, one JSON object a line")
    looking.add_argument(
        "--end", action="store_true", help="end those of the application that nobody uses, and tell which"
    )
    looking.add_argument("--idle-in-transaction-seconds", type=_positive, default=30.0, metavar="S")
    looking.add_argument("--idle-seconds", type=_positive, default=600.0, metavar="S")
    looking.add_argument(
        "--idle-above",
        type=float,
        default=0.8,
        metavar="SHARE",
        help="end idle ones while so many connections are taken",
    )
    looking.add_argument(
        "--spare-seconds",
        type=_positive,
        default=5.0,
        metavar="S",
        help="of the others, end the longest idle until fewer are taken, if they are idle for so long",
    )
    looking.add_argument("--address", nargs="+", default=[], metavar="IP", help="end only those from these addresses")
    dropping = commands.add_parser("drop-index", help="drop an invalid index that a migration left")
    dropping.add_argument("name", metavar="SCHEMA.NAME", help="as prepare named it")
    surveying = commands.add_parser("survey", help="tell what the database holds, one JSON object a line")
    surveying.add_argument(
        "--after", type=datetime.fromisoformat, required=True, metavar="TIME", help="count the rows since then too"
    )
    return parser


def _stop(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: what ends the work must not be interrupted
    raise Stopped


def _positive(value: str) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{value} is no number of seconds above 0")
    return number


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit code."""
    args = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        settings = AdminSettings()
        logging.config.dictConfig(logging_config(settings.log_level))
        if args.command == "sessions":
            limits = EndLimits(
                args.idle_in_transaction_seconds, args.idle_seconds, args.idle_above, args.spare_seconds, args.address
            )
            for record in sessions(settings, limits if args.end else None):
                print(json.dumps(record))
            return 0
        if args.command == "survey":
            with _master_engine(settings).begin() as connection:
                for record in survey(connection, args.after):
                    print(json.dumps(record))
            return 0
        secrets_of = {
            user: SecretsManagerSecret(arn, settings.aws_region) for user, arn in settings.app_secret_arns.items()
        }
        result: Prepared | Renewed | Dropped
        if args.command == "renew":
            user = next((user for user, arn in settings.app_secret_arns.items() if arn == args.secret), None)
            if user is None:
                raise AdminError(f"{args.secret} is the secret of none of the application's database users")
            result = renew(settings, user, secrets_of[user])
        elif args.command == "drop-index":
            result = drop_invalid_index(settings, args.name)
        else:
            result = prepare(settings, secrets_of)
    except (AdminError, SQLAlchemyError, ValidationError, BotoCoreError, ClientError) as error:
        print(json.dumps(failure(error)))
        return 1
    except Stopped:
        print(json.dumps(failure(AdminError("the task was stopped", kind="stopped"))))
        return 1
    print(json.dumps(asdict(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
