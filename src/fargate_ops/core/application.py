"""The contract with the application: all that the operations know of its image.

- It listens on ``port`` as a user other than root, and ends within the stop timeout after SIGTERM.
- ``health_path`` returns 200 if the process may get requests. ``ready_path`` returns 200 if the database can be used.
- ``version_path`` returns a JSON object: ``git_hash``, and if known ``image_digest`` and ``task_definition_revision``.
- ``admin_command`` with a subcommand prepares the database, renews passwords, and lists or terminates sessions. Each
  subcommand prints JSON, one object a line.
- Its log has the messages below, each in the field ``message`` of a JSON line.

An application may lack everything but the port and the health path. docs/your-application.md describes each part, and
what is lost without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fargate_ops.core.problem import OperationsError

#: The database refused a connection or a statement.
CANNOT_BE_USED = "the database cannot be used"
#: A request found no free connection in its process's pool.
NO_FREE_CONNECTION = "no free database connection"
#: Part of both messages on a session that a request holds for long. The field ``endpoint`` names the request.
HELD_TOO_LONG = "held too long"
#: Beginning of that message while the request still holds the session.
STILL_HELD = "a session is"
#: The pool's metrics, in the fields ``PoolInUse`` and ``PoolSize``.
POOL_METRICS = "database pool"

#: Why something is not done without an admin command, and the next step.
NO_ADMIN_COMMAND = "the application has no admin command (app_admin_command)"
ADMIN_COMMAND_NEXT = "give the image one and name it in app_admin_command (docs/your-application.md)"


@dataclass(frozen=True, kw_only=True)
class Application:
    """The contract's settings. An empty path or command: the application has none. ``name`` is the inventory's.

    Without a ``database`` there is no admin task, and so no ``admin_command``.
    """

    name: str
    port: int
    health_path: str
    ready_path: str = ""
    version_path: str = ""
    admin_command: Sequence[str] = ()
    database: bool = True

    @classmethod
    def from_fact(cls, fact: Mapping[str, Any]) -> Application:
        """Return the contract from the playbooks' variable ``app_contract``."""
        database = bool(fact["database"])
        return cls(
            name=str(fact["name"]),
            port=int(fact["port"]),
            health_path=str(fact["health_path"]),
            ready_path=str(fact.get("ready_path") or ""),
            version_path=str(fact.get("version_path") or ""),
            admin_command=[str(word) for word in fact.get("admin_command") or ()] if database else [],
            database=database,
        )

    def admin(self, subcommand: str, *arguments: str) -> list[str]:
        """Return the command of an admin task.

        Raises:
            OperationsError: the application has no admin command.
        """
        if not self.admin_command:
            raise OperationsError(f"{NO_ADMIN_COMMAND}, so nothing can {subcommand}. Next: {ADMIN_COMMAND_NEXT}")
        return [*self.admin_command, subcommand, *arguments]
