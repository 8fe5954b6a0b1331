"""A clone of this repository with its own local cloud, separate from the developer's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psycopg2
import pytest

from local_cloud.daemon.control import GIB_PATH, MINUTE_PATH
from tests.support import snapshots
from tests.support.logs import Logs

REPOSITORY = Path(__file__).parents[2]
ENVIRONMENT = REPOSITORY / ".venv"
#: What git is asked for the version that a release of HEAD has.
VERSION = ("log", "-1", "--abbrev=12", "--format=%h", "--", "app/api", "src/fargate_app")

#: The first part of every name in AWS.
PREFIX = "settlement-local"

#: Each pytest-xdist worker may have a clone. Their clouds must not share names, ports or networks.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
INSTANCE = f"e2e-{WORKER}"
API_PORT, AUTOSCALING_PORT, LOAD_BALANCER_PORT, HTTPS_PORT = (port + 10 * WORKER for port in (4766, 4767, 8780, 8781))
SUBNET = f"172.31.{236 + WORKER}"

#: The services that the local inventory sends to moto's port. All others use the emulator's.
MOTO_SERVICES = ("APPLICATION_AUTO_SCALING", "COST_EXPLORER", "COMPUTE_OPTIMIZER", "EKS")

#: Shell variables that every command must ignore. Nothing listens on that port.
IGNORED_VARIABLES = {
    **dict.fromkeys(("http_proxy", "HTTP_PROXY"), "http://127.0.0.1:9"),
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    "TF_WORKSPACE": "dev",
    "TF_VAR_database_name": "other",
    "TF_CLI_ARGS_plan": "-target=module.vpc",
    "ANSIBLE_CONFIG": "empty.cfg",
    "ANSIBLE_VAULT_PASSWORD_FILE": "/nope",
    "DOCKER_HOST": "tcp://127.0.0.1:9",
    "LC_ALL": "C",
}

#: Settings that two local environments on one machine must not share.
VARIABLES: dict[str, Any] = {
    "local_cloud_instance": INSTANCE,
    "local_cloud_api_port": API_PORT,
    "local_cloud_autoscaling_port": AUTOSCALING_PORT,
    "local_cloud_load_balancer_port": LOAD_BALANCER_PORT,
    "local_cloud_load_balancer_https_port": HTTPS_PORT,
    "local_cloud_network_name": f"settlement-{INSTANCE}",
    "local_cloud_network_subnet": f"{SUBNET}.0/24",
    "local_cloud_network_gateway": f"{SUBNET}.1",
    # The number of tasks must not depend on the date.
    "app_peak_min_tasks": 2,
}


def emulated(port: int, moto_port: int) -> dict[str, str]:
    """Return an account's ``aws_environment`` that points to an emulator. Credentials come from the shell."""
    return {
        "AWS_REGION": "ap-northeast-2",
        "AWS_DEFAULT_REGION": "ap-northeast-2",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_S3_USE_PATH_STYLE": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        **{f"AWS_ENDPOINT_URL_{service}": f"http://127.0.0.1:{moto_port}" for service in MOTO_SERVICES},
    }


def excerpt(output: str) -> str:
    """Return the errors of a failed command's output, then its end. The errors come first, because reports are cut."""
    lines = output.splitlines()
    wrong = [number for number, line in enumerate(lines) if re.search(r"\b(?:[Ee]rror|ERROR|fatal)\b", line)]
    around = sorted({near for number in wrong[-20:] for near in range(number, min(number + 4, len(lines)))})
    return "\n".join([*(lines[number][:500] for number in around), "", "…", *lines[-60:]])


#: The screens that commands print, as files.
SCREENS = Path(__file__).with_name("screens")


