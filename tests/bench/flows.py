"""Durations of the playbooks, on a local cloud with a deployed service.

The floor of release and rollback is the minimum that any tool has to do: UpdateService, then DescribeServices every
0.3 s until that deployment is COMPLETED and the only one, with all its tasks running. The floor of a deploy without a
change is `terraform plan`, once for each of the two roots.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.bench.load import BenchError, Load, ensure_wrk, run_wrk
from tests.bench.measure import Row, alternate, ratio
from tests.e2e.conftest import ENVIRONMENT, LOAD_BALANCER_PORT, Clone

SERVICE = "settlement-local"
POLL_SECONDS = 0.3
FLOW_SECONDS = 900
CONNECTIONS = 16
LOAD_SECONDS = 5
MIGRATIONS = 3
#: As make sets it. Without bytecode every command compiles all its packages again, which takes seconds.
BYTECODE = {"PYTHONPYCACHEPREFIX": str(ENVIRONMENT / "pycache"), "PYTHONDONTWRITEBYTECODE": ""}

FLOOR = "UpdateService, polled every 0.3 s (floor)"
RELEASE_PHASE = "release phase"
MIGRATION = '''"""An unused column."""

import sqlalchemy as sa
from alembic import op

revision = "{number:04}"
down_revision = "{before:04}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it."""
    op.add_column("accounts", sa.Column("bench_{number}", sa.Text))
