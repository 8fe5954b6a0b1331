"""Deregister old task definitions, so that the console stays readable, except those in use or needed for a rollback.

A deregistered revision becomes INACTIVE: its tasks keep running, but no service can be updated to it any more.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deregister-task-definition-v2.html
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.ecs.tasks import describe_tasks, short
from fargate_ops.state.ledger import Outcome, Release, earlier_successes, unfinished

#: Successes that stay available for a rollback, however many newer revisions there are.
ROLLBACK_SUCCESSES = 10
#: Deregistrations in one run, so that a release is never delayed. The next release continues.
AT_MOST = 10
#: Running tasks inspected in each family. A family with more is not pruned.
TASKS_SEEN = 1000


def needed_for_rollback(releases: Sequence[Release], successes: int = ROLLBACK_SUCCESSES) -> frozenset[str]:
    """Return the revisions that a rollback, or a return from one, may need, and those of releases without an end.

    ``releases`` are those of this incarnation of the service, oldest first. The result includes what serves, the
    targets of the next rollbacks, and everything that succeeded since the oldest of the newest ``successes``.
    """
    way_back = [release.revision for release in earlier_successes(releases)[:successes]]
    needed = {release.revision for release in unfinished(releases)} | set(way_back)
    succeeded: set[str] = set()
    for release in reversed(releases):
        if len(succeeded) == successes:
            break
        if release.outcome in (Outcome.SUCCEEDED, Outcome.ROLLING_BACK, Outcome.ROLLED_BACK):
            needed.add(release.revision)
        if release.outcome is Outcome.SUCCEEDED:
            succeeded.add(release.revision)
    return frozenset(needed)


def superseded(revisions: Iterable[str], family: str, keep: int, needed: Collection[str]) -> list[str]:
    """Return a family's superseded revisions (ARNs), oldest first: all but the newest `keep` and the needed ones."""
    ours = sorted((arn for arn in revisions if _family(arn) == family), key=_number)
    return [arn for arn in ours[: max(0, len(ours) - keep)] if arn not in needed]


def prune(
    ecs: Any,
    *,
    cluster: str,
    service: Mapping[str, Any],
    families: Sequence[str],
    releases: Sequence[Release],
    keep: int,
    say: Callable[[str], None],
    at_most: int = AT_MOST,
) -> list[str]:
    """Deregister old revisions of the families, a few in each run. Return their ARNs.

    ``service`` is an item of DescribeServices, ``releases`` are those of its incarnation. A failure is printed and not
    raised: the release has succeeded, and the next one continues.
    """
    done: list[str] = []
    deployed = {str(item["taskDefinition"]) for item in service["deployments"]}
    needed = needed_for_rollback(releases) | deployed
    try:
        for family in families:
            candidates = superseded(_registered(ecs, family, keep + len(needed) + at_most), family, keep, needed)
            if candidates and len(done) < at_most:
                running = _running(ecs, cluster, family)
                if running is None:
                    say(f"more than {TASKS_SEEN} tasks of {family} run: its old revisions stay")
                    continue
                for arn in [arn for arn in candidates if arn not in running][: at_most - len(done)]:
                    ecs.deregister_task_definition(taskDefinition=arn)
                    done.append(arn)
    except (ClientError, BotoCoreError) as error:
        say(f"old task definitions stay until the next release: {error}")
    if done:
        say(f"deregistered old task definitions: {', '.join(map(short, done))}")
    return done


def _registered(ecs: Any, family: str, limit: int) -> list[str]:
    """Return the oldest ACTIVE revisions. Those after `limit` are newer and would be kept anyway."""
    pages = ecs.get_paginator("list_task_definitions").paginate(familyPrefix=family, status="ACTIVE", sort="ASC")
    arns = (arn for page in pages for arn in page["taskDefinitionArns"] if _family(arn) == family)
    return list(islice(arns, limit))


def _running(ecs: Any, cluster: str, family: str) -> set[str] | None:
    """Return the revisions of running tasks, one-off tasks included; None if there are too many tasks to inspect."""
    pages = ecs.get_paginator("list_tasks").paginate(cluster=cluster, family=family)
    arns = list(islice((arn for page in pages for arn in page["taskArns"]), TASKS_SEEN + 1))
    if len(arns) > TASKS_SEEN:
        return None
    return {str(task["taskDefinitionArn"]) for task in describe_tasks(ecs, cluster, arns)}


def _family(arn: str) -> str:
    return short(arn).split(":")[0]


def _number(arn: str) -> int:
    return int(arn.rpartition(":")[2])
