"""The checks of a release's stages, against HTTP answers that a test makes up."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any

import pytest

from fargate_ops.core.application import Application
from fargate_ops.release.http_probe import Answer
from fargate_ops.release.stage_checks import SAMPLE, HttpStageChecks, difference, is_share
from fargate_ops.release.strategy import Name, SmokeCheck, Strategy
from fargate_ops.release.verify import Settings, Source, Subject, Verdict, Verification

APPLICATION = Application(name="shop", port=8000, health_path="/health", ready_path="/ready", version_path="/about")
SUBJECT = Subject(version="new", digest="sha256:new", revision="arn:task-definition/shop:7")
STRATEGY = Strategy(name=Name.CANARY, test_header=("X-Release-Test", "1"))
URL = "http://shop.example"


def version(name: str) -> Answer:
    return Answer(200, json.dumps({"git_hash": name}).encode())


NEW, OLD = version("new"), version("old")


@dataclass
class Site:
    """The public address. ``answers`` are those of the version document, in turn; ``test`` those of test requests."""

    answers: Sequence[Answer] = (OLD,)
    test: Sequence[Answer] = (NEW,)
    pages: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, bool]] = field(default_factory=list)
    now: float = 0.0
    seconds: float = 0.01

    def __post_init__(self) -> None:
        self._users, self._tests = cycle(self.answers), cycle(self.test)

    def get(self, url: str, header: tuple[str, str] | None = None) -> Answer:
        assert header in (None, STRATEGY.test_header)
        path = url.removeprefix(URL)
        self.asked.append((path, bool(header)))
        self.now += self.seconds
        answer = self.pages[path] if path in self.pages else next(self._tests if header else self._users)
        if not answer.status:
            raise OSError("refused")
        return answer

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def checks(self, source: Source = Source.PUBLIC, application: Application = APPLICATION, **strategy: Any) -> Any:
        return HttpStageChecks(
            URL,
            application,
            Settings(source=source, answers=3, limit_seconds=5),
            replace(STRATEGY, **strategy),
            get=self.get,
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    def share(self, percent: float, still: Callable[[], bool] = lambda: True) -> Verification:
        found: Verification = self.checks().share(SUBJECT, percent, still)
        return found


NOBODY = Answer(0)


def test_test_requests_get_the_new_version() -> None:
    site = Site()
    found = site.checks().test_traffic(SUBJECT)
    assert (found.verdict, found.answers) == (Verdict.VERIFIED, 3)
    assert site.asked == [("/about", True)] * 3


def test_a_rule_that_is_applied_late_is_waited_for() -> None:
    found = Site(test=[OLD] * 7 + [NEW] * 1000).checks().test_traffic(SUBJECT)
    assert found.verdict is Verdict.VERIFIED


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([OLD], Verdict.WRONG),
        ([Answer(500, traced=True)], Verdict.WRONG),
        ([Answer(502, server="awselb/2.0")], Verdict.WRONG),
        ([NOBODY], Verdict.UNVERIFIED),
        ([Answer(403)], Verdict.UNVERIFIED),
    ],
)
def test_other_answers_to_test_requests(answers: list[Answer], verdict: Verdict) -> None:
    assert Site(test=answers).checks().test_traffic(SUBJECT).verdict is verdict


@pytest.mark.parametrize(
    ("check", "answer", "why"),
    [
        (SmokeCheck("/a"), Answer(200), ""),
        (SmokeCheck("/a"), Answer(500), "HTTP 500, and not 200"),
        (SmokeCheck("/a", 401), Answer(401), ""),
        (SmokeCheck("/a"), NOBODY, "no answer (refused)"),
        (SmokeCheck("/a", json={"b": 1}), Answer(200, b"<html>"), "its answer is no JSON"),
        (SmokeCheck("/a", json={"b": {"c": [1]}}), Answer(200, b'{"b": {"c": [1], "d": 2}}'), ""),
        (SmokeCheck("/a", json={"b": {"c": 2}}), Answer(200, b'{"b": {"c": 3}}'), "$.b.c is 3, and not 2"),
        (SmokeCheck("/a", json={}), Answer(200, b"no matter"), ""),
    ],
)
def test_smoke_checks_are_test_requests(check: SmokeCheck, answer: Answer, why: str) -> None:
    site = Site(pages={"/a": answer})
    found = site.checks(smoke_checks=[check]).test_traffic(SUBJECT)
    assert site.asked[-1] == ("/a", True)
    if why:
        assert (found.verdict, found.reason) == (Verdict.WRONG, f"the smoke check /a: {why}")
    else:
        assert found.verdict is Verdict.VERIFIED
        assert found.reason.endswith("; 1 smoke check passed")


@pytest.mark.parametrize(
    ("source", "application", "why"),
    [
        (Source.TARGETS, APPLICATION, "service_verify_from is targets"),
        (Source.PUBLIC, replace(APPLICATION, version_path=""), "the application has no version document"),
    ],
)
def test_without_a_way_to_ask_no_request_is_sent(source: Source, application: Application, why: str) -> None:
    site = Site()
    checks = site.checks(source, application)
    for found in (checks.test_traffic(SUBJECT), checks.share(SUBJECT, 10, lambda: True)):
        assert found.verdict is Verdict.VERIFIED
        assert why in found.reason
    assert site.asked == []


@pytest.mark.parametrize(
    ("percent", "answers", "verdict"),
    [
        (10, [NEW] + [OLD] * 9, Verdict.VERIFIED),
        (10, [OLD], Verdict.WRONG),
        (10, [NEW, OLD], Verdict.WRONG),
        (10, [NEW], Verdict.WRONG),
        (100, [NEW], Verdict.VERIFIED),
        (100, [NEW] * 99 + [OLD], Verdict.WRONG),
        (0.1, [OLD], Verdict.VERIFIED),
        (10, [NEW] + [OLD] * 8 + [Answer(500, traced=True)], Verdict.WRONG),
        (10, [NOBODY], Verdict.UNVERIFIED),
    ],
)
def test_both_versions_answer_in_the_share_of_the_weights(
    percent: float, answers: list[Answer], verdict: Verdict
) -> None:
    site = Site(answers=answers)
    assert site.share(percent).verdict is verdict
    assert not any(test for _, test in site.asked)


def test_weights_that_are_applied_late_are_waited_for() -> None:
    site = Site(answers=[OLD] * (SAMPLE + 50) + ([NEW] + [OLD] * 9) * 100)
    assert site.share(10).verdict is Verdict.VERIFIED


def test_a_share_that_changed_meanwhile_undoes_nothing() -> None:
    found = Site(answers=[NEW]).share(10, lambda: False)
    assert (found.verdict, found.reason) == (Verdict.VERIFIED, "the share changed while it was checked")


def test_a_distant_machine_sends_fewer_requests() -> None:
    site = Site(answers=[NEW] + [OLD] * 9, seconds=1.0)
    assert site.share(10).verdict is Verdict.VERIFIED
    assert len(site.asked) < SAMPLE / 2


@pytest.mark.parametrize(("new", "right"), [(20, True), (4, True), (36, True), (2, False), (38, False), (0, False)])
def test_a_share_of_200_answers_may_be_four_deviations_off(new: int, right: bool) -> None:
    assert is_share(new, 200, 10) is right


@pytest.mark.parametrize(
    ("wanted", "said", "why"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, ""),
        ({"a": 1}, {"b": 2}, "$.a is missing"),
        ({"a": 1}, {"a": True}, "$.a is true, and not 1"),
        ({"a": None}, {"a": None}, ""),
        ({"a": {}}, {"a": []}, "$.a is [], and not {}"),
        ({"a": [1]}, {"a": [1, 2]}, "$.a is [1, 2], and not [1]"),
    ],
)
def test_a_json_answer_contains_what_is_wanted(wanted: Any, said: Any, why: str) -> None:
    assert difference(wanted, said) == why
