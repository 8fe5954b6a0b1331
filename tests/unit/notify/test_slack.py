"""The Slack messages: complete, escaped and of limited length."""

from __future__ import annotations

import pytest

from fargate_ops.notify.slack import (
    REASON_CHARACTERS,
    Message,
    Subject,
    duration,
    escape,
    failed,
    rolled_back,
    started,
    stopped,
    succeeded,
)

SUBJECT = Subject(
    environment="staging",
    version="5f0c2b7d9e31",
    revision="arn:aws:ecs:ap-northeast-2:123456789012:task-definition/settlement-staging:4",
    by="ann@laptop",
    url="https://settlement.example.com",
)
FACTS = "by ann@laptop · settlement-staging:4 · <https://settlement.example.com>"


def test_a_release_that_starts_says_what_who_and_where() -> None:
    message = started(SUBJECT)
    assert message.text == f":large_blue_circle: *staging*: release of `5f0c2b7d9e31` started\n{FACTS}"
    assert message.summary == "staging: release of 5f0c2b7d9e31 started"


def test_a_success_says_how_long_it_took() -> None:
    assert "succeeded in 2 min 5 s\n" in succeeded(SUBJECT, seconds=125).text
    assert "succeeded\n" in succeeded(SUBJECT).text


def test_a_failure_says_why_and_what_to_type() -> None:
    message = failed(SUBJECT, reason="3 tasks failed\nexit code 3", next_command="make logs ENV=staging", seconds=41.2)
    assert message.text == (
        f":red_circle: *staging*: release of `5f0c2b7d9e31` failed after 41 s\n{FACTS}\n"
        "```3 tasks failed\nexit code 3```\nNext: `make logs ENV=staging`"
    )
    assert message.summary == "staging: release of 5f0c2b7d9e31 failed after 41 s"


def test_a_release_that_was_stopped_says_by_whom() -> None:
    text = stopped(SUBJECT, reason="bob@runner rolled back").text
    assert "release of `5f0c2b7d9e31` was stopped\n" in text
    assert "```bob@runner rolled back```" in text


def test_a_rollback_says_from_what_to_what_and_by_whom() -> None:
    message = rolled_back(SUBJECT, from_version="0a1b2c3d4e5f", seconds=24)
    assert message.summary == "staging: rolled back by ann@laptop from 0a1b2c3d4e5f to 5f0c2b7d9e31 in 24 s"
    assert message.text.splitlines()[1] == "settlement-staging:4 · <https://settlement.example.com>"


def test_nothing_that_is_said_can_mention_link_or_break_out() -> None:
    reason = "<!channel> & <https://evil|click> ``` *bold*"
    message = failed(Subject(environment="a<b", version="v", by="<@U1>"), reason=reason, next_command="make <x>")
    assert "<!" not in message.text
    assert "<https" not in message.text
    assert "<@" not in message.text
    assert "*a&lt;b*" in message.text
    assert "```&lt;!channel&gt; &amp; &lt;https://evil|click&gt; ''' *bold*```" in message.text
    assert "`make &lt;x&gt;`" in message.text


def test_escaping_is_slacks() -> None:
    assert escape("a & b < c > d &lt;") == "a &amp; b &lt; c &gt; d &amp;lt;"


def test_a_long_reason_is_cut_before_it_is_escaped() -> None:
    text = failed(SUBJECT, reason="&" * 10_000).text
    assert text.count("&amp;") == REASON_CHARACTERS - 1
    assert text.endswith("&amp;…```")


def test_what_is_not_known_leaves_no_trace() -> None:
    assert (
        started(Subject(environment="local", version="v")).text == ":large_blue_circle: *local*: release of `v` started"
    )


def test_the_summary_is_one_line() -> None:
    assert "\n" not in started(Subject(environment="local", version="a\nb")).summary


def test_a_message_survives_the_way_to_the_child() -> None:
    message = failed(SUBJECT, reason="한글 \U0001f600 \x00")
    assert Message.from_json(message.to_json()) == message


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (3780, "1 h 3 min")]
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
