"""An instance's PostgreSQL log is exported to CloudWatch Logs.

What AWS does: with ``EnableCloudwatchLogsExports`` an instance's log is written within seconds to the group
``/aws/rds/instance/<identifier>/postgresql``, which RDS creates if it does not exist
(https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_LogAccess.Concepts.PostgreSQL.html#USER_LogAccess.Concepts.PostgreSQL.PublishtoCloudWatchLogs).
The export continues after a reboot.

Without this patch: the emulator exports nothing.

For each container a thread waits for the engine's log stream. Once a second, another thread looks for new and deleted
databases.
"""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
import time
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.runtime import Cloud
from local_cloud.rds.postgres_log import Assembler, Event

logger = logging.getLogger(__name__)

EXPORTED_UNTIL = "_exported_until"
"""Key of an instance's record: the engine's time of the newest line that was exported."""
_LOOK_SECONDS = 1.0
_QUIET_SECONDS = 1.0
"""A message is complete if nothing follows for this time: PostgreSQL writes each in one piece."""
_BATCH_SECONDS = 1.0


def apply(cloud: Cloud) -> None:
    exporter = Exporter()
    cloud.at_start(exporter.start)
    cloud.at_stop(exporter.stop)


@dataclasses.dataclass(frozen=True)
class Source:
    """One container's log and its instance."""

    account: str
    region: str
    identifier: str
    container: str


class Exporter:
    """Follows the log of every instance with the export enabled."""

    def __init__(self) -> None:
        self._rds = emulator.service("rds")
        self._followers: dict[Source, Follower] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rds-log-export", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():  # it was never started if the cloud failed to start
            self._thread.join()
        for follower in self._followers.values():
            follower.close()

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            try:
                self._look()
            except Exception:
                logger.exception("looking for PostgreSQL logs to export failed")

    def _look(self) -> None:
        wanted = {
            Source(account, region, identifier, instance["_docker_container_id"]): instance
            for (account, region, identifier), instance in list(self._rds._instances._data.items())
            if instance.get("Engine") == "postgres"
            and "postgresql" in instance.get("EnabledCloudwatchLogsExports", [])
            and instance.get("_docker_container_id")
        }
        for source in [source for source in self._followers if source not in wanted]:
            self._followers.pop(source).close()
        for source, instance in wanted.items():
            follower = self._followers.get(source)
            # A follower ends with its container, which starts again after a reboot.
            if (follower is None or follower.ended()) and self._runs(source):
                self._followers[source] = Follower(self._rds, source, instance)

    def _runs(self, source: Source) -> bool:
        from docker.errors import NotFound

        try:
            return bool(self._rds._get_docker().containers.get(source.container).status == "running")
        except NotFound:
            return False


class Follower:
    """Two threads: one reads the stream, the other sends the events to CloudWatch Logs."""

    def __init__(self, rds: Any, source: Source, instance: dict[str, Any]) -> None:
        self._rds = rds
        self._source = source
        self._instance = instance
        self._frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._stream = (
            rds._get_docker().containers.get(source.container).logs(stream=True, follow=True, timestamps=True)
        )
        self._writer = threading.Thread(target=self._write, name=f"rds-log-{source.identifier}", daemon=True)
        threading.Thread(target=self._read, name=f"rds-log-{source.identifier}-stream", daemon=True).start()
        self._writer.start()

    def ended(self) -> bool:
        return not self._writer.is_alive()

    def close(self) -> None:
        self._stream.close()

    def _read(self) -> None:
        try:
            for frame in self._stream:
                self._frames.put(frame)
        except Exception as error:
            # The engine closes the stream when the container is removed.
            logger.debug("log of %s: %s", self._source.identifier, error)
        finally:
            self._frames.put(None)

    def _write(self) -> None:
        assembler = Assembler(self._instance.get(EXPORTED_UNTIL, ""))
        began = 0.0
        while True:
            quiet = assembler.waiting()
            try:
                frame = self._frames.get(timeout=_QUIET_SECONDS if quiet else None)
            except queue.Empty:
                self._send_events(assembler)
                continue
            if frame is None:
                self._send_events(assembler)
                return
            if not assembler.feed(frame):
                logger.warning("log of RDS instance %s: %r; it is read again", self._source.identifier, frame)
            began = began if quiet else time.monotonic()
            if time.monotonic() - began > _BATCH_SECONDS:
                self._send_events(assembler)

    def _send_events(self, assembler: Assembler) -> None:
        if events := assembler.take():
            try:
                self._put(events)
            except Exception:
                logger.exception("log of RDS instance %s was not exported", self._source.identifier)
        self._instance[EXPORTED_UNTIL] = assembler.seen_until

    def _put(self, events: list[Event]) -> None:
        source = self._source
        logs = emulator.service("cloudwatch_logs")
        with emulator.core("responses").request_scope(source.account, source.region):
            # The last lines of an instance that is being deleted must not create its log group again.
            if self._rds._instances.get(source.identifier) is not self._instance:
                return
            group, stream = f"/aws/rds/instance/{source.identifier}/postgresql", f"{source.identifier}.0"
            if group not in logs._log_groups:
                logs._create_log_group({"logGroupName": group})
            if stream not in logs._log_groups[group]["streams"]:
                logs._create_log_stream({"logGroupName": group, "logStreamName": stream})
            logs._put_log_events(
                {
                    "logGroupName": group,
                    "logStreamName": stream,
                    "logEvents": [{"timestamp": event.timestamp, "message": event.message} for event in events],
                }
            )
