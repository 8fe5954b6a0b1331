"""The rules of security groups decide which connections tasks, databases and the load balancer accept and make.

What AWS does: a connection needs a rule of the groups of both of its ends; its answers pass. A change of a rule
applies at once to new connections (https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html,
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html). A running task keeps the
groups with which it was started (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AwsVpcConfiguration.html).
Without this patch: the emulator stores groups and rules, and every container reaches every other one.

Who is who on the network of containers: each task and database is its container, and the load balancer is HAProxy's.
The gateway, which is this machine, is AWS's APIs (the rules for port 443 apply to the emulator's port), the RDS Proxy
and the load balancer's health checks. The rules are set inside the containers, so they do not filter what this machine
itself accepts. It reaches every database, as RDS does. A container of the network that no group has is the internet.

Differences from AWS: the rules of a new task are set after its container has started and before it is RUNNING. The
addresses are those of the network of containers: a rule for a range of the VPC matches no container. A resource without
a group is not filtered, where AWS would give it the VPC's default group. ICMP types are not told apart, IPv6 is absent.
"""

from __future__ import annotations

import threading
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends, install
from local_cloud.core.runtime import Cloud
from local_cloud.ec2.firewall import Firewall
from local_cloud.ec2.rules import Interface
from local_cloud.elbv2.load_balancer import LoadBalancer


def apply(cloud: Cloud, balancer: LoadBalancer | None) -> None:
    image = cloud.config.helper_image
    if image is None:
        return
    firewall = Firewall(cloud.config, image, balancer)
    install(Handlers(firewall, cloud.config.network_name))
    cloud.at_start(firewall.start)
    cloud.at_stop(firewall.stop)


class Handlers:
    """The emulator's functions that start and remove a task's containers."""

    def __init__(self, firewall: Firewall, network: str) -> None:
        self._ecs = emulator.service("ecs")
        self._firewall = firewall
        self._network = network
        self._lock = threading.Lock()

    @extends("ecs", "RunTask")
    @extends("ecs", "_run_task")
    def run_task(self, run: Handler, data: dict[str, Any]) -> Any:
        vpc = (data.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
        # The threads that start the containers wait for the lock until the groups are recorded.
        with self._lock:
            answer = run(data)
            for started in emulator.parse(answer[2]).get("tasks", ()) if answer[0] == 200 else ():
                self._ecs._tasks[started["taskArn"]]["_security_groups"] = tuple(vpc.get("securityGroups") or ())
        return answer

    @extends("ecs", "_run_docker_container")
    def run_docker_container(
        self, run: Handler, client: Any, definition: dict[str, Any], arguments: dict[str, Any], **options: Any
    ) -> Any:
        container = run(client, definition, arguments, **options)
        with self._lock:
            task = self._ecs._tasks[arguments["labels"]["com.amazonaws.ecs.task-arn"]]
        if groups := task.get("_security_groups"):
            try:
                if address := self._ecs._container_ip(container, self._network):  # else it has ended
                    self._firewall.attach(container.id, Interface(address, groups))
            except BaseException:
                container.remove(force=True, v=True)
                raise
        return container

    @extends("ecs", "_cleanup_task_resources")
    def cleanup_task_resources(self, cleanup: Handler, task: dict[str, Any], client: Any, extra: Any = None) -> None:
        containers = [*(task.get("_docker_ids") or ()), *([extra.id] if extra is not None else [])]
        cleanup(task, client, extra)
        for container_id in containers:
            self._firewall.detach(container_id)
