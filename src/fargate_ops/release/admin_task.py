"""Run the one-off admin tasks of a release or a rotation, one after the other, within the command's time limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from fargate_ops.core.application import NO_ADMIN_COMMAND
from fargate_ops.ecs.one_off import admin_task, newest_admin_definition
from fargate_ops.ecs.tasks import Finished, Runner, describe_tasks, list_tasks, private_address, short
from fargate_ops.release import connections
from fargate_ops.release.context import Context
from fargate_ops.release.deadline import LEAST_SECONDS
from fargate_ops.release.guard import Guard


class AdminTasks:
    """Runs one-off tasks of the admin family."""

    def __init__(self, context: Context, guard: Guard) -> None:
        self.c = context
        self._guard = guard
        self._ecs = context.clients.client("ecs")

    def run(
        self,
        subcommand: str,
        arguments: Sequence[str],
        revision: str,
        *,
        complete: Callable[[Sequence[str]], bool] | None = None,
    ) -> Finished:
        """Run a subcommand of the admin command to its end. Wait first for a task that an interrupted run left.

        It also logs in as the application's user, for whom PostgreSQL reserves no connection. If the database was
        full, connections are freed and the task runs once more. ``complete`` returns whether the output has its result.

        Raises:
            TaskError: it could not be started, or did not end in time.
            OperationsError: the application has no admin command.
        """
        # The command's time must also suffice for the update that follows, and for undoing it.
        wait = self._guard.within(self.c.limits.prepare_wait, keep=self.c.limits.rollback_wait + LEAST_SECONDS)
        # The server limits the statement itself, in case this run ends before it can stop the task.
        own_limit = {"PREPARE_TIMEOUT_SECONDS": f"{max(1, wait):.0f}"}
        runner = self._runner()
        command = self.c.application.admin(subcommand, *arguments)
        what = admin_task(self.c.stack, revision, command, purpose=subcommand, environment=own_limit)
        follow = partial(runner.follow, what.cluster, what.container, limit_seconds=wait, complete=complete)
        for arn in runner.left_running(what):
            self.c.say(f"an interrupted run left {short(arn)} running: waiting for it")
            follow(arn)
        finished = follow(runner.start(what))
        if finished.stop.exit_code != 0 and connections.are_exhausted(finished.output):
            arns = list_tasks(self._ecs, self.c.cluster, serviceName=self.c.service)
            tasks = describe_tasks(self._ecs, self.c.cluster, arns)
            if self.free_connections([private_address(task) for task in tasks]):
                finished = follow(runner.start(what))
        return finished

    def free_connections(self, addresses: Sequence[str]) -> bool:
        """End idle sessions of the tasks with these addresses. Return whether any was; none without a database."""
        if not self.c.application.database:
            return False
        if not self.c.application.admin_command:
            self.c.say(f"  the database has no connection left; {NO_ADMIN_COMMAND}, so no session is ended")
            return False
        return connections.free(self._end_sessions, sorted(filter(None, addresses)), self.c.say)

    def _end_sessions(self, arguments: Sequence[str]) -> Finished:
        command = self.c.application.admin("sessions", *arguments)
        revision = str(newest_admin_definition(self._ecs, self.c.stack)["taskDefinitionArn"])
        what = admin_task(self.c.stack, revision, command, purpose="connections")
        return self._runner().run(what, connections.WAIT_SECONDS)

    def _runner(self) -> Runner:
        return Runner(
            self._ecs,
            self.c.clients.client("logs"),
            self.c.say,
            poll_seconds=self.c.limits.poll,
            log_grace_seconds=self.c.limits.log_grace,
            sleep=self.c.sleep,
        )
