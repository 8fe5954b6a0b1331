"""A cloud without capacity starts no task, says so as ECS does, and starts it when there is capacity again."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from fargate_ops.incident.causes import Name
from local_cloud.daemon.control import CAPACITY_PATH
from tests.local_cloud.conftest import RunningCloud
from tests.local_cloud.services import StubService

pytestmark = pytest.mark.local_cloud

UNAVAILABLE = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
#: As https://github.com/sil-org/ecs-deploy/issues/277 has seen it.
NOT_PLACED = f"was unable to place a task. Reason: {UNAVAILABLE}."


@pytest.fixture
def full(cloud: RunningCloud) -> Iterator[Callable[[bool], None]]:
    """Take the shared cloud's capacity away, or give it back."""

    def switch(is_full: bool) -> None:
        before = json.loads(cloud.command("--capacity", "off" if is_full else "on").stdout)
        assert before == {"changed": True, "before": is_full}

    yield switch
    cloud.command("--capacity", "on")


def test_no_task_starts_without_capacity_and_the_running_ones_stay(
    make: Callable[..., StubService], full: Callable[[bool], None]
) -> None:
    service = make()
    definition = service.register()
    service.create(definition, desired=1)
    service.wait_deployed()
    (kept,) = service.tasks()
    assert service.causes() == []

    full(True)
    answer = service.ecs.run_task(cluster=service.cluster, taskDefinition=definition, launchType="FARGATE")
    assert answer["tasks"] == []
    assert [failure["reason"] for failure in answer["failures"]] == [UNAVAILABLE]
    service.update(desiredCount=2, forceNewDeployment=True)
    seen = service.wait(lambda seen: any(NOT_PLACED in event["message"] for event in seen["events"]))
    assert f"(service {service.name}) {NOT_PLACED}" in next(
        event["message"] for event in seen["events"] if NOT_PLACED in event["message"]
    )
    assert [task["taskArn"] for task in service.tasks()] == [kept["taskArn"]]
    assert [cause.name for cause in service.causes()] == [Name.NO_CAPACITY]
    assert service.primary()["failedTasks"] == 0, "what was not placed is no task that failed"

    full(False)
    service.wait_deployed()
    assert len(service.tasks()) == 2
    assert service.causes() == []


def test_what_is_no_switch_is_refused_in_words(cloud: RunningCloud) -> None:
    request = urllib.request.Request(f"{cloud.config.api_url}{CAPACITY_PATH}", data=b"0", method="PUT")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    assert refused.value.code == 400
    assert "true or false, not 0" in refused.value.read().decode()
