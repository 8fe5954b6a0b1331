"""When the console reads AWS, how often, and what its viewers get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.console.budget import CALLS_A_MINUTE
from fargate_ops.console.poller import ALIVE, Event, Poller
from fargate_ops.state.ledger import Outcome
from tests.unit.console.conftest import Cloud, Run, deployment, task


async def follow(poller: Poller, seconds: float) -> list[Event]:
    """Look for so long. Return the events."""
    events: list[Event] = []
    with poller.viewer():
        async with aclosing(poller.events()) as stream:
            try:
                async with asyncio.timeout(seconds):
                    async for event in stream:
                        events.append(event)
            except TimeoutError:
                pass
    return events


def merged(events: list[Event]) -> dict[str, Any]:
    """Return the document as a page has it after these events."""
    (_, document), *rest = events
    for name, change in rest:
        if name != ALIVE:
            for section, keys in change.pop("sections").items():
                document["sections"][section] |= keys
            document |= change
    return document


@asynccontextmanager
async def rollout(cloud: Cloud) -> AsyncIterator[None]:
    """Change the tasks of a rollout every 5 seconds: more often than that is not seen."""

    async def change() -> None:
        for step in range(10**6):
            new = deployment(2, state="IN_PROGRESS", pending=step % 2, running=1, failed=step)
            cloud.ecs.deployments = [new, deployment(1, status="ACTIVE")]
            cloud.ecs.tasks = [task("one", 1), task(f"new-{step}", 2)]
            await asyncio.sleep(5)

    changing = asyncio.create_task(change())
    yield
    changing.cancel()


def test_without_a_viewer_nothing_is_called(cloud: Cloud, run: Run) -> None:
    run(asyncio.sleep(600))
    assert cloud.poller.document()["sections"]["serving"]["value"] is None
    assert cloud.sent == []


def test_after_the_last_viewer_nothing_is_called(cloud: Cloud, run: Run) -> None:
    async def two_viewers() -> None:
        await asyncio.gather(follow(cloud.poller, 5), follow(cloud.poller, 65))
        assert cloud.sent[-1][0] > 55
        cloud.sent.clear()
        await asyncio.sleep(600)

    run(two_viewers())
    assert cloud.sent == []


@pytest.mark.parametrize("steps", range(5))
def test_a_viewer_who_leaves_while_a_reading_ends_is_the_last(cloud: Cloud, run: Run, steps: int) -> None:
    async def leave() -> None:
        with cloud.poller.viewer():
            await asyncio.sleep(10)  # the service is due
            for _ in range(steps):
                await asyncio.sleep(0)
        await asyncio.sleep(1)
        cloud.sent.clear()
        await asyncio.sleep(600)

    run(leave())
    assert cloud.sent == []


@pytest.mark.parametrize("viewers", [1, 10])
def test_a_quiet_service_takes_less_than_the_budget(cloud: Cloud, run: Run, viewers: int) -> None:
    cloud.released(1, Outcome.IN_PROGRESS, Outcome.SUCCEEDED)

    async def look() -> None:
        await asyncio.gather(*(follow(cloud.poller, 155) for _ in range(viewers)))

    run(look())
    assert 15 <= cloud.busiest_minute() <= 22
    assert cloud.times("DescribeServices") == list(range(0, 160, 10))


@pytest.mark.parametrize("viewers", [1, 10])
def test_a_rollout_is_read_faster_within_the_budget_and_nothing_starves(cloud: Cloud, run: Run, viewers: int) -> None:
    """Tasks change on and on, and the ledger has many releases that were never read: the most that there is to read."""
    for number in range(1, 11):
        cloud.released(number, Outcome.IN_PROGRESS, Outcome.PREPARED, Outcome.SUCCEEDED)

    async def look() -> None:
        async with rollout(cloud):
            await asyncio.gather(*(follow(cloud.poller, 150) for _ in range(viewers)))

    run(look())
    assert 28 <= cloud.busiest_minute() <= CALLS_A_MINUTE
    longest = {"DescribeServices": 30, "DescribeTasks": 60, "DescribeAlarms": 90, "GetMetricData": 120}
    for operation, seconds in longest.items():
        assert max(later - earlier for earlier, later in pairwise(cloud.times(operation))) <= seconds, operation
    assert {later - earlier for earlier, later in pairwise(cloud.times("DescribeServices")[-12:])} == {5}


@pytest.mark.parametrize("begins", [12, 201])
def test_a_rollout_is_seen_soon(cloud: Cloud, run: Run, begins: int) -> None:
    """Also in the first minute, while the ledger's older releases are still being read."""
    for number in range(1, 11):
        cloud.released(number, Outcome.IN_PROGRESS, Outcome.PREPARED, Outcome.SUCCEEDED)

    async def look() -> None:
        watching = asyncio.create_task(follow(cloud.poller, begins + 40))
        await asyncio.sleep(begins)
        async with rollout(cloud):
            await watching

    run(look())
    expected = {"DescribeServices": (10, 6), "DescribeTasks": (10, 1), "DescribeTargetHealth": (10, 2)}
    for operation, (seconds, times) in expected.items():
        since = [moment - begins for moment in cloud.times(operation) if moment > begins]
        assert since[0] <= seconds, operation
        assert len(since) >= times, operation
    assert cloud.busiest_minute() <= CALLS_A_MINUTE