@dataclass
class Run:
    """A finished command: its exit code, what a person sees, and the logs of its playbooks."""

    code: int
    screen: str
    log: str = ""

    @property
    def output(self) -> str:
        """The logs, after what only the screen shows."""
        logged = set(self.log.splitlines())
        return "\n".join([*(line for line in self.screen.splitlines() if line not in logged), self.log])

    def ending(self) -> dict[str, str]:
        """Return the outcome at the end of the screen, by its labels. The headline has none."""
        lines = self.screen.splitlines()
        (*_, start) = (number for number in range(len(lines)) if re.match(r"[✓✗vx] \w+: ", lines[number]))
        fields = re.findall(r"^  ([\w ]+): +(.*(?:\n {6,}.*)*)", "\n".join(lines[start + 1 :]), re.MULTILINE)
        return {"": lines[start][2:], **dict(fields)}

    def assert_fails_in_words(self) -> None:
        """Check that the last ten lines say what failed, where, why, what serves and what is next; why, once."""
        ending, last = self.ending(), "\n".join(self.screen.splitlines()[-10:])
        assert ending[""] in last, self.screen[-8000:]
        assert {"where", "cause", "serves", "next", "log"} <= ending.keys(), self.screen[-8000:]
        assert self.screen.count(ending["cause"].splitlines()[0].strip()) == 1, self.screen[-8000:]

    def assert_looks_like(self, name: str) -> None:
        """Compare the screen with ``screens/<name>.txt``, without what differs from run to run."""
        snapshots.check(SCREENS / f"{name}.txt", self.screen, snapshots.VERB)

    def recap(self) -> dict[str, int]:
        """Return the play recap, as ``{"ok": 53, "changed": 0, "failed": 0, …}``."""
        line = re.findall(r"^this-machine\s*:(.*)$", self.output, re.MULTILINE)[-1]
        return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", line)}

    def seconds(self) -> float:
        return float(re.findall(r"in all ([\d.]+) s", self.output)[-1])


