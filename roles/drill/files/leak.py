"""Leak database sessions. Runs in a task of the application's image, as the application's user.

The program takes every connection that the server gives and leaves each idle in a transaction. It also terminates the
service's idle sessions and takes their connections, which a pool's recycling would release in time. Meanwhile one other
transaction stays active and is committed at the end. The program ends when the leaked sessions are terminated, or fails
after LIMIT_SECONDS. It prints each step as a line of JSON. It is passed as one argument.
"""

import json
import os
import select
import threading
import time
from typing import Any

from roles.drill.files.connect import connect, driver

LIMIT_SECONDS = float(os.environ.get("LIMIT_SECONDS", "120"))
ROUNDS = 20
WORK = "/*action='close_month',route='drill'*/ SELECT pg_sleep(0.2)"
LEAK = "/*action='export_statements',route='drill'*/ SELECT 1"

deadline = time.monotonic() + LIMIT_SECONDS


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def leak() -> Any:
    """One more session; None when the server has no connection left."""
    try:
        connection = connect("export")
    except driver.OperationalError as error:
        say(refused=str(error).strip().splitlines()[-1])
        return None
    cursor = connection.cursor()
    # The database role's own limit would end this within half a minute; a job that needs longer turns it off.
    cursor.execute("SET idle_in_transaction_session_timeout = 0")
    cursor.execute(LEAK)
    return connection


def end_the_services(worker: Any) -> int:
    """End the service's idle sessions, as any user may end their own; how many it still has."""
    cursor = worker.cursor()
    cursor.execute(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE usename = current_user AND state = 'idle'"
        " AND application_name <> current_setting('application_name')"
    )
    return int(cursor.fetchone()[0])


def cut(connection: Any) -> bool:
    """Whether the server ended this session: an idle one has nothing else to say."""
    return bool(select.select([connection], [], [], 0)[0])


class Work(threading.Thread):
    """A transaction that is open through it all, and never idle for long. `kept`: the server has committed it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.connection = connect("close")
        self.done = threading.Event()
        self.kept = False
        self.failed: str | None = None

    def run(self) -> None:
        try:
            cursor = self.connection.cursor()
            cursor.execute("SELECT pg_current_xact_id()::text")
            number = cursor.fetchone()[0]
            while not self.done.is_set():
                cursor.execute(WORK)
            self.connection.commit()
            cursor.execute("SELECT pg_xact_status(%s::xid8)", (number,))
            self.kept = cursor.fetchone()[0] == "committed"
        except driver.Error as error:
            self.failed = str(error)


work, helper = Work(), connect("close")
helper.autocommit = True
work.start()
leaked: list[Any] = []
for _ in range(ROUNDS):
    while (connection := leak()) is not None:
        leaked.append(connection)
    if end_the_services(helper) == 0:
        break
    time.sleep(0.1)
helper.close()
if (connection := leak()) is not None:
    leaked.append(connection)
say(full=len(leaked))
while not all(cut(connection) for connection in leaked) and time.monotonic() < deadline:
    time.sleep(0.1)
ended = sum(cut(connection) for connection in leaked)
work.done.set()
work.join()
say(leaked=len(leaked), ended=ended, kept=work.kept, failed=work.failed)
raise SystemExit(0 if work.kept and ended == len(leaked) else 1)
