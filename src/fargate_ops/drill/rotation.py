"""Check a rotation: the service's database user, the previous user's login, and a change outside a rotation."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fargate_ops.aws.clients import Clients
from fargate_ops.core.application import Application
from fargate_ops.database.incident.evidence import NoListing, read_listing
from fargate_ops.drill.connection_exhaustion import Program
from fargate_ops.drill.steady_state import DrillError, ServiceState
from fargate_ops.ecs.one_off import admin_task, newest_admin_definition
from fargate_ops.ecs.tasks import Runner
from fargate_ops.terraform.stack import Stack

Say = Callable[[str], None]

POLL_SECONDS = 0.5


def users(
    clients: Clients,
    stack: Stack,
    application: Application,
    limit_seconds: float,
    say: Say,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> list[str]:
    """Return which of the application's database users have sessions, as listed by the server.

    A drained task that still stops has sessions of the previous user, so the server is asked until one user is left, or
    the limit is over.

    Raises:
        DrillError: the listing is incomplete.
        TaskError: the listing task could not be run.
    """
    ecs = clients.client("ecs")
    revision = str(newest_admin_definition(ecs, stack)["taskDefinitionArn"])
    what = admin_task(stack, revision, application.admin("sessions"), purpose="drill")
    runner = Runner(ecs, clients.client("logs"), lambda _: None, poll_seconds=POLL_SECONDS)
    started = clock()
    while True:
        try:
            listing = read_listing(runner.run(what, limit_seconds).output)
        except NoListing as error:
            raise DrillError(f"the sessions could not be listed: {error}") from error
        found = sorted({str(item.user) for item in listing.sessions if item.user in listing.app_users})
        if len(found) <= 1 or clock() - started > limit_seconds:
            break
    say(f"  the application's sessions are {', '.join(found) or 'none'}")
    return found


def former_user(program: Program, revision: str, limit_seconds: float, say: Say) -> str:
    """Return the database user that a task of this revision logs in as. Raises DrillError and TaskError."""
    user = str(program.until(program.start("login.py", revision), "user", limit_seconds)["user"])
    say(f"  a task of {revision.rsplit('/', 1)[-1]} logs in as {user}")
    return user


def change(
    secretsmanager: Any,
    secret: str,
    read_state: Callable[[], ServiceState],
    limit_seconds: float,
    say: Say,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Write a secret's value again, outside a rotation, and wait until every task is replaced.

    Raises:
        DrillError: the tasks were not replaced within the limit.
    """
    before, started = read_state(), clock()
    value = secretsmanager.get_secret_value(SecretId=secret)["SecretString"]
    version = secretsmanager.put_secret_value(SecretId=secret, SecretString=value)["VersionId"]
    say(f"a new version of {secret.rsplit(':', 1)[-1]}: {version}")
    while True:
        seen = read_state()
        left = set(before.tasks) & set(seen.tasks)
        seconds = round(clock() - started, 1)
        if not left and not seen.missing:
            say(f"  {seconds:5.1f} s  all {len(before.tasks)} tasks were replaced")
            return {"replaced": len(before.tasks), "seconds": seconds}
        if seconds > limit_seconds:
            raise DrillError(f"{len(left)} tasks still run after {seconds:.0f} s: {seen.missing or 'unchanged'}")
        sleep(POLL_SECONDS)
