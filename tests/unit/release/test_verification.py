"""The messages of a verification, before and after it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fargate_ops.core.application import Application
from fargate_ops.core.outcome import Kind, Outcome
from fargate_ops.core.problem import CompleteError
from fargate_ops.release.verification import preview, require_verified
from fargate_ops.release.verify import Subject, Verdict, Verification

APPLICATION = Application(name="shop", port=8000, health_path="/health", version_path="/about")
SUBJECT = Subject(version="0123456789ab", digest="sha256:1")


def test_a_preview_says_what_would_be_asked() -> None:
    assert preview("public", 6, "http://qa", "v1", APPLICATION) == "would ask http://qa for v1, 6 times in a row"
    assert (
        preview("targets", 6, "", "v1", APPLICATION)
        == "would check whether the tasks of v1 are the only healthy targets"
    )
    unknown = preview("public", 6, "", "", APPLICATION)
    assert "the public address (not known yet: there are no Terraform outputs)" in unknown
    assert "the version (not known yet: there is no image)" in unknown


def test_a_preview_says_why_no_address_would_be_asked() -> None:
    said = preview("public", 6, "http://qa", "v1", replace(APPLICATION, version_path=""))
    assert said == (
        "would check whether the tasks of v1 are the only healthy targets: "
        "the application has no version document (app_version_path)"
    )


def test_what_is_verified_passes() -> None:
    require_verified(Verification(verdict=Verdict.VERIFIED, reason="6 answers"), SUBJECT, "qa")


def test_what_could_not_be_seen_is_no_wrong_version() -> None:
    with pytest.raises(CompleteError) as failed:
        require_verified(
            Verification(verdict=Verdict.UNVERIFIED, reason="a proxy answers"), SUBJECT, "qa", "verify: http://qa"
        )
    assert failed.value.details == {"reason": "a proxy answers", "unverified": True}
    assert str(failed.value).startswith("qa: 0123456789ab is not verified: nothing of ours answered here")
    assert failed.value.outcome("qa") == Outcome(
        kind=Kind.UNVERIFIED,
        what="0123456789ab is not verified",
        where="verify: http://qa",
        cause="nothing of ours answered here, and its targets are healthy. a proxy answers",
        next="let this machine reach that address; or set service_verify_from: targets, if none that deploys can",
    )


def test_a_wrong_version_names_the_command_that_shows_more() -> None:
    with pytest.raises(CompleteError) as failed:
        require_verified(Verification(verdict=Verdict.WRONG, reason="it is 2", verb="status"), SUBJECT, "qa")
    assert failed.value.details == {"reason": "it is 2", "unverified": False}
    expected = "qa: the service does not serve 0123456789ab alone: it is 2. Next: make status ENV=qa"
    assert str(failed.value) == expected
    outcome = failed.value.outcome("qa")
    assert (outcome.kind, outcome.cause, outcome.next) == (Kind.FAILED, "it is 2", "make status ENV=qa")
