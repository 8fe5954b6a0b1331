"""`login`: log in to the database with the credentials that this task was given.

Run as a one-off task of the service's own task definition, it shows whether the service's tasks can log in. No
credential leaves the task.
"""

from dataclasses import dataclass

from fargate_app.database import single_use_engine
from fargate_app.settings import DatabaseSettings


@dataclass(frozen=True)
class LoggedIn:
    """The result of `login`: the user."""

    user: str


def log_in(settings: DatabaseSettings) -> LoggedIn:
    """Log in once. Raises SQLAlchemyError."""
    with single_use_engine(settings, settings.database_user, settings.database_password).connect():
        return LoggedIn(settings.database_user)
