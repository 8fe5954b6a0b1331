"""Run a slow statement that holds a lock. Runs in a task of the application's image, as the application's user.

The program inserts a transaction, runs one statement for HOLD_SECONDS, and rolls back. A request with the same
Idempotency-Key waits that long and keeps a connection of its pool. The program prints each step as a line of JSON.
"""

import json
import os

import psycopg2
from settlement.settings import Settings

HOLD_SECONDS = float(os.environ.get("HOLD_SECONDS", "30"))
KEY = f"drill-slow-{os.getpid()}-{os.urandom(4).hex()}"

settings = Settings()
connection = psycopg2.connect(
    host=settings.database_host,
    port=settings.database_port,
    dbname=settings.database_name,
    user=settings.database_user,
    password=settings.database_password.get_secret_value(),
    sslmode=settings.database_sslmode,
    sslrootcert=settings.database_ca_file,
    application_name="settlement-close@drill",
)
with connection, connection.cursor() as cursor:
    cursor.execute("INSERT INTO accounts (name, currency) VALUES ('drill, slow', 'KRW') RETURNING id")
    row = cursor.fetchone()
    assert row  # noqa: S101 - for the type checker: an INSERT with RETURNING gives a row
    account = str(row[0])
with connection.cursor() as cursor:
    cursor.execute("SET statement_timeout = 0")  # the database role's own limit would end the statement
    cursor.execute(
        "INSERT INTO transactions (account_id, amount, currency, description, idempotency_key, request_hash)"
        " VALUES (%s, 1, 'KRW', 'drill', %s, '')",
        (account, KEY),
    )
    print(json.dumps({"held": account, "key": KEY}), flush=True)
    cursor.execute("/*action='close_month',route='drill'*/ SELECT pg_sleep(%s)", (HOLD_SECONDS,))
connection.rollback()
print(json.dumps({"over": account}), flush=True)
