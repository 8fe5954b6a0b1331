"""Lose rows of a table of the drill's own. Runs in an admin task; STEP is delete, count or drop.

delete: create the table, write DELETED rows, delete them some time after a whole second, and write LATER others. Print
that second, and the seconds of the first and the last row after it. count: print how many of both are there.
"""

import json
import os
import time
from datetime import datetime, timedelta, timezone

from roles.drill.files.connect import connect

connection = connect("rows", master=True)
connection.autocommit = True
cursor = connection.cursor()


def second(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"  # noqa: UP017 - also for an image with Python 3.10


def write(number: int, *, to_delete: bool) -> list[datetime]:
    written = []
    for _ in range(number):
        cursor.execute("INSERT INTO drill_rows (to_delete) VALUES (%s) RETURNING created_at", (to_delete,))
        written.append(cursor.fetchone()[0])
    return written


if os.environ["STEP"] in ("delete", "drop"):
    cursor.execute("DROP TABLE IF EXISTS drill_rows")
if os.environ["STEP"] == "delete":
    cursor.execute(
        "CREATE TABLE drill_rows (to_delete boolean NOT NULL, created_at timestamptz NOT NULL DEFAULT now())"
    )
    write(int(os.environ["DELETED"]), to_delete=True)
    cursor.execute("SELECT clock_timestamp()")
    now = cursor.fetchone()[0]
    point = now.replace(microsecond=0) + timedelta(seconds=1)
    time.sleep((point - now).total_seconds() + 0.2)
    cursor.execute("DELETE FROM drill_rows WHERE to_delete")
    deleted = cursor.rowcount
    later = write(int(os.environ["LATER"]), to_delete=False)
    seconds = {"point": second(point), "first": second(later[0]), "last": second(later[-1])}
    print(json.dumps({**seconds, "deleted": deleted, "later": len(later)}))
if os.environ["STEP"] == "count":
    cursor.execute("SELECT count(*) FILTER (WHERE to_delete), count(*) FILTER (WHERE NOT to_delete) FROM drill_rows")
    back, kept = cursor.fetchone()
    print(json.dumps({"back": back, "later": kept}))
