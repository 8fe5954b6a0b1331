"""Connect to the database with the environment variables of a task, by the driver of its image."""

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

driver = import_module("psycopg" if find_spec("psycopg") else "psycopg2")


def connect(program: str, *, master: bool = False) -> Any:
    """Return a connection as the application's user, or in an admin task as the master user."""
    user, password = ("MASTER_USERNAME", "MASTER_PASSWORD") if master else ("DATABASE_USER", "DATABASE_PASSWORD")
    return driver.connect(
        host=os.environ["DATABASE_HOST"],
        port=os.environ["DATABASE_PORT"],
        dbname=os.environ["DATABASE_NAME"],
        user=os.environ[user],
        password=os.environ[password],
        sslmode=os.environ.get("DATABASE_SSLMODE") or "verify-full",
        sslrootcert=os.environ.get("DATABASE_CA_FILE") or "/etc/ssl/rds/ca.pem",
        connect_timeout=5,
        application_name=f"{os.environ.get('APP_NAME') or 'app'}-{program}@drill",
    )
