"""Verified, wrong and unverified results: only a wrong one undoes a release."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.core.application import Application
from fargate_ops.release.http_probe import Answer
from fargate_ops.release.verify import Settings, Source, Subject, Verdict, Verification, Verifier
from fargate_ops.terraform.stack import Stack

OURS, OLD = "arn:task-definition/app:7", "arn:task-definition/app:6"
STACK = Stack(
    {
        "cluster_name": "c",
        "service_name": "app",
        "container_name": "api",
        "target_group_arn": "tg",
        "public_url": "http://x",
    },
    "test",
)
APPLICATION = Application(
    name="app", port=8000, health_path="/health", ready_path="/ready", version_path="/about", admin_command=[]
)
SUBJECT = Subject(version="abc", digest="sha256:1", revision=OURS, image="registry/app@sha256:1")
RIGHT = {"git_hash": "abc", "image_digest": "sha256:1", "task_definition_revision": 7}
NOBODY = OSError("timed out")


@dataclass
class Cloud:
    """One service as ECS and the load balancer return it; ``stale_looks`` answers are outdated."""

    rollout_state: str = "COMPLETED"
    tasks: dict[str, str] = field(default_factory=lambda: {"10.0.1.7": OURS, "10.0.2.7": OURS})
    healthy: list[str] = field(default_factory=lambda: ["10.0.1.7", "10.0.2.7"])
    stale_looks: int = 0
    image: dict[str, str] = field(default_factory=lambda: {"imageDigest": "sha256:1"})
    application: Application = APPLICATION
    now: float = 0.0

    def describe_services(self, **_: Any) -> dict[str, Any]:
        self.stale_looks -= 1
        primary = {"id": "ecs-svc/2", "status": "PRIMARY", "taskDefinition": OURS, "rolloutState": self.rollout_state}
        if self.stale_looks >= 0:
            primary |= {"id": "ecs-svc/1", "taskDefinition": OLD}
        return {"services": [{"serviceName": "app", "status": "ACTIVE", "deployments": [primary]}]}

    def describe_target_health(self, **_: Any) -> dict[str, Any]:
        states = dict.fromkeys(self.tasks, "unhealthy") | dict.fromkeys(self.healthy, "healthy")
        return {
            "TargetHealthDescriptions": [
                {"Target": {"Id": address}, "TargetHealth": {"State": state}} for address, state in states.items()
            ]
        }

    def describe_task_definition(self, *, taskDefinition: str) -> dict[str, Any]:
        number = 1 if taskDefinition == OURS else 2
        return {"taskDefinition": {"containerDefinitions": [{"image": f"registry/app@sha256:{number}"}]}}

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"taskArns": list(self.tasks)}]

    def describe_tasks(self, *, tasks: list[str], **_: Any) -> dict[str, Any]:
        return {
            "tasks": [
                {
                    "taskArn": f"arn:task/{address}",
                    "taskDefinitionArn": self.tasks[address],
                    "containers": [{"name": "sidecar", "imageDigest": "sha256:9"}, {"name": "api", **self.image}],
                    "attachments": [{"details": [{"name": "privateIPv4Address", "value": address}]}],
                }
                for address in tasks
            ]
        }

    def clock(self) -> float:
        self.now += 0.5
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def verify(
        self, version: Any = NOBODY, ready: Any = None, *, source: Source = Source.PUBLIC, subject: Subject = SUBJECT
    ) -> Verification:
        """Verify while ``/about`` and ``/ready`` answer with an exception, an `Answer`, or a JSON object."""

        def get(url: str) -> Answer:
            answer = {"http://x/about": version, "http://x/ready": ready or Answer(200)}[url]
            if isinstance(answer, Exception):
                raise answer
            return answer if isinstance(answer, Answer) else Answer(200, json.dumps(answer).encode(), traced=True)

        settings = Settings(source=source, answers=3, limit_seconds=9)
        ways = {"get": get, "clock": self.clock, "sleep": self.sleep}
        return Verifier(self, self, STACK, self.application, settings, **ways).verify(subject)


def test_right_answers_verify_at_least_two_for_each_healthy_target() -> None:
    found = Cloud().verify(RIGHT)
    assert (found.verdict, found.answers) == (Verdict.VERIFIED, 4)
    assert found.reason == "http://x/about: 4 right in a row of 4 answers, in 2.0 s; /ready: HTTP 200"


@pytest.mark.parametrize(
    ("version", "ready", "said"),
    [
        (RIGHT | {"git_hash": "old"}, None, "git_hash is old"),
        (Answer(500, traced=True), None, "HTTP 500"),
        (Answer(502, server="awselb/2.0"), None, "HTTP 502 of the load balancer"),
        (RIGHT, Answer(503, b"no database"), "/ready: HTTP 503: no database"),
    ],
)
def test_another_version_or_the_applications_errors_are_wrong(version: Any, ready: Any, said: str) -> None:
    found = Cloud().verify(version, ready)
    assert found.verdict is Verdict.WRONG
    assert said in found.reason


@pytest.mark.parametrize(
    ("version", "ready"),
    [(NOBODY, None), (Answer(403), None), (Answer(200, b"<html>Sign in"), None), (RIGHT, NOBODY)],
    ids=["nobody", "allow-list", "sign-in page", "gone in between"],
)
def test_nothing_of_ours_that_answers_is_unverified_while_the_targets_are_healthy(version: Any, ready: Any) -> None:
    assert Cloud().verify(version, ready).verdict is Verdict.UNVERIFIED


SICK = [
    (Cloud(healthy=[]), "no target of app:7 is healthy"),
    (Cloud(healthy=["10.0.1.7", "10.0.9.9"]), "healthy targets that are no tasks of app:7: 10.0.9.9"),
    (Cloud(tasks={"10.0.1.7": OURS, "10.0.2.7": OLD}), "healthy targets that are no tasks of app:7: 10.0.2.7"),
    (Cloud(rollout_state="IN_PROGRESS"), "the rollout of app:7 is in progress"),
    (Cloud(image={"imageDigest": "sha256:2"}), "task 10.0.1.7 runs sha256:2 and not sha256:1"),
]


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize(("cloud", "said"), SICK)
def test_targets_that_are_not_ours_alone_and_healthy_are_wrong(cloud: Cloud, said: str, source: Source) -> None:
    found = cloud.verify(source=source)
    assert found.verdict is Verdict.WRONG
    assert said in found.reason


def test_targets_verify_without_asking_any_address() -> None:
    found = Cloud().verify(AssertionError("asked"), source=Source.TARGETS)
    assert found.verdict is Verdict.VERIFIED
    assert found.reason == "its tasks are the only healthy targets and run sha256:1…"


@pytest.mark.parametrize(
    "image",
    [
        {},
        {"image": "registry/app:latest"},
        {"image": "registry/app@sha256:1", "imageDigest": "sha256:of-one-platform"},
    ],
    ids=["unknown", "a tag", "several platforms"],
)
def test_a_digest_that_ecs_does_not_know_is_no_other_image(image: dict[str, str]) -> None:
    assert Cloud(image=image).verify(source=Source.TARGETS).verdict is Verdict.VERIFIED


def test_an_application_without_a_version_document_is_verified_by_its_tasks() -> None:
    cloud = Cloud(application=replace(APPLICATION, version_path=""))
    found = cloud.verify(AssertionError("asked"), AssertionError("asked"))
    assert (found.verdict, found.answers) == (Verdict.VERIFIED, 0)
    assert found.reason == (
        "its tasks are the only healthy targets and run sha256:1…; the application has no version document "
        "(app_version_path), so no request was sent"
    )
    cloud.image = {"imageDigest": "sha256:2"}
    assert cloud.verify().verdict is Verdict.WRONG


def test_an_application_without_readiness_is_not_asked_for_it() -> None:
    found = Cloud(application=replace(APPLICATION, ready_path="")).verify(RIGHT, AssertionError("asked"))
    assert (found.verdict, found.answers) == (Verdict.VERIFIED, 4)
    assert found.reason.endswith("; readiness not checked: the application has no app_ready_path")


@pytest.mark.parametrize("operation", ["describe_services", "describe_target_health", "describe_task_definition"])
@pytest.mark.parametrize("source", Source)
def test_an_error_of_aws_that_passes_says_nothing_about_what_serves(
    monkeypatch: pytest.MonkeyPatch, operation: str, source: Source
) -> None:
    cloud = Cloud()
    asked, calls = getattr(cloud, operation), count()

    def throttled(**request: Any) -> Any:
        if next(calls) % 3 == 0:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "Anything")
        return asked(**request)

    monkeypatch.setattr(cloud, operation, throttled)
    assert cloud.verify(RIGHT, source=source).verdict is Verdict.VERIFIED


def test_an_answer_of_ecs_that_is_older_than_the_release_is_not_believed() -> None:
    assert Cloud(stale_looks=3).verify(RIGHT).verdict is Verdict.VERIFIED


@pytest.mark.parametrize("changes", [{"revision": OLD}, {"image": "registry/app@sha256:2"}])
def test_another_revision_or_image_is_wrong(changes: dict[str, str]) -> None:
    found = Cloud().verify(RIGHT, subject=Subject(**{**SUBJECT.__dict__, **changes}))
    assert found.verdict is Verdict.WRONG
    assert "the service runs app:7 (registry/app@sha256:1) and not" in found.reason
