"""Verify that one revision, and only it, serves: by the answers of the public address, or by its targets.

A probe that does not reach the service says nothing about it: a proxy, an allow-list or DNS may block this machine. So
there are three verdicts, and only `WRONG` undoes a release.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Any

from fargate_ops.aws.retry import TransientErrors, retry
from fargate_ops.core.application import Application
from fargate_ops.ecs.rollout import Deployment, Snapshot, Watch
from fargate_ops.ecs.tasks import describe_tasks, list_tasks, private_address, short
from fargate_ops.ecs.traffic import live_target_groups, target_groups, target_health
from fargate_ops.release.http_probe import Expected, Fetch, Result, fetch, probe_version, readiness
from fargate_ops.terraform.stack import Stack

#: Why a release is verified by its targets although the public address could be asked.
NO_VERSION_DOCUMENT = "the application has no version document (app_version_path)"
#: Seconds between two polls of ECS and the load balancer.
LOOK_SECONDS = 1.0


class Source(StrEnum):
    """The evidence for a verification; the values are the inventory's."""

    PUBLIC = "public"
    TARGETS = "targets"


class Verdict(Enum):
    VERIFIED = auto()
    #: Another version answers, the application answers with errors, or no target is healthy.
    WRONG = auto()
    #: The targets are healthy, but the probe reached nothing of ours.
    UNVERIFIED = auto()


@dataclass(frozen=True, kw_only=True)
class Verification:
    """A verdict with its reason in one line. ``answers`` counts the right ones in a row; ``make <verb>`` shows more."""

    verdict: Verdict
    reason: str
    answers: int = 0
    verb: str = "logs"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The revision that has to serve. An empty ``revision`` or ``image`` accepts any."""

    version: str
    digest: str
    revision: str = ""
    image: str = ""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Require ``answers`` right ones in a row, at least two for each healthy target, within ``limit_seconds``."""

    source: Source
    answers: int
    limit_seconds: float

    @classmethod
    def from_arguments(cls, args: Mapping[str, Any]) -> Settings:
        """Return the settings from an action's arguments of the same names."""
        return cls(source=Source(args["source"]), answers=args["answers"], limit_seconds=args["limit_seconds"])


