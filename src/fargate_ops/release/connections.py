"""Free database connections for new tasks, when the idle pools of the old tasks hold all of them.

The admin task connects as the master user, for whom PostgreSQL reserves some connections, and ends idle sessions
(https://www.postgresql.org/docs/current/runtime-config-connection.html): sessions of the application's users, from the
addresses of the old tasks, that were idle for a while. Each process keeps the most recently used sessions, and its pool
opens others when it needs them, so the old tasks still serve.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.ecs.tasks import Finished, TaskError

#: PostgreSQL's messages: only reserved connections are left, or none at all.
REFUSALS = ("connection slots are reserved", "too many clients already")
#: ECS accepts 8,192 characters of overrides.
MOST_ADDRESSES = 400
WAIT_SECONDS = 120.0


def are_exhausted(lines: Iterable[str]) -> bool:
    """Return whether a task's log shows that the database had no connection left."""
    return any(refusal in line for line in lines for refusal in REFUSALS)


def arguments(addresses: Sequence[str]) -> list[str]:
    """Return the arguments of ``sessions`` that end idle sessions of the tasks with these addresses."""
    return ["--end", "--idle-above", "0", "--address", *addresses[:MOST_ADDRESSES]]  # 0: all that can be spared


def free(run: Callable[[list[str]], Finished], addresses: Sequence[str], say: Callable[[str], None]) -> bool:
    """End those sessions by an admin task. Return whether any was ended.

    ``run`` runs the admin task ``sessions`` with arguments to its end. An error is printed, not raised.
    """
    if not addresses:
        say("  the database has no connection left, and no task of the service runs that could hold one")
        return False
    say("  the database has no connection left: ending idle sessions of the tasks that ran before")
    try:
        finished = run(arguments(addresses))
    except (TaskError, ClientError, BotoCoreError) as error:
        say(f"  no session was ended: {error}")
        return False
    end = _end(finished.output)
    if end is None or finished.stop.exit_code != 0:
        say(f"  no session was ended: {'; '.join([str(finished.stop), *finished.output[-1:]])}")
        return False
    say(f"  ended {end['ended']} sessions: {end['before']} connections before, {end['after']} after")
    return bool(end["ended"])


def _end(output: Sequence[str]) -> dict[str, Any] | None:
    for line in reversed(output):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("kind") == "end":
            return record
    return None
