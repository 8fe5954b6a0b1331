"""Check the stages of a release that is not rolling: its test traffic before any user, then the share that it gets.

Both have three verdicts, like `verify`: a probe that reaches nothing of ours undoes no release.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from fargate_ops.core.application import Application
from fargate_ops.release.http_probe import Expected, Fetch, Kind, fetch, judged, probe_version
from fargate_ops.release.strategy import SmokeCheck, Strategy
from fargate_ops.release.verify import NO_VERSION_DOCUMENT, Settings, Source, Subject, Verdict, Verification

#: Requests of one sample of a share, and for how many seconds at most: a distant machine sends fewer.
SAMPLE = 200
SAMPLE_SECONDS = 20.0
#: A share may differ from the weights by so many standard deviations: a right one does so once in 15,000 samples.
DEVIATIONS = 4.0
PAUSE_SECONDS = 1.0


class StageChecks(Protocol):
    """The checks of a release's stages."""

    def test_traffic(self, subject: Subject) -> Verification:
        """Check that test requests get the subject, and that the smoke checks hold."""

    def share(self, subject: Subject, percent: float, still: Callable[[], bool]) -> Verification:
        """Check that the subject answers so many percent of the requests, as long as ``still`` says that it should."""


class HttpStageChecks:
    """Checks by requests to the public address. ``get``, ``clock`` and ``sleep`` are there for tests."""

    def __init__(
        self,
        url: str,
        application: Application,
        settings: Settings,
        strategy: Strategy,
        *,
        get: Callable[..., Any] = fetch,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url, self._application, self._settings, self._strategy = url, application, settings, strategy
        self._get: Fetch = get
        self._get_test: Fetch = partial(get, header=strategy.test_header)
        self._clock, self._sleep = clock, sleep

    def test_traffic(self, subject: Subject) -> Verification:
        if reason := self._why_not_by_requests():
            return Verification(verdict=Verdict.VERIFIED, reason=f"no test request was sent: {reason}")
        started, limit = self._clock(), self._settings.limit_seconds
        while True:
            result = probe_version(
                f"{self._url}{self._application.version_path}",
                _expected(subject),
                in_a_row=self._settings.answers,
                limit_seconds=limit,
                get=self._get_test,
                clock=self._clock,
                sleep=self._sleep,
            )
            # The load balancer applies a changed rule within seconds.
            if not result.other_version_in_a_row or self._clock() - started > limit:
                break
            self._sleep(PAUSE_SECONDS)
        said = f"test requests: {result.summary()}"
        if result.in_a_row < self._settings.answers:
            verdict = Verdict.WRONG if result.faults else Verdict.UNVERIFIED
            return Verification(verdict=verdict, reason=said, answers=result.in_a_row)
        for check in self._strategy.smoke_checks:
            if reason := self._smoke(check):
                return Verification(verdict=Verdict.WRONG, reason=f"the smoke check {check.path}: {reason}")
        checks = len(self._strategy.smoke_checks)
        said += f"; {checks} smoke check{'s' if checks != 1 else ''} passed" if checks else ""
        return Verification(verdict=Verdict.VERIFIED, reason=said, answers=result.in_a_row)

    def share(self, subject: Subject, percent: float, still: Callable[[], bool]) -> Verification:
        if reason := self._why_not_by_requests():
            return Verification(verdict=Verdict.VERIFIED, reason=f"no request was sent: {reason}")
        started = self._clock()
        while True:
            found = self._sample(_expected(subject), percent)
            # The load balancer applies new weights within seconds, and the next stage may begin meanwhile.
            if found.verdict is not Verdict.WRONG or self._clock() - started > self._settings.limit_seconds:
                break
            self._sleep(PAUSE_SECONDS)
        if found.verdict is Verdict.WRONG and not still():
            return Verification(verdict=Verdict.VERIFIED, reason="the share changed while it was checked")
        return found

    def _why_not_by_requests(self) -> str:
        if self._settings.source is Source.TARGETS:
            return "service_verify_from is targets"
        return "" if self._application.version_path else NO_VERSION_DOCUMENT

    def _sample(self, expected: Expected, percent: float) -> Verification:
        url, started = f"{self._url}{self._application.version_path}", self._clock()
        seen: dict[Kind, int] = dict.fromkeys(Kind, 0)
        wrong = ""
        for _ in range(SAMPLE):
            kind, why = judged(url, expected, self._get)
            seen[kind] += 1
            wrong = why if kind in (Kind.ERROR, Kind.NONE) else wrong
            if self._clock() - started > SAMPLE_SECONDS:
                break
        new, answers = seen[Kind.RIGHT], seen[Kind.RIGHT] + seen[Kind.OTHER_VERSION]
        said = f"{new} of {answers} answers are {expected.git_hash}'s, {percent:g} % should be"
        if seen[Kind.ERROR]:
            return Verification(verdict=Verdict.WRONG, reason=f"{said}; {seen[Kind.ERROR]} x {wrong}")
        if not answers:
            return Verification(verdict=Verdict.UNVERIFIED, reason=f"nothing of ours answered: {wrong}")
        right = is_share(new, answers, percent)
        return Verification(verdict=Verdict.VERIFIED if right else Verdict.WRONG, reason=said, answers=new)

    def _smoke(self, check: SmokeCheck) -> str:
        """Return why a smoke check does not hold; empty if it does."""
        try:
            answer = self._get_test(f"{self._url}{check.path}")
        except OSError as error:
            return f"no answer ({getattr(error, 'reason', error)})"
        if answer.status != check.status:
            return f"HTTP {answer.status}, and not {check.status}"
        if not check.json:
            return ""
        try:
            said = json.loads(answer.body)
        except ValueError:
            return "its answer is no JSON"
        return difference(check.json, said)


def _expected(subject: Subject) -> Expected:
    return Expected(
        git_hash=subject.version,
        image_digest=subject.digest,
        revision=int(subject.revision.rsplit(":", 1)[-1]),
    )


def is_share(new: int, answers: int, percent: float) -> bool:
    """Return whether ``new`` of ``answers`` random requests may be a share of so many percent."""
    share = percent / 100
    deviation = math.sqrt(answers * share * (1 - share))
    return abs(new - answers * share) <= DEVIATIONS * deviation


def difference(wanted: Any, said: Any, where: str = "$") -> str:
    """Return where a JSON value lacks what is wanted; empty if it contains it. Objects may have further keys."""
    if isinstance(wanted, Mapping) and isinstance(said, Mapping):
        for key, value in wanted.items():
            if key not in said:
                return f"{where}.{key} is missing"
            if found := difference(value, said[key], f"{where}.{key}"):
                return found
        return ""
    # In Python, True == 1.
    same = wanted == said and isinstance(wanted, bool) == isinstance(said, bool)
    return "" if same else f"{where} is {json.dumps(said)}, and not {json.dumps(wanted)}"
