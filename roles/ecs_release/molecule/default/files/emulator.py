"""ECS without containers: the emulator, a service whose tasks start at once, and the application that they would be.

MiniStack without an engine marks tasks RUNNING when they are asked for. Here

- a one-off task ends at once with exit code 0 (there is nothing that could run),
- a task of the service whose environment has ``BROKEN`` stops with exit code 3, so that the circuit breaker sees it,
- ``/version`` and ``/readyz`` answer as the definition that PRIMARY runs would, for the verification,
- Application Auto Scaling is moto's.

Usage: ``emulator.py <port of the API> <port of Application Auto Scaling> <port of the application>``
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

API_PORT, AUTOSCALING_PORT, APP_PORT = sys.argv[1:]
os.environ |= {"GATEWAY_PORT": API_PORT, "BIND_HOST": "127.0.0.1", "DOCKER_HOST": "unix:///nonexistent"}

from ministack.app import main  # noqa: E402 - reads its environment when it is imported
from ministack.core.responses import request_scope  # noqa: E402
from ministack.services import ecs  # noqa: E402
from moto.applicationautoscaling.models import ApplicationAutoscalingBackend  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402

ACCOUNT, REGION = "000000000000", "ap-northeast-2"
run_task = ecs._run_task


def run_task_without_container(data: dict[str, Any]) -> Any:
    """RunTask, and then what the container would have come to."""
    answer = run_task(data)
    definition = ecs._task_defs.get(ecs._resolve_td_key(data["taskDefinition"])) or {"containerDefinitions": []}
    broken = any(
        variable["name"] == "BROKEN"
        for container in definition["containerDefinitions"]
        for variable in container.get("environment", [])
    )
    of_service = str(data.get("group", "")).startswith("service:")
    if broken or not of_service:
        arns = [task["taskArn"] for task in json.loads(answer[2])["tasks"]]
        for arn in arns:
            ecs._tasks[arn]["lastStatus"] = "PENDING"
        threading.Thread(target=_end, args=(arns, 3 if of_service else 0), daemon=True).start()
    return answer


def _end(arns: list[str], exit_code: int) -> None:
    time.sleep(0.2)
    with request_scope(ACCOUNT, REGION):
        for arn in arns:
            task, reason = ecs._tasks[arn], "EssentialContainerExited"
            ecs._mark_task_stopped(arn, task, "Essential container exited", reason, exit_code=exit_code)


class Application(BaseHTTPRequestHandler):
    """What the tasks of the only service would answer."""

    def do_GET(self) -> None:
        with request_scope(ACCOUNT, REGION):
            service = next(iter(ecs._services.values()))
            definition = ecs._task_defs[ecs._resolve_td_key(service["taskDefinition"])]
            tags = {tag["key"]: tag["value"] for tag in ecs._tags.get(definition["taskDefinitionArn"], [])}
        body = {"git_hash": tags.get("version"), "task_definition_revision": definition["revision"]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        """Quiet."""


ecs._run_task = run_task_without_container
ecs._ACTION_MAP["RunTask"] = run_task_without_container
# moto knows no ECS service here.
ApplicationAutoscalingBackend._ecs_service_exists_for_target = lambda *_: True  # type: ignore[method-assign]
ThreadedMotoServer(ip_address="127.0.0.1", port=int(AUTOSCALING_PORT), verbose=False).start()
application = ThreadingHTTPServer(("127.0.0.1", int(APP_PORT)), Application)
threading.Thread(target=application.serve_forever, daemon=True).start()
sys.argv = sys.argv[:1]
main()
