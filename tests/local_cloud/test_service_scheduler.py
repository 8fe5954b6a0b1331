"""Rolling deployments by health, the circuit breaker, and the answers of DescribeServices."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.local_cloud.conftest import wait_for
from tests.local_cloud.services import StubService

pytestmark = pytest.mark.local_cloud


def test_a_deployment_completes_when_its_tasks_are_healthy_and_the_old_are_gone(
    make: Callable[..., StubService],
) -> None:
    service = make()
    service.create(service.register(environment={"VERSION": "1"}))
    first = service.wait_deployed()
    assert first["targetServiceRevision"]["runningTaskCount"] == 2
    old = {task["taskArn"] for task in service.tasks()}

    # A new task is healthy when the test says so.
    updated = service.update(taskDefinition=service.register(environment={"VERSION": "2", "HEALTH": "503"}))
    primary = updated["deployments"][0]
    assert (primary["status"], primary["rolloutState"]) == ("PRIMARY", "IN_PROGRESS")
    assert service.deployment()["targetServiceRevision"]["arn"].endswith(primary["id"].partition("/")[2])

    # Both new tasks start first, and no old one stops before a new one is healthy.
    wait_for(lambda: sorted(service.target_states().values()) == ["healthy"] * 2 + ["unhealthy"] * 2)
    assert service.describe()["runningCount"] == 4
    assert service.deployment()["status"] == "IN_PROGRESS"
    running = service.tasks()
    assert {task["taskArn"] for task in running} > old
    # One old task stops for each new one that becomes healthy.
    one, another = (task for task in running if task["taskArn"] not in old)
    service.answer_health(one, 200)
    service.wait(lambda now: now["runningCount"] == 3)
    assert len(old & {task["taskArn"] for task in service.tasks()}) == 1
    assert service.deployment()["status"] == "IN_PROGRESS"
    service.answer_health(another, 200)
    done = service.wait_deployed()
    assert done["sourceServiceRevisions"][0]["arn"] == first["targetServiceRevision"]["arn"]
    now = service.describe()
    assert [(d["status"], d["rolloutState"], d["runningCount"]) for d in now["deployments"]] == [
        ("PRIMARY", "COMPLETED", 2)
    ]
    # The same update again changes nothing.
    assert service.update(taskDefinition=now["taskDefinition"])["deployments"][0]["id"] == primary["id"]
    assert service.deployment()["serviceDeploymentArn"] == done["serviceDeploymentArn"]
    stopped = service.tasks("STOPPED")
    assert {task["taskArn"] for task in stopped} == old
    assert all(task["stoppedReason"].startswith("Scaling activity initiated by") for task in stopped)
    messages = [event["message"] for event in now["events"]]
    assert any("has reached a steady state" in message for message in messages)
    assert any("has begun draining connections" in message for message in messages)


def test_tasks_that_never_get_healthy_trip_the_breaker_and_roll_back(make: Callable[..., StubService]) -> None:
    service = make()
    good = service.register()
    service.create(good, desired=1)
    service.wait_deployed()
    kept = service.tasks()[0]["taskArn"]

    bad = service.register(environment={"HEALTH": "503"})
    service.update(taskDefinition=bad, healthCheckGracePeriodSeconds=3)
    failed = service.wait_deployed("ROLLBACK_SUCCESSFUL")
    assert failed["deploymentCircuitBreaker"] == {"status": "TRIGGERED", "failureCount": 3, "threshold": 3}
    assert failed["rollback"]["serviceRevisionArn"] == failed["sourceServiceRevisions"][0]["arn"]
    assert service.describe()["taskDefinition"] == good
    assert service.primary()["rolloutState"] == "COMPLETED"
    assert [task["taskArn"] for task in service.tasks()] == [kept]
    reasons = [task["stoppedReason"] for task in service.tasks("STOPPED")]
    assert reasons == [f"Task failed ELB health checks in (target-group {service.target_group})"] * 3
    messages = " ".join(event["message"] for event in service.describe()["events"])
    assert "Health checks failed with these codes: [503]" in messages
    assert "rolling back to deployment" in messages


def test_tasks_that_exit_trip_the_breaker_with_their_exit_code(make: Callable[..., StubService]) -> None:
    service = make()
    service.create(service.register(), desired=1)
    service.wait_deployed()
    service.update(taskDefinition=service.register(environment={"EXIT_CODE": "3"}))
    service.wait_deployed("ROLLBACK_SUCCESSFUL")
    stopped = service.tasks("STOPPED")
    assert [task["stopCode"] for task in stopped] == ["EssentialContainerExited"] * 3
    assert [task["containers"][0]["exitCode"] for task in stopped] == [3] * 3


def test_a_first_deployment_that_fails_has_nothing_to_roll_back_to(make: Callable[..., StubService]) -> None:
    service = make()
    service.create(service.register(environment={"EXIT_CODE": "1"}), desired=1)
    failed = service.wait_deployed("ROLLBACK_FAILED")
    assert "rollback candidate" in failed["statusReason"]
    assert service.primary()["rolloutState"] == "FAILED"
    assert service.describe()["runningCount"] == 0


def test_the_placeholder_is_rolled_back_to(make: Callable[..., StubService]) -> None:
    service = make()
    placeholder = service.register()
    service.create(placeholder, desired=0)
    service.wait_deployed()
    service.update(taskDefinition=service.register(environment={"EXIT_CODE": "1"}), desiredCount=1)
    service.wait_deployed("ROLLBACK_SUCCESSFUL")
    assert service.describe()["taskDefinition"] == placeholder


def test_a_deployment_can_be_stopped(make: Callable[..., StubService]) -> None:
    service = make()
    good = service.register()
    service.create(good, desired=1)
    service.wait_deployed()
    service.update(taskDefinition=service.register(environment={"START_SECONDS": "60"}))
    arn = service.deployment()["serviceDeploymentArn"]
    with pytest.raises(service.ecs.exceptions.InvalidParameterException):
        service.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ABORT")
    assert (
        service.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")["serviceDeploymentArn"]
        == arn
    )
    service.wait_deployed("ROLLBACK_SUCCESSFUL")
    assert service.describe()["taskDefinition"] == good
    with pytest.raises(service.ecs.exceptions.ConflictException):
        service.ecs.stop_service_deployment(serviceDeploymentArn=arn)


def test_what_starts_a_deployment_and_what_does_not(make: Callable[..., StubService]) -> None:
    service = make()
    definition = service.register()
    service.create(definition, desired=0)
    first = service.wait_deployed()["serviceDeploymentArn"]
    network = service.describe()["networkConfiguration"]
    service.update(taskDefinition=definition, networkConfiguration=network, healthCheckGracePeriodSeconds=5)
    service.update(deploymentConfiguration={"maximumPercent": 150})
    assert service.deployment()["serviceDeploymentArn"] == first
    configuration = service.describe()["deploymentConfiguration"]
    assert (configuration["maximumPercent"], configuration["deploymentCircuitBreaker"]["enable"]) == (150, True)

    service.update(forceNewDeployment=True)
    second = service.wait_deployed()["serviceDeploymentArn"]
    assert second != first
    service.update(networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-2"]}})
    assert service.wait_deployed()["serviceDeploymentArn"] not in (first, second)


def test_a_task_whose_container_died_is_replaced(make: Callable[..., StubService]) -> None:
    service = make()
    service.create(service.register(), desired=1)
    service.wait_deployed()
    lost = service.tasks()[0]
    docker_id = service.cloud.containers(f"com.amazonaws.ecs.task-arn={lost['taskArn']}")[0]
    docker_id.kill()
    (stopped,) = wait_for(lambda: [task for task in service.tasks("STOPPED") if task["lastStatus"] == "STOPPED"])
    assert stopped["taskArn"] == lost["taskArn"]
    wait_for(lambda: list(service.target_states().values()) == ["healthy"])
    (replacement,) = service.tasks()
    assert replacement["taskArn"] != lost["taskArn"]
    assert (stopped["stopCode"], stopped["containers"][0]["exitCode"]) == ("EssentialContainerExited", 137)
    assert service.primary()["rolloutState"] == "COMPLETED"


def test_a_task_that_falls_ill_is_replaced(make: Callable[..., StubService]) -> None:
    service = make()
    # The time that a replacement has to get healthy; the illness counts after it.
    service.create(service.register(), desired=1, healthCheckGracePeriodSeconds=30)
    service.wait_deployed()
    (ill,) = service.tasks()
    service.answer_health(ill, 500)
    stopped = wait_for(lambda: [task for task in service.tasks("STOPPED") if task["taskArn"] == ill["taskArn"]])[0]
    assert stopped["stoppedReason"].startswith("Task failed ELB health checks")
    # A replacement starts first; the failing task stops when one is healthy.
    wait_for(lambda: list(service.target_states().values()) == ["healthy"])
    others = [task for task in service.tasks() + service.tasks("STOPPED") if task["taskArn"] != ill["taskArn"]]
    assert min(task["startedAt"] for task in others if "startedAt" in task) <= stopped["stoppingAt"]  # whole seconds
    assert service.primary()["rolloutState"] == "COMPLETED"


def test_a_target_group_without_a_listener_is_refused(make: Callable[..., StubService]) -> None:
    service = make(listener=False)
    definition = service.register()
    with pytest.raises(service.ecs.exceptions.InvalidParameterException, match="associated load balancer"):
        service.create(definition)
