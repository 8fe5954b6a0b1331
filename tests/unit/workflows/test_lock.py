"""The workflow lock: one pull request with the renewed locks, and none if nothing is newer."""

from __future__ import annotations

from tests.unit.workflows.world import MAIN, World
from tests.workflows.runner import Event, Finished, git


def lock(world: World, newer: str) -> Finished:
    """Run the workflow. Its `make lock` appends `newer` to the lock."""
    script = f'[ "$*" != "lock UPGRADE=1" ] || printf "{newer}" >> requirements.txt'
    world.hub.program("make", "sh", "-c", script, "make")
    return world.runner.run("lock.yml", Event("schedule", MAIN, world.newest))


def test_newer_packages_are_one_pull_request(world: World) -> None:
    lock(world, "")
    assert world.hub.state.pulls == {}
    for newer in ("a==2", "b==3"):
        lock(world, newer)
        assert world.hub.state.pulls == {"renew-locks": "Renew the locks"}
        changed = git(world.origin, "diff", "--name-only", f"{world.newest}...renew-locks")
        assert changed.splitlines() == ["requirements.txt"]
        assert git(world.origin, "show", "renew-locks:requirements.txt").endswith(newer)