class Verifier:
    """Verifies one service. ``get``, ``clock`` and ``sleep`` are there for tests."""

    def __init__(
        self,
        ecs: Any,
        elbv2: Any,
        stack: Stack,
        application: Application,
        settings: Settings,
        *,
        get: Fetch = fetch,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ecs, self._elbv2 = ecs, elbv2
        self._cluster, self._service = stack.cluster_name, stack.service_name
        self._stack, self._url = stack, stack.public_url
        self._container, self._application, self._settings = stack.container_name, application, settings
        self._get, self._clock, self._sleep = get, clock, sleep
        self._watch = Watch(
            ecs,
            elbv2,
            cluster=self._cluster,
            service=self._service,
            target_groups=target_groups(stack),
            say=lambda _: None,
        )

    def verify(self, subject: Subject) -> Verification:
        """Verify that the subject, and only it, serves.

        Raises:
            ServiceError: there is no such service.
            ClientError, BotoCoreError: AWS did not answer.
        """
        # An answer of ECS may be older than the release: https://github.com/kayac/ecspresso/pull/28
        reason = self._until_none(lambda: self._runs_another(subject))
        if reason:
            return Verification(verdict=Verdict.WRONG, reason=reason, verb="status")
        if self._settings.source is Source.PUBLIC and self._application.version_path:
            return self._by_answers(subject)
        if reason := self._until_none(lambda: self._why_not_healthy(subject)):
            return Verification(verdict=Verdict.WRONG, reason=reason, verb="status")
        seen = "its tasks are the only healthy targets"
        if subject.digest:
            seen += f" and run {short_digest(subject.digest)}"
        if self._settings.source is Source.PUBLIC:
            seen += f"; {NO_VERSION_DOCUMENT}, so no request was sent"
        return Verification(verdict=Verdict.VERIFIED, reason=seen)

    def _runs_another(self, subject: Subject) -> str:
        """Return what PRIMARY runs instead of the subject; empty if it runs that."""
        primary = self._watch.snapshot().primary
        definition = self._ecs.describe_task_definition(taskDefinition=primary.revision)["taskDefinition"]
        images = [container["image"] for container in definition["containerDefinitions"]]
        if subject.revision in ("", primary.revision) and (not subject.image or subject.image in images):
            return ""
        wanted = subject.image or subject.revision.rsplit("/", 1)[-1]
        return f"the service runs {primary.revision_name} ({', '.join(images)}) and not {wanted}"

    def _by_answers(self, subject: Subject) -> Verification:
        snapshot = retry(self._watch.snapshot, lambda _: None, lambda: self._sleep(LOOK_SECONDS))
        expected = Expected(
            git_hash=subject.version,
            image_digest=subject.digest,
            revision=int((subject.revision or snapshot.primary.revision).rsplit(":", 1)[-1]),
        )
        wanted = self._settings.answers
        url = f"{self._url}{self._application.version_path}"
        result = probe_version(
            url,
            expected,
            in_a_row=max(wanted, 2 * snapshot.targets.get("healthy", 0)),
            limit_seconds=self._settings.limit_seconds,
            get=self._get,
            clock=self._clock,
            sleep=self._sleep,
        )
        said = f"{url}: {result.summary()}, in {result.seconds:.1f} s"
        if result.in_a_row < wanted:
            return self._without_answers(subject, result, said)
        ready_path = self._application.ready_path
        if not ready_path:
            said = f"{said}; readiness not checked: the application has no app_ready_path"
            return Verification(verdict=Verdict.VERIFIED, reason=said, answers=result.in_a_row)
        ready = readiness(f"{self._url}{ready_path}", self._get)
        said = f"{said}; {ready_path}: {ready.reason or 'HTTP 200'}"
        if ready.unreachable:
            return self._without_answers(subject, result, said)
        verdict = Verdict.WRONG if ready.reason else Verdict.VERIFIED
        return Verification(verdict=verdict, reason=said, answers=result.in_a_row)

    def _without_answers(self, subject: Subject, result: Result, said: str) -> Verification:
        """Return the verdict without enough right answers: wrong ones decide; without any, the targets' health does."""
        if result.faults:
            return Verification(verdict=Verdict.WRONG, reason=said, answers=result.in_a_row)
        if reason := self._until_none(lambda: self._why_not_healthy(subject)):
            return Verification(verdict=Verdict.WRONG, reason=f"{said}; {reason}", answers=result.in_a_row)
        return Verification(verdict=Verdict.UNVERIFIED, reason=said, answers=result.in_a_row)

    def _why_not_healthy(self, subject: Subject) -> str:
        """Return why PRIMARY does not serve alone, by its targets and its tasks' image; empty if it does."""
        snapshot = self._watch.snapshot()
        tasks = describe_tasks(
            self._ecs, self._cluster, list_tasks(self._ecs, self._cluster, serviceName=self._service)
        )
        live = live_target_groups(self._elbv2, self._stack)
        health = target_health(self._elbv2, live)["TargetHealthDescriptions"]
        healthy = [item["Target"]["Id"] for item in health if item["TargetHealth"]["State"] == "healthy"]
        return why_not_alone(snapshot, tasks, healthy) or why_another_image(tasks, self._container, subject.digest)

    def _until_none(self, why: Callable[[], str]) -> str:
        """Call ``why`` until it returns no reason, within the limit. Return the last one. Tolerate transient errors."""
        started, errors = self._clock(), TransientErrors(lambda _: None)
        while (reason := errors.tolerate(why)) != "":
            if reason and self._clock() - started >= self._settings.limit_seconds:
                return reason
            self._sleep(LOOK_SECONDS)
        return ""


def why_not_alone(snapshot: Snapshot, tasks: Sequence[Mapping[str, Any]], healthy: Sequence[str]) -> str:
    """Return why PRIMARY is not COMPLETED with its tasks as the only healthy targets; empty if it is."""
    primary: Deployment = snapshot.primary
    if primary.rollout_state != "COMPLETED" or snapshot.tasks_beside(primary.id):
        return f"the rollout of {primary.revision_name} is {primary.rollout_state.lower().replace('_', ' ')}"
    ours = {private_address(task) for task in tasks if task["taskDefinitionArn"] == primary.revision}
    if others := [address for address in healthy if address not in ours]:
        return f"healthy targets that are no tasks of {primary.revision_name}: {', '.join(others)}"
    return "" if healthy else f"no target of {primary.revision_name} is healthy"


def why_another_image(tasks: Sequence[Mapping[str, Any]], container: str, digest: str) -> str:
    """Return which task runs another image than ``digest``; empty if none does. A digest that ECS lacks is no fault.

    For an image of several platforms, ECS may report the digest of one platform: the reference names the whole image.
    """
    for task in tasks:
        for item in task.get("containers") or []:
            known = {item.get("imageDigest"), str(item.get("image", "")).partition("@")[2]} - {None, ""}
            if item["name"] == container and digest and known and digest not in known:
                return f"task {short(task['taskArn'])} runs {', '.join(sorted(known))} and not {digest}"
    return ""


def short_digest(digest: str) -> str:
    """Return the beginning of a digest, for people."""
    return f"{digest[:19]}…"
