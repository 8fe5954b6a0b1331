"""How often AWS is polled: slowly in an account, faster with the emulator, and always with jitter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fargate_ops.aws.pace import POLL_SECONDS, jittered

PROJECT = Path(__file__).parents[3]
SETTINGS = {"ecs_release_poll_seconds": "ecs_release", "ecs_task_poll_seconds": "ecs_task"}


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def inventory(name: str) -> dict[str, Any]:
    files = sorted((PROJECT / "inventory" / name / "group_vars/all").glob("*.yml"))
    return {key: value for file in files for key, value in read(file).items()}


def test_rests_lie_around_the_pace() -> None:
    rests = [jittered(4) for _ in range(100)]
    assert all(3 <= rest <= 5 for rest in rests)
    assert min(rests) < 3.5 < 4.5 < max(rests)
    assert jittered(4, jitter=0) == 4


def test_outside_local_the_roles_defaults_hold_and_they_are_slow() -> None:
    defaults = {name: read(PROJECT / f"roles/{role}/defaults/main.yml")[name] for name, role in SETTINGS.items()}
    assert all(3 <= seconds <= 5 for seconds in defaults.values())
    assert defaults["ecs_task_poll_seconds"] == POLL_SECONDS
    for name in ("staging", "production"):
        assert not SETTINGS.keys() & inventory(name).keys()
    assert all(inventory("local")[name] <= 1 for name in SETTINGS)