def test_somebody_who_reloads_the_page_stays_within_the_budget(cloud: Cloud, run: Run) -> None:
    async def reload() -> None:
        for _ in range(60):
            await follow(cloud.poller, 1)

    run(reload())
    assert cloud.busiest_minute() <= CALLS_A_MINUTE


def test_the_ledger_arrives_newest_first(cloud: Cloud, run: Run) -> None:
    for number in range(1, 23):
        cloud.released(number, Outcome.SUCCEEDED)

    soon, later = run(follow(cloud.poller, 2)), run(follow(cloud.poller, 240))
    ledger = merged(soon)["sections"]["ledger"]["value"]
    assert ([release["version"] for release in ledger["releases"]], ledger["more"]) == (["v22", "v21", "v20"], True)
    ledger = merged(later)["sections"]["ledger"]["value"]
    assert [release["version"] for release in ledger["releases"]] == [f"v{number}" for number in range(22, 2, -1)]
    assert ledger["more"] is False


def test_a_reading_that_fails_is_an_error_of_its_section_and_the_others_go_on(
    cloud: Cloud, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fargate_ops.console.readings as source

    good = merged(run(follow(cloud.poller, 5)))["sections"]["alarms"]
    assert (good["value"], good["error"]) == ({"alarms": []}, None)

    def refused(*_: Any) -> Any:
        error = {"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}
        raise ClientError(error, "DescribeAlarms")

    with monkeypatch.context() as patch:
        patch.setattr(source, "alarms", refused)
        sections = merged(run(follow(cloud.poller, 120)))["sections"]
    assert sections["alarms"]["value"] == good["value"]
    assert sections["alarms"]["at"] == good["at"]
    error = sections["alarms"]["error"]
    assert error["message"] == "AWS refused DescribeAlarms: Rate exceeded (Throttling)"
    assert error["next"] == ""
    assert error["since"] <= error["at"]
    assert [name for name, section in sections.items() if section["error"]] == ["alarms"]
    assert merged(run(follow(cloud.poller, 60)))["sections"]["alarms"]["error"] is None


def test_a_viewer_gets_the_whole_document_and_then_what_changes(cloud: Cloud, run: Run) -> None:
    first = run(follow(cloud.poller, 30))
    assert first[0][0] == "state"
    assert {name for name, _ in first[1:]} == {"delta"}
    cloud.ecs.deployments = [deployment(2, state="IN_PROGRESS", running=0), deployment(1, status="ACTIVE")]
    second = run(follow(cloud.poller, 15))
    assert second[0][1]["sections"]["rollout"]["value"]["in_progress"] is False
    changes = [change["sections"] for name, change in second if name == "delta"]
    assert any(change.get("rollout", {}).get("value", {}).get("in_progress") for change in changes)
    assert not any("value" in change.get("lock", {}) or "traffic" in change for change in changes)
    assert merged(second) | {"now": "", "aws_calls": {}} == cloud.poller.document() | {"now": "", "aws_calls": {}}


def test_all_viewers_see_the_same(cloud: Cloud, run: Run) -> None:
    async def look() -> list[list[Event]]:
        return await asyncio.gather(*(follow(cloud.poller, 60) for _ in range(3)))

    one, two, three = map(merged, run(look()))
    assert one == two == three


def test_a_stream_says_that_it_is_alive(cloud: Cloud, run: Run) -> None:
    async def look() -> list[Event]:
        async with aclosing(cloud.poller.events()) as stream:  # without a viewer nothing changes
            return [await anext(stream) for _ in range(3)]

    assert [name for name, _ in run(look())] == ["state", ALIVE, ALIVE]


def test_the_end_of_the_console_ends_the_streams(cloud: Cloud, run: Run) -> None:
    async def end() -> None:
        viewer = asyncio.create_task(follow(cloud.poller, 600))
        await asyncio.sleep(20)
        cloud.poller.close()
        await asyncio.wait_for(viewer, 1)

    run(end())
