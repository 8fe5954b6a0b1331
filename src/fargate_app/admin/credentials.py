"""The passwords of the application's database users, and the secrets that hold them."""

import json
import logging
import secrets
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from fargate_app.admin.failures import AdminError
from fargate_app.admin.secret_store import SecretStore
from fargate_app.database import single_use_engine
from fargate_app.driver import is_wrong_password, password_verifier
from fargate_app.settings import AdminSettings

_log = logging.getLogger("fargate_app.admin")


def ensure_credentials(connection: Connection, settings: AdminSettings, role: str, secret: SecretStore) -> bool:
    """Make the database accept the secret's credentials; create some if the secret has none.

    A restored database has the passwords of its time. Returns whether anything changed. Raises AdminError.
    """
    known = _password_for(role, secret.read())
    if known is None:
        check_login(settings, role, renew_credentials(connection, role, secret))
        return True
    if _can_log_in(settings, role, known):
        return False
    # The secret keeps its value: another database, to which one may return, accepts it too.
    with connection.begin():
        _set_password(connection, role, known)
    check_login(settings, role, known)
    return True


def renew_credentials(connection: Connection, role: str, secret: SecretStore) -> SecretStr:
    """Set a new password, write it to the secret and return it."""
    password = SecretStr(secrets.token_urlsafe(32))
    with connection.begin():
        _set_password(connection, role, password)
        # Before the commit: if writing fails, the old password still works and the running tasks stay connected.
        secret.write(json.dumps({"username": role, "password": password.get_secret_value()}))
    return password


def _set_password(connection: Connection, role: str, password: SecretStr) -> None:
    quoted = connection.dialect.identifier_preparer.quote(role)
    verifier = password_verifier(connection, role, password.get_secret_value())
    connection.execute(text(f"ALTER ROLE {quoted} PASSWORD :verifier"), {"verifier": verifier})


def check_login(settings: AdminSettings, role: str, password: SecretStr) -> None:
    """Raise AdminError unless the server accepts this password."""
    if not _can_log_in(settings, role, password):
        raise AdminError(f"{role} cannot log in with the password just set: does the server allow SCRAM-SHA-256?")
    _log.info("credentials set", extra={"role": role})


def _password_for(role: str, secret: str | None) -> SecretStr | None:
    """Return the password in a secret's text, or None if it is not this role's."""
    try:
        value: Any = json.loads(secret or "")
    except ValueError:
        return None
    if not isinstance(value, dict) or value.get("username") != role or not isinstance(value.get("password"), str):
        return None
    return SecretStr(value["password"])


def _can_log_in(settings: AdminSettings, role: str, password: SecretStr) -> bool:
    """Return whether the server accepts this password. Raises OperationalError for any other failure."""
    try:
        with single_use_engine(settings, role, password).connect():
            return True
    except OperationalError as error:
        if is_wrong_password(error):
            return False
        raise