@dataclass
class Clone:
    """A fresh clone and the commands that a user types in it."""

    path: Path
    variables: dict[str, Any] = field(default_factory=lambda: dict(VARIABLES))
    outputs: list[str] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        # Commands look as at a person's shell, also where GitHub runs these tests.
        own = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
        return own | IGNORED_VARIABLES | {"GIT_TERMINAL_PROMPT": "0"}

    def command(self, target: str, *settings: str, **variables: Any) -> list[str]:
        extra = json.dumps(self.variables | variables)
        # Use the Python environment that runs the tests. Without -o make would rebuild it: a clone's files look newer.
        return ["make", "-o", f"{ENVIRONMENT}/.ready", target, f"VENV={ENVIRONMENT}", f"ARGS=-e '{extra}'", *settings]

    def make(self, target: str, *settings: str, expect: int | None = 0, **variables: Any) -> Run:
        """Run ``make target ARGS=…``. Fail the test unless its exit code is `expect`; None accepts any."""
        return self._run(self.command(target, *settings, **variables), self.environment(), expect)

    def _run(self, command: list[str], environment: dict[str, str], expect: int | None) -> Run:
        logs = Logs(self.path)
        done = subprocess.run(
            command,
            cwd=self.path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        run = Run(done.returncode, done.stdout, logs.read())
        self.outputs.append(run.output)
        if expect is not None:
            assert run.code == expect, excerpt(run.output)
        return run

    def shell(self, script: str, *, expect: int | None = 0, account: str = "", **variables: Any) -> Run:
        """Run a script as a user does in the clone, with the clone's own Python environment.

        `account`: the shell has credentials of that AWS account. Its access key selects the account in the emulator.
        """
        if account:
            variables["aws_environment"] = emulated(API_PORT, AUTOSCALING_PORT)
        else:
            variables = self.variables | variables
        environment = self.environment() | {"ARGS": f"-e '{json.dumps(variables)}'"}
        environment["PATH"] = os.pathsep.join(
            path for path in environment["PATH"].split(os.pathsep) if not path.startswith(str(ENVIRONMENT))
        )
        if account:
            environment |= {"AWS_ACCESS_KEY_ID": account, "AWS_SECRET_ACCESS_KEY": "test"}
        else:
            environment["AWS_PROFILE"] = "nope"
        return self._run(["bash", "-c", script], environment, expect)

    def outcome(self) -> dict[str, Any]:
        """Return how the last command on the local environment ended."""
        found: dict[str, Any] = json.loads((self.path / ".local/local/outcome.json").read_text())
        return found

    def git(self, *words: str) -> str:
        return subprocess.run(["git", *words], cwd=self.path, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, path: str, text: str) -> None:
        """Append `text` to a file, which may be new, and commit it."""
        with (self.path / path).open("a") as stream:
            stream.write(text)
        self.git("add", "--", path)
        self.git("commit", "--quiet", "--message", f"test: change {path}", "--", path)

    def version(self) -> str:
        """Return the version that a release of this commit has."""
        return self.git(*VERSION)

    def aws(self, service: str) -> Any:
        return aws(service)

    def request(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Send one request through the load balancer; return its status and parsed body."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{LOAD_BALANCER_PORT}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **headers},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 240) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)
    return value


def causes(clone: Clone, **variables: Any) -> list[str]:
    """Run `make incident`, which changes nothing, and return the causes that it names, the most direct first."""
    run = clone.make("incident", **variables)
    assert run.recap()["changed"] == 0
    print(f"incident: {run.seconds():.0f} s")
    ended = clone.outcome()
    cause = ended["what"].removeprefix("the cause: ")
    if cause == ended["what"]:
        assert cause.startswith("nothing found; "), run.output[-8000:]
        return []
    assert ended["cause"], ended
    assert re.match(r"make |aws ", ended["next"]), ended
    also = ended["facts"].get("also seen", "")
    return [cause, *filter(None, also.split(", "))]


def service(clone: Clone) -> dict[str, Any]:
    found: dict[str, Any] = clone.aws("ecs").describe_services(cluster=PREFIX, services=[PREFIX])["services"][0]
    return found


def aws(service: str) -> Any:
    """Return a client of the clone's local cloud."""
    port = AUTOSCALING_PORT if service in {"application-autoscaling", "ce"} else API_PORT
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="ap-northeast-2",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def scalable_target() -> dict[str, Any]:
    """Return what Application Auto Scaling has of the service."""
    (target,) = aws("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    return dict(target)


def follow_cpu(follows: bool) -> None:
    """Let the number of tasks follow their CPU, or only the limits: for tests that count the tasks under load."""
    target = scalable_target()
    suspended = {"DynamicScalingOutSuspended": not follows, "DynamicScalingInSuspended": not follows}
    aws("application-autoscaling").register_scalable_target(
        **{name: target[name] for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")},
        SuspendedState=target["SuspendedState"] | suspended,
    )


def limits() -> tuple[int, int]:
    """Return the limits of the number of tasks, which a successful release has put into effect."""
    target = scalable_target()
    assert not target["SuspendedState"]["ScheduledScalingSuspended"], "a release succeeded"
    return target["MinCapacity"], target["MaxCapacity"]


def connect(clone: Clone) -> psycopg2.extensions.connection:
    """Connect as the master user, over verified TLS, to the endpoint of the only RDS instance."""
    (instance,) = clone.aws("rds").describe_db_instances()["DBInstances"]
    secrets = clone.aws("secretsmanager")
    secret = secrets.get_secret_value(SecretId=instance["MasterUserSecret"]["SecretArn"])["SecretString"]
    master = json.loads(secret)
    return psycopg2.connect(
        host=instance["Endpoint"]["Address"],
        port=instance["Endpoint"]["Port"],
        dbname=instance["DBName"],
        user=master["username"],
        password=master["password"],
        sslmode="verify-full",
        sslrootcert=str(clone.path / ".local/local/rds-ca.pem"),
    )


def execute(clone: Clone, statement: str) -> None:
    """Execute one statement as the master user and commit it."""
    with closing(connect(clone)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


def query(clone: Clone, statement: str) -> list[tuple[Any, ...]]:
    """Execute one statement as the master user and return its rows."""
    with closing(connect(clone)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def drain_for(clone: Clone, seconds: int) -> None:
    """Set the target groups' deregistration delay. With Terraform's 10 s, it takes most of a rollout's time."""
    elbv2 = clone.aws("elbv2")
    attribute = {"Key": "deregistration_delay.timeout_seconds", "Value": str(seconds)}
    for group in elbv2.describe_target_groups()["TargetGroups"]:
        elbv2.modify_target_group_attributes(TargetGroupArn=group["TargetGroupArn"], Attributes=[attribute])


@contextmanager
def minutes_of(seconds: int) -> Iterator[None]:
    """Let a minute of alarms take so many seconds. A minute is too short then for scaling: a task's start fills it."""
    follow_cpu(False)
    try:
        with _scaled(MINUTE_PATH, seconds):
            yield
    finally:
        follow_cpu(True)


@contextmanager
def gib_of(number: int) -> Iterator[None]:
    """Let a GiB of the database's storage take so many bytes."""
    with _scaled(GIB_PATH, number):
        yield


@contextmanager
def _scaled(path: str, number: int) -> Iterator[None]:
    url = f"http://127.0.0.1:{API_PORT}{path}"

    def put(body: bytes) -> None:
        urllib.request.urlopen(urllib.request.Request(url, data=body, method="PUT"), timeout=60).close()

    with urllib.request.urlopen(url, timeout=60) as answer:
        before = answer.read()
    put(json.dumps(number).encode())
    try:
        yield
    finally:
        put(before)


def alarm_states(clone: Clone) -> dict[str, str]:
    """Return the state of each alarm by its name without the environment's."""
    found = clone.aws("cloudwatch").describe_alarms(AlarmNamePrefix=f"{PREFIX}-")["MetricAlarms"]
    return {alarm["AlarmName"].removeprefix(f"{PREFIX}-"): alarm["StateValue"] for alarm in found}


def containers(instance: str = INSTANCE) -> set[str]:
    return docker("ps", "--all", "--quiet", "--filter", f"label=fargate.local={instance}")


def leftovers(instance: str = INSTANCE) -> set[str]:
    """Return the containers, networks and volumes of one local cloud."""
    label = f"label=fargate.local={instance}"
    networks = docker("network", "ls", "--quiet", "--filter", label)
    return containers(instance) | networks | docker("volume", "ls", "--quiet", "--filter", label)


def clear() -> None:
    """Remove the leftovers of a killed run: they would conflict with this one and slow the machine down."""
    label = f"label=fargate.local={INSTANCE}"
    if found := containers():
        docker("rm", "--force", "--volumes", *found)
    for kind in ("network", "volume"):
        if found := docker(kind, "ls", "--quiet", "--filter", label):
            docker(kind, "rm", *found)


def docker(*words: str) -> set[str]:
    """Run a command of Docker and return the words that it prints."""
    if not shutil.which("docker"):
        return set()
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    return set(done.stdout.split())


def make_clone(path: Path) -> Clone:
    """Make a clone at `path`: HEAD plus the working tree's changes, committed."""
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(REPOSITORY), str(path)], check=True)
    clone = Clone(path)
    clone.git("config", "user.name", "e2e")
    clone.git("config", "user.email", "e2e@example.invalid")
    changed = subprocess.run(
        ["git", "ls-files", "--modified", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    for name in filter(None, changed):
        target = path / name
        if (REPOSITORY / name).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target)
        else:
            target.unlink(missing_ok=True)
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "--allow-empty", "--message", "test: the working tree")
    return clone


#: The longest files of a rehearsal. They start first, so that no worker ends long after the others.
LONGEST = (
    "test_applications.py",
    "test_workflows.py",
    "test_incidents.py",
    "test_release.py",
    "test_strategies.py",
    "test_weather.py",
    "test_no_database.py",
    "test_machine.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """One clone per file. Its local cloud is removed at the end."""
    clear()
    clone = make_clone(tmp_path_factory.mktemp("e2e") / "clone")
    yield clone
    clone.make("down", expect=None)
