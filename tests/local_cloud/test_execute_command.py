"""src/local_cloud/ecs/execute_command.py: refused tasks. test_task_containers.py has a task with ECS Exec."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.ecs.execute_command import WRITTEN, managed_agents, why_stopped
from tests.local_cloud.conftest import RunningCloud, wait_for


def container(*paths: str, read_only: bool = False) -> dict[str, Any]:
    points = [{"sourceVolume": path, "containerPath": path, "readOnly": read_only} for path in paths]
    return {"name": "api", "readonlyRootFilesystem": True, "mountPoints": points}


def test_the_agent_needs_folders_that_it_can_write_to() -> None:
    assert why_stopped(container(*WRITTEN)) == ""
    assert why_stopped(container("/managed-agents", "/var/lib/amazon/", "/var/log")) == "", "a parent is enough"
    assert why_stopped({"name": "api"}) == "", "a root file system that can be written to is enough"
    for missing in WRITTEN:
        assert missing in why_stopped(container(*(path for path in WRITTEN if path != missing)))
    assert "/managed-agents is no writable mount" in why_stopped(container(*WRITTEN, read_only=True))


def test_a_tasks_agent_starts_with_it_and_ends_with_it() -> None:
    definition = {"containerDefinitions": [container(*WRITTEN)]}

    def agent(status: str, *, enabled: bool = True) -> list[dict[str, Any]]:
        task = {"lastStatus": status, "enableExecuteCommand": enabled}
        return managed_agents(task, definition).get("api", [])

    states = [agent(status)[0]["lastStatus"] for status in ("PENDING", "RUNNING", "STOPPED")]
    assert states == ["PENDING", "RUNNING", "STOPPED"]
    assert agent("RUNNING", enabled=False) == []


@pytest.mark.local_cloud
def test_exec_is_refused_on_a_read_only_root_file_system(cloud: RunningCloud, stub_image: str) -> None:
    ecs = cloud.client("ecs")
    ecs.create_cluster(clusterName="exec")
    ecs.register_task_definition(
        family="exec",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[
            {"name": "api", "image": stub_image, "command": ["sleep", "60"], "readonlyRootFilesystem": True}
        ],
    )
    answer = ecs.run_task(
        cluster="exec",
        taskDefinition="exec",
        launchType="FARGATE",
        enableExecuteCommand=True,
        networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
    )
    arn = answer["tasks"][0]["taskArn"]

    def running() -> dict[str, Any] | None:
        (task,) = ecs.describe_tasks(cluster="exec", tasks=[arn])["tasks"]
        return task if task["lastStatus"] == "RUNNING" else None

    try:
        (agent,) = wait_for(running)["containers"][0]["managedAgents"]
        assert agent["lastStatus"] == "STOPPED"
        with pytest.raises(ClientError, match="agent isn't running"):
            ecs.execute_command(cluster="exec", task=arn, command="sh", interactive=True)
    finally:
        ecs.stop_task(cluster="exec", task=arn)
