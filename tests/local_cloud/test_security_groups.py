"""Security groups: each connection that requirement A5 allows passes, and each other one is dropped."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fargate_ops.release.http_probe import fetch
from local_cloud.ec2.firewall import Firewall
from local_cloud.ec2.namespaces import ROLE, ROLE_LABEL
from local_cloud.ec2.rules import Interface
from tests.local_cloud import databases
from tests.local_cloud.conftest import RunningCloud, docker_client, wait_for
from tests.local_cloud.services import StubService, make_service

pytestmark = pytest.mark.local_cloud

ANYONE = "0.0.0.0/0"
APP, DATABASE, HTTPS, OTHER = 8000, 5432, 443, 9000
BALANCER = 8080
"""The port on which the load balancer listens for port 80."""

#: Prints for each address and port: open, refused (the packet arrived), or dropped (no answer).
PROBE = """
import concurrent.futures, json, socket, sys
def probe(target):
    try:
        socket.create_connection(target, timeout=3).close()
        return "open"
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "dropped"
targets = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps(list(pool.map(lambda target: probe(tuple(target)), targets))))
"""


@dataclasses.dataclass(frozen=True)
class Host:
    """A container of the network, as one end of a connection."""

    container: str
    address: str


class Groups:
    """The groups of terraform/modules/security_groups, by their names there."""

    def __init__(self, cloud: RunningCloud) -> None:
        self._ec2 = cloud.client("ec2")
        self._ids = {name: self._create(name) for name in ("alb", "service", "admin", "database")}
        self.change("authorize", "ingress", "alb", 80, ANYONE)
        self.change("authorize", "egress", "alb", APP, "service")
        self.change("authorize", "ingress", "service", APP, "alb")
        for tasks in ("service", "admin"):
            self.change("authorize", "egress", tasks, DATABASE, "database")
            self.change("authorize", "ingress", "database", DATABASE, tasks)
            self.change("authorize", "egress", tasks, HTTPS, ANYONE)

    def __getitem__(self, name: str) -> str:
        return self._ids[name]

    def change(self, verb: str, direction: str, group: str, port: int, peer: str) -> None:
        """Authorize or revoke a rule for TCP; the peer is a range or the name of a group."""
        peers = {"UserIdGroupPairs": [{"GroupId": self[peer]}]} if peer != ANYONE else {"IpRanges": [{"CidrIp": peer}]}
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **peers}
        getattr(self._ec2, f"{verb}_security_group_{direction}")(GroupId=self[group], IpPermissions=[rule])

    def _create(self, name: str) -> str:
        unique = f"{name}-{uuid.uuid4().hex[:6]}"
        identifier: str = self._ec2.create_security_group(GroupName=unique, Description=name)["GroupId"]
        everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": ANYONE}]}
        self._ec2.revoke_security_group_egress(GroupId=identifier, IpPermissions=[everything])
        return identifier


@dataclasses.dataclass(frozen=True)
class World:
    """The chain of A5, with a host of the internet, where clients, Slack and the bots are."""

    cloud: RunningCloud
    image: str
    service: StubService
    groups: Groups
    hosts: dict[str, Host]

    def probe(self, source: str, targets: list[tuple[str, int]]) -> list[str]:
        """Connect from within the network namespace of `source`."""
        addresses = [(self.hosts[host].address, port) for host, port in targets]
        output = docker_client().containers.run(
            self.image,
            ["python3", "-c", PROBE, json.dumps(addresses)],
            network_mode=f"container:{self.hosts[source].container}",
            remove=True,
        )
        answers: list[str] = json.loads(output)
        return answers

    def reaches(self, source: str, target: str, port: int) -> bool:
        return self.probe(source, [(target, port)]) != ["dropped"]


def host(cloud: RunningCloud, container: Any) -> Host:
    container.reload()
    return Host(container.id, container.attrs["NetworkSettings"]["Networks"][cloud.config.network_name]["IPAddress"])


def network(group: str) -> dict[str, Any]:
    return {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": [group]}}}


@pytest.fixture(scope="module")
def world(cloud: RunningCloud, stub_image: str) -> Iterator[World]:
    client = docker_client()
    groups = Groups(cloud)
    service = make_service(cloud, stub_image)
    service.elb.set_security_groups(LoadBalancerArn=service.load_balancer, SecurityGroups=[groups["alb"]])
    database = f"groups-{uuid.uuid4().hex[:6]}"

    def in_group(name: str) -> dict[str, Any]:
        return network(groups[name])

    definition = service.register()
    service.create(definition, desired=2, **in_group("service"))
    admin = service.ecs.run_task(cluster=service.cluster, taskDefinition=definition, **in_group("admin"))["tasks"][0]
    internet = client.containers.run(
        stub_image, ["sleep", "infinity"], network=cloud.config.network_name, detach=True, init=True
    )
    try:
        databases.create(cloud, database, VpcSecurityGroupIds=[groups["database"]])
        service.wait_deployed()
        first, second = (task["taskArn"] for task in service.tasks())
        containers = {
            "internet": internet,
            "load balancer": client.containers.get(f"{cloud.config.network_name}-load-balancer"),
            "task": cloud.containers(f"com.amazonaws.ecs.task-arn={first}")[0],
            "other task": cloud.containers(f"com.amazonaws.ecs.task-arn={second}")[0],
            "admin": cloud.containers(f"com.amazonaws.ecs.task-arn={admin['taskArn']}")[0],
            "database": databases.container_of(cloud, database),
        }
        hosts = {name: host(cloud, container) for name, container in containers.items()}
        yield World(cloud, stub_image, service, groups, {**hosts, "AWS": Host("", cloud.config.gateway_address)})
    finally:
        internet.remove(force=True)
        service.ecs.stop_task(cluster=service.cluster, task=admin["taskArn"])
        databases.delete(cloud, database)
        service.delete()


def test_the_allowed_chain_passes_and_nothing_else(world: World) -> None:
    api = world.cloud.config.api_port
    expected = {
        "internet": {
            ("load balancer", BALANCER): "open",
            ("task", APP): "dropped",
            ("task", OTHER): "dropped",
            ("admin", APP): "dropped",
            ("database", DATABASE): "dropped",
        },
        "load balancer": {
            ("task", APP): "open",
            ("other task", APP): "open",
            ("task", OTHER): "dropped",
            ("admin", APP): "dropped",
            ("database", DATABASE): "dropped",
            ("internet", HTTPS): "dropped",
            ("AWS", api): "dropped",
        },
        "task": {
            ("database", DATABASE): "open",
            ("AWS", api): "open",
            ("internet", HTTPS): "refused",  # it arrives; nobody listens there
            ("internet", 80): "dropped",
            ("AWS", OTHER): "dropped",
            ("other task", APP): "dropped",
            ("other task", OTHER): "dropped",
            ("load balancer", BALANCER): "dropped",
            ("database", OTHER): "dropped",
        },
        "admin": {
            ("database", DATABASE): "open",
            ("AWS", api): "open",
            ("internet", HTTPS): "refused",
            ("internet", 80): "dropped",
            ("task", APP): "dropped",
        },
        "database": {
            ("internet", HTTPS): "dropped",
            ("task", APP): "dropped",
            ("AWS", api): "dropped",
        },
    }
    with ThreadPoolExecutor() as pool:
        answers = pool.map(lambda source: world.probe(source, list(expected[source])), expected)
    assert {
        source: dict(zip(expected[source], found, strict=True)) for source, found in zip(expected, answers, strict=True)
    } == expected
    assert fetch(f"http://127.0.0.1:{world.cloud.config.load_balancer_port}/").status == 200


def test_a_change_of_a_rule_applies_to_running_containers(world: World) -> None:
    world.groups.change("authorize", "ingress", "service", APP, ANYONE)
    wait_for(lambda: world.reaches("internet", "task", APP), what="the internet reaches the task")
    world.groups.change("revoke", "ingress", "service", APP, ANYONE)
    wait_for(lambda: not world.reaches("internet", "task", APP), what="the internet is kept out again")

    world.groups.change("revoke", "egress", "service", HTTPS, ANYONE)
    api = world.cloud.config.api_port
    wait_for(lambda: not world.reaches("task", "AWS", api), what="AWS is out of reach")
    assert world.reaches("task", "database", DATABASE)
    world.groups.change("authorize", "egress", "service", HTTPS, ANYONE)
    wait_for(lambda: world.reaches("task", "AWS", api), what="AWS is reached again")


def test_a_container_that_starts_again_has_its_rules_again(world: World) -> None:
    container = docker_client().containers.get(world.hosts["database"].container)
    namespace = container.attrs["NetworkSettings"]["SandboxKey"]
    container.restart()
    container.reload()
    assert container.attrs["NetworkSettings"]["SandboxKey"] != namespace
    wait_for(lambda: world.probe("task", [("database", DATABASE)]) == ["open"], what="the database answers")
    wait_for(lambda: not world.reaches("internet", "database", DATABASE), what="the internet is kept out")


def test_a_task_that_ends_at_once_ends_for_its_own_reason(world: World) -> None:
    """Its namespace may be gone at any moment of setting its rules."""
    ecs, cluster = world.service.ecs, world.service.cluster
    ending = world.service.register(environment={"EXIT_CODE": "3"})
    request = {"cluster": cluster, "taskDefinition": ending, "count": 8, **network(world.groups["admin"])}
    arns = [task["taskArn"] for task in ecs.run_task(**request)["tasks"]]

    def ended() -> list[dict[str, Any]]:
        tasks: list[dict[str, Any]] = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"]
        return tasks if all(task["lastStatus"] == "STOPPED" for task in tasks) else []

    tasks = wait_for(ended, what="all have ended")
    assert [task["containers"][0].get("exitCode") for task in tasks] == [3] * 8, [
        task["stoppedReason"] for task in tasks
    ]


def test_names_are_resolved_as_without_rules(world: World) -> None:
    balancer = f"{world.cloud.config.network_name}-load-balancer"
    task = docker_client().containers.get(world.hosts["task"].container)
    program = f"import socket; print(socket.gethostbyname({balancer!r}))"
    answer = task.exec_run(["python3", "-c", program])
    assert answer.output.decode().strip() == world.hosts["load balancer"].address


def test_a_helper_may_do_nothing_but_set_rules(world: World) -> None:
    helpers = world.cloud.containers(f"{ROLE_LABEL}={ROLE}")
    joined = {helper.attrs["HostConfig"]["NetworkMode"].removeprefix("container:") for helper in helpers}
    assert joined == {host.container for name, host in world.hosts.items() if name not in ("internet", "AWS")}
    for helper in helpers:
        settings = helper.attrs["HostConfig"]
        assert (settings["Privileged"], settings["CapDrop"], settings["ReadonlyRootfs"]) == (False, ["ALL"], True)
        assert [name.removeprefix("CAP_") for name in settings["CapAdd"]] == ["NET_ADMIN"]
        assert (settings["PidMode"], settings["Binds"]) == ("", None)


def test_a_machine_that_cannot_filter_says_so_once(
    cloud: RunningCloud, stub_image: str, caplog: pytest.LogCaptureFixture
) -> None:
    firewall = Firewall(cloud.config, "none/such:1", None)
    container = docker_client().containers.run(
        stub_image, ["sleep", "infinity"], network="none", detach=True, init=True
    )
    try:
        for _ in range(2):
            firewall.attach(container.id, Interface(cloud.config.gateway_address, ("sg-1",)))
    finally:
        container.remove(force=True)
    said = [record.getMessage() for record in caplog.records if record.name == "local_cloud.ec2.firewall"]
    assert len(said) == 1
    assert said[0].startswith("Security groups are not enforced: this machine cannot set their rules: No such image")
