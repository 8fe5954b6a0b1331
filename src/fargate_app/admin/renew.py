"""`renew`: a new password for the user that the service does not use."""

from dataclasses import dataclass

from fargate_app.admin.connection import exclusive_connection
from fargate_app.admin.credentials import check_login, renew_credentials
from fargate_app.admin.secret_store import SecretStore
from fargate_app.admin.sessions import end_all
from fargate_app.admin.users import Grants, ensure_user
from fargate_app.settings import AdminSettings


@dataclass(frozen=True)
class Renewed:
    """The result of `renew`: the user, and how many sessions with the old password were terminated."""

    user: str
    ended: int
    changed: bool = True


def renew(settings: AdminSettings, user: str, secret: SecretStore, grants: Grants | None = None) -> Renewed:
    """Set a new password for a user that the service does not use, and terminate the sessions opened with the old one.

    Raises AdminError, SQLAlchemyError, and what the secret store raises.
    """
    with exclusive_connection(settings) as connection:
        ensure_user(connection, settings, user, grants)
        password = renew_credentials(connection, user, secret)
        with connection.begin():
            ended = end_all(connection, user)
        check_login(settings, user, password)
    return Renewed(user, ended)
