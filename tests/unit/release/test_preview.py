"""The fingerprint of a release changes with its definition, its image and its migrations, and with nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fargate_ops.cost.plan_cost import Tasks
from fargate_ops.release.preview import NOT_BUILT, Preview, planned_image, preview
from fargate_ops.terraform.stack import Stack
from tests.unit.release.conftest import BUCKET, without_database

if TYPE_CHECKING:
    from tests.unit.release.conftest import World


def previewed(world: World, version: str = "aaa", **changes: Any) -> Preview:
    releaser = world.releaser(version, **changes)
    return preview(
        world,
        world.stack,
        world.application,
        releaser.settings,
        releaser.image,
        bucket=BUCKET,
        environment="test",
    )


def test_before_the_first_deployment_only_the_image_is_known(world: World) -> None:
    world.stack = Stack({}, "test")
    found = previewed(world)
    assert found.section == {"image": {"version": "aaa", "digest": "sha256:aaa"}}
    assert (list(found.lines), found.running) == (["a first release, of aaa"], None)


@pytest.mark.parametrize("missing", ["cluster_name", "task_role_arn", "admin_family"])
def test_after_an_apply_that_failed_midway_only_the_image_is_known(world: World, missing: str) -> None:
    world.stack = Stack({name: value for name, value in world.stack.values.items() if name != missing}, "test")
    found = previewed(world)
    assert found.section == {"image": {"version": "aaa", "digest": "sha256:aaa"}}
    (line,) = found.lines
    assert line.startswith("release of aaa: its task definition is known after Terraform's apply. The infrastructure")


def test_over_the_placeholder_it_is_a_first_release_with_all_migrations(world: World) -> None:
    found = previewed(world)
    assert found.running is None
    assert found.section["migrations"] == {"schema": "schema (none) -> 0001"}
    assert "  a first task definition" in found.lines


def test_what_serves_already_is_nothing_to_release(world: World) -> None:
    world.released()
    found = previewed(world)
    assert list(found.lines) == ["release of aaa over settlement-test:1: nothing to release"]
    assert list(found.section["task definition"]) == ["the whole"]
    assert "migrations" not in found.section
    assert found.running == Tasks(2, 256, 512, "X86_64")


def test_each_change_of_the_definition_is_shown_and_named(world: World) -> None:
    world.released()
    found = previewed(world, environment={"LOG_LEVEL": "DEBUG"}, memory=1024)
    assert list(found.lines)[1:] == ["  api.environment.LOG_LEVEL: INFO -> DEBUG", "  memory: 512 -> 1024"]
    assert sorted(found.section["task definition"]) == ["api.environment.LOG_LEVEL", "memory", "the whole"]


@pytest.mark.parametrize(
    "changed",
    [
        {"version": "bbb"},
        {"environment": {"LOG_LEVEL": "DEBUG"}},
        {"memory": 1024},
        {"secrets": {"TOKEN": "arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:more-Ab12Cd"}},
        {"schema_head": "0002"},
    ],
    ids=["image", "environment", "size", "secret", "migration"],
)
def test_each_kind_of_change_is_another_fingerprint(world: World, changed: dict[str, Any]) -> None:
    world.released()
    assert previewed(world).section == previewed(world).section
    assert previewed(world, **changed).section != previewed(world).section


def test_a_release_in_between_is_another_fingerprint(world: World) -> None:
    """The same image would then replace another one."""
    world.released("aaa")
    before = previewed(world, "ccc")
    world.released("bbb", schema_head="0002")
    assert previewed(world, "ccc").section != before.section
    assert previewed(world, "ccc").section["migrations"] == {"schema": "schema 0002 -> 0001"}


def test_a_database_s_other_user_is_no_change(world: World) -> None:
    """A rotation alternates between two, and a release keeps the one in use."""
    world.released()
    assert previewed(world).lines == previewed(world).lines
    definition = world.ecs.definitions[world.ecs.primary["taskDefinition"]]
    for secret in definition["containerDefinitions"][0]["secrets"]:
        secret["valueFrom"] = secret["valueFrom"].replace(":secret:app-", ":secret:app-clone-")
    assert list(previewed(world).lines) == ["release of aaa over settlement-test:1: nothing to release"]


def test_without_a_database_there_are_no_migrations(world: World) -> None:
    without_database(world)
    section = previewed(world, schema_head="0007").section
    assert sorted(section) == ["image", "task definition"]


def test_an_image_that_is_not_built_is_shown_without_a_digest(world: World) -> None:
    fact = {"version": "aaa", "digest": None, "image": None, "schema_head": "", "schema_compatible": []}
    image = planned_image(fact)
    assert (image.version, image.digest, image.schema_head) == ("aaa", NOT_BUILT, NOT_BUILT)
    assert planned_image({**fact, "digest": "sha256:1", "image": "r@sha256:1"}).digest == "sha256:1"


def test_no_account_number_is_in_it(world: World) -> None:
    """GitHub drops a job's output that contains a masked value, and the account's number is one."""
    world.released()
    found = previewed(world, secrets={"TOKEN": "arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:more-Ab12Cd"})
    assert "000000000000" in str(found.lines)
    assert "000000000000" not in str(found.section)
