"""Run a slow statement while holding a lock on the table that the load reads most. Runs in an admin task.

Requests that read this table wait for HOLD_SECONDS, and each keeps a connection of its pool. The program prints each
step as a line of JSON.
"""

import json
import os
import time

from roles.drill.files.connect import connect

SAMPLE_SECONDS = 3.0  # a server process reports what it read once a second
SCANS = (
    "SELECT format('%I.%I', schemaname, relname), coalesce(seq_scan, 0) + coalesce(idx_scan, 0)"
    " FROM pg_stat_user_tables"
)

connection = connect("close", master=True)
connection.autocommit = True
cursor = connection.cursor()


def scans() -> dict[str, int]:
    cursor.execute(SCANS)
    return dict(cursor.fetchall())


before = scans()
time.sleep(SAMPLE_SECONDS)
number, table = max(((number - before.get(table, 0), table) for table, number in scans().items()), default=(0, ""))
if not number:
    raise SystemExit("the load reads no table: app_load_file needs a request that does")
connection.autocommit = False
cursor.execute(f"LOCK TABLE {table}")
print(json.dumps({"held": table}), flush=True)
cursor.execute("/*action='close_month',route='drill'*/ SELECT pg_sleep(%s)", (float(os.environ["HOLD_SECONDS"]),))
connection.rollback()
print(json.dumps({"over": table}), flush=True)
