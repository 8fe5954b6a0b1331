"""AWS without containers: the emulator, ECS tasks that need no engine, and the application's answers.

MiniStack without an engine marks tasks RUNNING as soon as they are requested. This emulator differs:

- A one-off task runs its command on this machine in `image/`; output and exit code are those of the command.
- A task of the service whose environment has ``BROKEN`` stops with exit code 3, which the circuit breaker counts.
- ``/version`` and ``/readyz`` answer for the definition that PRIMARY runs, so that a release can be verified.
- Application Auto Scaling and Cost Explorer are moto's.
- Load balancers have zonal shifts (ARC), which have no effect.
- ECR returns the scans of ``image_scans.json`` in the folder.

Usage: ``emulator.py <port of the API> <port of Application Auto Scaling, or 0> <port of the application> <folder>``
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

API_PORT, AUTOSCALING_PORT, APP_PORT, FOLDER = sys.argv[1:]
os.environ |= {
    "GATEWAY_PORT": API_PORT,
    "BIND_HOST": "127.0.0.1",
    "DOCKER_HOST": "unix:///nonexistent",
    "MINISTACK_REGION": "ap-northeast-2",
}

from ministack.app import main  # noqa: E402 - reads its environment when it is imported
from ministack.core.responses import request_scope  # noqa: E402
from ministack.services import cloudwatch_logs, ecs  # noqa: E402

from fargate_ops.ecs.tasks import log_stream  # noqa: E402
from local_cloud.account import ecr_scans  # noqa: E402
from local_cloud.core.patching import install  # noqa: E402
from local_cloud.elbv2 import zonal_shifts  # noqa: E402

ACCOUNT, REGION = "000000000000", "ap-northeast-2"
IMAGE = Path(__file__).parent / "image"
run_task = ecs._run_task


def run_task_without_container(data: dict[str, Any]) -> Any:
    """Run the task, then simulate the outcome of its container."""
    answer = run_task(data)
    definition = ecs._task_defs.get(ecs._resolve_td_key(data["taskDefinition"])) or {"containerDefinitions": []}
    of_service = str(data.get("group", "")).startswith("service:")
    for task in json.loads(answer[2]).get("tasks", []):
        arn = task["taskArn"]
        if not of_service:
            override = (task["overrides"].get("containerOverrides") or [{}])[0]
            threading.Thread(target=_execute, args=(arn, definition, override), daemon=True).start()
        elif _is_broken(definition):
            ecs._tasks[arn]["lastStatus"] = "PENDING"
            threading.Timer(0.2, _end, (arn, 3)).start()
        else:
            _log(arn, definition, [])
    return answer


def _is_broken(definition: dict[str, Any]) -> bool:
    containers = definition["containerDefinitions"]
    return any(item["name"] == "BROKEN" for container in containers for item in container.get("environment", []))


def _execute(arn: str, definition: dict[str, Any], override: dict[str, Any]) -> None:
    """Run a one-off task's command until it ends or the task is stopped; write its log like awslogs."""
    environment = {item["name"]: item["value"] for item in override.get("environment", [])}
    command = [sys.executable if word == "python" else word for word in override["command"]]
    process = subprocess.Popen(
        command,
        cwd=IMAGE,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while process.poll() is None:
        if ecs._tasks[arn]["lastStatus"] == "STOPPED":
            process.kill()
        time.sleep(0.05)
    _log(arn, definition, process.communicate()[0].splitlines())
    _end(arn, process.returncode)


def _log(arn: str, definition: dict[str, Any], lines: list[str]) -> None:
    """Create the task's log stream, as the awslogs driver does when a container starts, and write these lines to it."""
    stream = log_stream(definition, definition["containerDefinitions"][0]["name"], arn)
    if stream:
        where = {"logGroupName": stream.group, "logStreamName": stream.stream}
        with request_scope(ACCOUNT, REGION):
            cloudwatch_logs._create_log_stream(where)
            cloudwatch_logs._put_log_events({**where, "logEvents": [{"message": line} for line in lines]})


def _end(arn: str, exit_code: int) -> None:
    with request_scope(ACCOUNT, REGION):
        reason = "Essential container in task exited"
        ecs._mark_task_stopped(arn, ecs._tasks[arn], reason, "EssentialContainerExited", exit_code=exit_code)


class Application(BaseHTTPRequestHandler):
    """Answers like the tasks of the only service."""

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
        """Log nothing."""


def serve_autoscaling(port: int) -> None:
    """Start moto's server, without its check that the ECS service exists."""
    # Imported here, because the import takes two seconds.
    from moto.applicationautoscaling.models import ApplicationAutoscalingBackend
    from moto.server import ThreadedMotoServer

    from local_cloud.moto_server import cost_explorer

    cost_explorer.patch_moto(cost_explorer.AnomalyDetection())
    ApplicationAutoscalingBackend._ecs_service_exists_for_target = lambda *_: True  # type: ignore[method-assign]
    ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False).start()


ecs._run_task = run_task_without_container
ecs._ACTION_MAP["RunTask"] = run_task_without_container
install(zonal_shifts.Handlers(zonal_shifts.Shifts(zonal_shifts.zone_ids)))
install(ecr_scans.Handlers(Path(FOLDER, ecr_scans.FILE)))
if int(AUTOSCALING_PORT):
    serve_autoscaling(int(AUTOSCALING_PORT))
application = ThreadingHTTPServer(("127.0.0.1", int(APP_PORT)), Application)
threading.Thread(target=application.serve_forever, daemon=True).start()
sys.argv = sys.argv[:1]
main()