'''


@dataclass(frozen=True)
class Flow:
    """A finished playbook. Seconds of the entire command, and of its release phases."""

    wall: float
    release_phase: float


def play(clone: Clone, name: str, **variables: Any) -> Flow:
    """Run ``ansible-playbook playbooks/<name>.yml`` in the clone. Raises BenchError if it fails."""
    command = ["ansible-playbook", "-i", "inventory/local", f"playbooks/{name}.yml"]
    command += ["-e", json.dumps(clone.variables | variables)]
    path = f"{ENVIRONMENT}/bin:{os.environ['PATH']}"
    started = time.monotonic()
    done = subprocess.run(
        command,
        cwd=clone.path,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(clone.path / "src")} | BYTECODE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    wall = time.monotonic() - started
    if done.returncode:
        raise BenchError(f"playbooks/{name}.yml failed:\n{done.stdout[-4000:]}")
    phases = json.loads((clone.path / ".local/local/outcome.json").read_text())["phases"]
    return Flow(wall, sum(phases.get(role, 0.0) for role in ("ecs_release", "release_checks", "service_verify")))


# -- release and rollback -------------------------------------------------------------------------------------------


def releases(rounds: int, cloud: Callable[[], Clone]) -> list[Row]:
    """Measure a release, a rollback and a release with a migration, each against the floor."""
    clone = cloud()
    return [*_released(clone, rounds), *_rolled_back(clone, rounds), *_migrated(clone, min(rounds, MIGRATIONS))]


def _released(clone: Clone, rounds: int) -> list[Row]:
    """Change one environment variable; the image is already in the registry."""
    inventory = yaml.safe_load((clone.path / "inventory/local/group_vars/all/app.yml").read_text())
    numbers = itertools.count(1)
    phases: list[float] = []

    def release() -> float:
        variables = inventory["app_environment"] | {"BENCH_RUN": str(next(numbers))}
        flow = play(clone, "release", app_environment=variables)
        phases.append(flow.release_phase)
        return flow.wall

    whole = "playbooks/release.yml, entire command"
    runs = alternate({whole: release, FLOOR: _there_and_back(clone)}, rounds)
    runs[RELEASE_PHASE] = phases
    return _rows("release", runs, {RELEASE_PHASE: 1.3, whole: 1.3})


def _rolled_back(clone: Clone, rounds: int) -> list[Row]:
    """Roll back one release further each time, as many times as there were releases."""
    whole = "playbooks/rollback.yml, entire command"
    runs = alternate({whole: lambda: play(clone, "rollback").wall, FLOOR: _there_and_back(clone)}, rounds)
    return _rows("rollback", runs, {whole: 1.2})


def _migrated(clone: Clone, rounds: int) -> list[Row]:
    """Build, migrate and release a commit with a migration."""
    versions = clone.path / "app/api/settlement/migrations/versions"
    phases: list[float] = []

    def release() -> float:
        number = int(max(path.name for path in versions.glob("[0-9]*.py"))[:4]) + 1
        path = f"app/api/settlement/migrations/versions/{number:04}_bench_{number}.py"
        (clone.path / path).write_text(MIGRATION.format(number=number, before=number - 1))
        clone.git("add", path)
        clone.git("commit", "--quiet", "--message", f"test: migration {number}")
        flow = play(clone, "release")
        phases.append(flow.release_phase)
        return flow.wall

    whole = "playbooks/release.yml, with the image build"
    runs = alternate({whole: release, FLOOR: _there_and_back(clone)}, rounds)
    runs[RELEASE_PHASE] = phases
    return _rows("release with a migration", runs, {})


def _rows(benchmark: str, runs: dict[str, list[float]], at_most: dict[str, float]) -> list[Row]:
    return [
        Row(
            benchmark=benchmark,
            variant=variant,
            unit="s",
            runs=seconds,
            ratio=None if variant == FLOOR else ratio(runs, variant, FLOOR),
            at_most=at_most.get(variant),
        )
        for variant, seconds in runs.items()
    ]


def _there_and_back(clone: Clone) -> Callable[[], float]:
    """Return the floor: switch to another revision and back, so that the ledger stays correct; the mean of both."""
    ecs = clone.aws("ecs")

    def measure() -> float:
        here = _service(ecs)["taskDefinition"]
        family = here.rpartition(":")[0].rpartition("/")[2]
        revisions = ecs.list_task_definitions(familyPrefix=family, status="ACTIVE")["taskDefinitionArns"]
        # The emulator matches a prefix of the family, AWS its full name.
        others = [arn for arn in revisions if arn != here and arn.rpartition(":")[0] == here.rpartition(":")[0]]
        there = max(others, key=lambda arn: int(arn.rpartition(":")[2]))
        return (_bare_update(ecs, there) + _bare_update(ecs, here)) / 2

    return measure


def _service(ecs: Any) -> dict[str, Any]:
    found: dict[str, Any] = ecs.describe_services(cluster=SERVICE, services=[SERVICE])["services"][0]
    return found


def _bare_update(ecs: Any, revision: str) -> float:
    started = time.monotonic()
    ecs.update_service(cluster=SERVICE, service=SERVICE, taskDefinition=revision)
    while True:
        service = _service(ecs)
        [primary, *others] = service["deployments"]
        if primary["taskDefinition"] != revision:
            raise BenchError(f"the floor's deployment of {revision} was rolled back: {service['events'][:5]}")
        alone = not others and primary["runningCount"] == primary["desiredCount"]
        if alone and primary["rolloutState"] == "COMPLETED" and primary["taskDefinition"] == revision:
            return time.monotonic() - started
        if time.monotonic() - started > FLOW_SECONDS:
            raise BenchError(f"the floor's deployment of {revision} did not complete: {service['deployments']}")
        time.sleep(POLL_SECONDS)


# -- deploy without a change, and the load balancer -----------------------------------------------------------------


def deploys(rounds: int, cloud: Callable[[], Clone]) -> list[Row]:
    """Measure a deploy without a change against `terraform plan` of both roots."""
    whole, floor = "playbooks/deploy.yml, no change", "terraform plan, both roots (floor)"
    clone = cloud()
    play(clone, "deploy")
    runs = alternate({whole: lambda: play(clone, "deploy").wall, floor: lambda: _plans(clone)}, rounds)
    return [
        Row(
            benchmark="deploy without a change",
            variant=whole,
            unit="s",
            runs=runs[whole],
            ratio=ratio(runs, whole, floor),
            at_most=0.8,
        ),
        Row(benchmark="deploy without a change", variant=floor, unit="s", runs=runs[floor]),
    ]


def _plans(clone: Clone) -> float:
    """Plan both roots one after the other, with the deployment's own working folders; return the seconds."""
    working = clone.path / ".local/local"
    aws: dict[str, Any] = yaml.safe_load((clone.path / "inventory/local/group_vars/all/aws.yml").read_text())
    ports = {name: str(clone.variables[name]) for name in ("local_cloud_api_port", "local_cloud_autoscaling_port")}
    environment = {
        name: re.sub(r"{{ (\w+) }}", lambda found: ports.get(found[1]) or str(aws[found[1]]), value)
        for name, value in aws["aws_environment"].items()
    }
    seconds = 0.0
    for name, root in (("account", "terraform/account"), ("environment", "terraform")):
        data = working / "terraform" / name
        command = ["terraform", "plan", "-input=false", "-detailed-exitcode"]
        command += ["-var-file", str(data / "apply.tfvars.json")]
        settings = {"TF_DATA_DIR": str(data), "TF_CLI_CONFIG_FILE": str(working / "terraform.rc")}
        settings |= environment | {"CHECKPOINT_DISABLE": "1", "PATH": f"{os.environ['PATH']}:{working.parent / 'bin'}"}
        started = time.monotonic()
        done = subprocess.run(
            command, cwd=clone.path / root, env=os.environ | settings, capture_output=True, text=True, check=False
        )
        seconds += time.monotonic() - started
        if done.returncode:
            raise BenchError(f"terraform plan of {name} is not empty, or failed:\n{done.stdout[-2000:]}{done.stderr}")
    return seconds


def load_balancer(rounds: int, cloud: Callable[[], Clone]) -> list[Row]:
    """Measure requests through the load balancer to one task against direct requests to its container."""
    ensure_wrk()
    loads: dict[str, list[Load]] = {}
    clone = cloud()
    ecs = clone.aws("ecs")
    _, account = clone.request("/v1/accounts", {"name": "Bench", "currency": "KRW"})
    desired = _service(ecs)["desiredCount"]
    ecs.update_service(cluster=SERVICE, service=SERVICE, desiredCount=1)
    with tempfile.TemporaryDirectory() as folder:
        direct, through = "directly to the container (floor)", "through the load balancer"
        addresses = {direct: _only_target(clone), through: f"127.0.0.1:{LOAD_BALANCER_PORT}"}

        def measure(variant: str) -> float:
            load = run_wrk(
                f"http://{addresses[variant]}",
                [f"/v1/accounts/{account['id']}"],
                Path(folder),
                connections=CONNECTIONS,
                seconds=LOAD_SECONDS,
            )
            loads.setdefault(variant, []).append(load)
            return load.requests_per_second

        alternate({variant: partial(measure, variant) for variant in addresses}, rounds)
    ecs.update_service(cluster=SERVICE, service=SERVICE, desiredCount=desired)
    rows = []
    for unit in ("requests_per_second", "p50", "p99"):
        runs = {variant: [getattr(load, unit) for load in found] for variant, found in loads.items()}
        rows += [
            Row(
                benchmark=f"load balancer, {unit.replace('_', ' ')}",
                variant=variant,
                unit="" if unit == "requests_per_second" else "ms",
                runs=runs[variant],
                ratio=ratio(runs, variant, direct) if variant == through else None,
            )
            for variant in addresses
        ]
    return rows


def _only_target(clone: Clone) -> str:
    """Wait until one target is left; return its address and port."""
    elbv2 = clone.aws("elbv2")
    group = elbv2.describe_target_groups()["TargetGroups"][0]["TargetGroupArn"]
    deadline = time.monotonic() + FLOW_SECONDS
    while time.monotonic() < deadline:
        targets = elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        if len(targets) == 1:
            return f"{targets[0]['Target']['Id']}:{targets[0]['Target']['Port']}"
        time.sleep(POLL_SECONDS)
    raise BenchError(f"the service still has more than one target after {FLOW_SECONDS} s")
