"""Log in with the task definition's credentials, in a task of the application's image, and print the user."""

import json

import psycopg2
from settlement.settings import Settings

settings = Settings()
connection = psycopg2.connect(
    host=settings.database_host,
    port=settings.database_port,
    dbname=settings.database_name,
    user=settings.database_user,
    password=settings.database_password.get_secret_value(),
    sslmode=settings.database_sslmode,
    sslrootcert=settings.database_ca_file,
    application_name="settlement-login@drill",
)
with connection.cursor() as cursor:
    cursor.execute("SELECT current_user")
    print(json.dumps({"user": cursor.fetchone()[0]}), flush=True)  # type: ignore[index]
