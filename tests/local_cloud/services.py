"""ECS services of the stub application behind a load balancer, for tests."""

from __future__ import annotations

import dataclasses
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fargate_ops.incident.causes import Cause, causes
from fargate_ops.incident.gather import gather
from fargate_ops.incident.signals import Scope
from tests.local_cloud.conftest import RunningCloud, wait_for

#: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceDeployment.html
ENDS = ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")
STUB_APP = Path(__file__).with_name("stub_app.py").read_text(encoding="utf-8")


@dataclasses.dataclass
class StubService:
    """A service with its cluster, target group and load balancer. Its times are short to keep the tests fast."""

    cloud: RunningCloud
    image: str
    name: str
    cluster: str
    target_group: str
    load_balancer: str

    @property
    def ecs(self) -> Any:
        return self.cloud.client("ecs")

    @property
    def elb(self) -> Any:
        return self.cloud.client("elbv2")

    def register(
        self, *, environment: dict[str, str] | None = None, definition: dict[str, Any] | None = None, **task: Any
    ) -> str:
        """Register a revision of the stub and return its ARN."""
        container = {
            "name": "app",
            "image": self.image,
            "command": ["python3", "-c", STUB_APP],
            "portMappings": [{"containerPort": 8000}],
            "environment": [{"name": key, "value": value} for key, value in (environment or {}).items()],
            "stopTimeout": 5,
            **(definition or {}),
        }
        answer = self.ecs.register_task_definition(
            family=self.name,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=[container],
            **task,
        )
        arn: str = answer["taskDefinition"]["taskDefinitionArn"]
        return arn

    def create(self, task_definition: str, *, desired: int = 2, **settings: Any) -> dict[str, Any]:
        answer = self.ecs.create_service(
            **{
                "cluster": self.cluster,
                "serviceName": self.name,
                "taskDefinition": task_definition,
                "desiredCount": desired,
                "launchType": "FARGATE",
                "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
                "loadBalancers": [{"targetGroupArn": self.target_group, "containerName": "app", "containerPort": 8000}],
                # Long enough for a container to start on a busy machine.
                "healthCheckGracePeriodSeconds": 600,
                "deploymentConfiguration": {
                    "minimumHealthyPercent": 100,
                    "maximumPercent": 200,
                    "deploymentCircuitBreaker": {"enable": True, "rollback": True},
                },
                **settings,
            }
        )
        service: dict[str, Any] = answer["service"]
        return service

    def update(self, **settings: Any) -> dict[str, Any]:
        service: dict[str, Any] = self.ecs.update_service(cluster=self.cluster, service=self.name, **settings)[
            "service"
        ]
        return service

    def describe(self) -> dict[str, Any]:
        service: dict[str, Any] = self.ecs.describe_services(cluster=self.cluster, services=[self.name])["services"][0]
        return service

    def primary(self) -> dict[str, Any]:
        return next(d for d in self.describe()["deployments"] if d["status"] == "PRIMARY")

    def deployment(self) -> dict[str, Any]:
        """Return the newest service deployment."""
        brief = self.ecs.list_service_deployments(cluster=self.cluster, service=self.name)["serviceDeployments"][0]
        found: dict[str, Any] = self.ecs.describe_service_deployments(
            serviceDeploymentArns=[brief["serviceDeploymentArn"]]
        )["serviceDeployments"][0]
        return found

    def tasks(self, status: str = "RUNNING") -> list[dict[str, Any]]:
        arns = self.ecs.list_tasks(cluster=self.cluster, serviceName=self.name, desiredStatus=status)["taskArns"]
        if not arns:
            return []
        found: list[dict[str, Any]] = self.ecs.describe_tasks(cluster=self.cluster, tasks=arns)["tasks"]
        return found

    def answer_health(self, task: dict[str, Any], status: int) -> None:
        """Make the stub of this task answer its health checks with ``status`` from now on."""
        url = f"http://{address_of(task)}:8000/health/{status}"

        def done() -> bool:
            try:
                urllib.request.urlopen(url, timeout=60).close()
            except OSError:  # it does not listen yet
                return False
            return True

        wait_for(done, what=f"{url} answers")

    def target_states(self) -> dict[str, str]:
        found = self.elb.describe_target_health(TargetGroupArn=self.target_group)
        return {member["Target"]["Id"]: member["TargetHealth"]["State"] for member in found["TargetHealthDescriptions"]}

    def drain_for(self, seconds: int) -> None:
        """Set the deregistration delay of targets that are deregistered from now on."""
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": str(seconds)}
        self.elb.modify_target_group_attributes(TargetGroupArn=self.target_group, Attributes=[delay])

    def wait_deployed(self, wanted: str = "SUCCESSFUL") -> dict[str, Any]:
        """Wait until the newest service deployment has ended, and return it. It must have ended in this state."""

        def ended() -> dict[str, Any] | None:
            found = self.deployment()
            return found if found["status"] in ENDS else None

        result: dict[str, Any] = wait_for(ended, what="the service deployment ends")
        assert result["status"] == wanted, [event["message"] for event in self.describe()["events"]]
        return result

    def wait(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for a condition on DescribeServices' answer."""

        def holds() -> dict[str, Any] | None:
            service = self.describe()
            return service if condition(service) else None

        result: dict[str, Any] = wait_for(holds)
        return result

    def causes(self) -> list[Cause]:
        """Return the causes that the first answer to an alarm names."""
        recent, release = timedelta(minutes=5), timedelta(minutes=30)
        scope = Scope(
            environment="test",
            name=self.name,
            bucket="none",
            has_database=False,
            recent=recent,
            release=release,
            cloudtrail=False,
        )
        return causes(gather(self.cloud, scope, datetime.now(UTC)))

    def get(self, path: str = "/") -> int:
        """Send a request to the load balancer and return the status."""
        url = f"http://127.0.0.1:{self.cloud.config.load_balancer_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                status: int = answer.status
        except urllib.error.HTTPError as error:
            return error.code
        return status

    def delete(self) -> None:
        """Delete everything and wait until no container is left."""
        if self.ecs.list_services(cluster=self.cluster)["serviceArns"]:
            self.ecs.delete_service(cluster=self.cluster, service=self.name, force=True)
            self.wait(lambda service: service["status"] == "INACTIVE")
        for listener in self.elb.describe_listeners(LoadBalancerArn=self.load_balancer)["Listeners"]:
            self.elb.delete_listener(ListenerArn=listener["ListenerArn"])
        self.elb.delete_load_balancer(LoadBalancerArn=self.load_balancer)
        self.elb.delete_target_group(TargetGroupArn=self.target_group)


def address_of(task: dict[str, Any]) -> str:
    """Return the private address of a task that runs."""
    details: list[dict[str, str]] = task["attachments"][0]["details"]
    return next(detail["value"] for detail in details if detail["name"] == "privateIPv4Address")


def make_service(
    cloud: RunningCloud, image: str, *, delay: int = 1, listener: bool = True, **health_check: Any
) -> StubService:
    """Create a cluster, a load balancer and a target group. ``create`` then creates the service."""
    name = f"stub-{uuid.uuid4().hex[:6]}"
    elb, ecs = cloud.client("elbv2"), cloud.client("ecs")
    ecs.create_cluster(clusterName=name)
    balancer = elb.create_load_balancer(Name=name, Subnets=["subnet-1"])["LoadBalancers"][0]["LoadBalancerArn"]
    group = elb.create_target_group(
        **{
            "Name": name,
            "Port": 8000,
            "Protocol": "HTTP",
            "TargetType": "ip",
            "VpcId": "vpc-1",
            "HealthCheckPath": "/healthz",
            "HealthCheckIntervalSeconds": 1,
            "HealthCheckTimeoutSeconds": 20,
            "HealthyThresholdCount": 2,
            "UnhealthyThresholdCount": 2,
            **health_check,
        }
    )["TargetGroups"][0]["TargetGroupArn"]
    if listener:
        elb.create_listener(
            LoadBalancerArn=balancer,
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
        )
    service = StubService(cloud, image, name, name, group, balancer)
    service.drain_for(delay)
    return service
