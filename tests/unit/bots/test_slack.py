"""Slack accepts any foreign text, and nobody is mentioned. The fake Slack checks this, and is tested as well."""

from __future__ import annotations

import json

import pytest
from bots import delivery, slack
from hypothesis import given, settings
from hypothesis import strategies as st

from fargate_ops.notify import deliver as controller
from fargate_ops.notify import slack as controller_slack
from tests.support.slack import TOKEN, Message, intrusions, judge, problems, shown

HOSTILE = [
    "<!channel> <!here> <@U123> <https://evil.example|AWS>",
    "@channel @here @Everyone",
    "``` *bold* ``` `code` ````",
    "\x00\x1b[31m\x7f\x9b\u202e\ufeff\u200b\ud800",
    "&lt;!channel&gt; & < >",
    "😀" * 5000,
    "&" * 5000,
    "\n" * 5000,
    "",
    " \t ",
]
texts = st.sampled_from(HOSTILE) | st.text(max_size=200) | st.text(alphabet="<>&!@#`*\n\r |here", max_size=4000)


def message(text: str) -> Message:
    """Return a message with the text in every place that foreign text can have."""
    return slack.payload(
        text,
        [
            slack.header(text),
            *slack.fields({text: text, "b": text}),
            slack.code(text),
            slack.section(f"Next: {slack.command(text)}"),
            slack.context(
                slack.link(slack.console("config", "ap-northeast-2", text), text), slack.safe(text, 100) or "-"
            ),
        ],
    )


@settings(max_examples=150)
@given(texts)
def test_any_text_is_taken_and_harms_nobody(text: str) -> None:
    made = message(text)
    assert problems(made) == []
    assert intrusions(made) == []
    answer, _ = judge(TOKEN, "application/json", json.dumps(made).encode())
    assert answer.status == 200


def test_an_ordinary_text_is_shown_as_it_is() -> None:
    text = "SELECT a < b && c > 'd'\n\tFROM 주문 -- naïve 😀"
    assert text in shown(message(text))


@given(st.text(alphabet="<>&a😀", max_size=60), st.integers(8, 40))
def test_a_cut_is_within_its_limit_and_cuts_no_entity(text: str, limit: int) -> None:
    escaped = slack.escape(text)
    cut = slack.cut(escaped, limit)
    assert slack.width(cut) <= limit
    assert cut == escaped or escaped.startswith(cut[:-1])
    assert "&" not in cut.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")


@given(st.text(alphabet="<&a`😀", max_size=4000))
def test_what_fits_is_not_cut(text: str) -> None:
    whole = slack.safe(text, 1_000_000)
    assert slack.fits(text) == (slack.code(text)["text"]["text"] == f"```{whole or ' '}```")


def test_more_blocks_than_slack_takes_are_cut_and_said_to_be() -> None:
    made = slack.payload("x", [slack.header("x")] * 60)
    assert problems(made) == []
    assert "11 more parts are left out" in shown(made)


def test_an_unknown_region_has_no_console() -> None:
    assert slack.console("config", "global", "x") == ""
    assert slack.console("config", "evil.example/", "x") == ""


@given(st.text(max_size=100))
def test_the_controller_escapes_the_same_way(text: str) -> None:
    assert slack.escape(text) == controller_slack.escape(text)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/services/T/B/x",
        "http://hooks.slack.com/services/T/B/x",
        "http://127.0.0.1:8080/x",
        "http://127.8.8.8/x",
        "http://[::1]:80/x",
        "http://localhost/x",
        "http://localhost.evil.example/x",
        "http://127.0.0.1@evil.example/x",
        "http://192.0.2.1/x",
        "ftp://127.0.0.1/x",
        "https://",
        "https://[bad/x",
        "hooks.slack.com",
        "",
    ],
)
def test_the_controller_trusts_the_same_addresses(url: str) -> None:
    assert delivery.is_safe(url) == controller.is_safe(url)


def section(text: str, **more: object) -> Message:
    return {"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text, **more}}]}


@pytest.mark.parametrize(
    ("wrong", "answer"),
    [
        ({}, "no_text"),
        ([], "invalid_payload"),
        ({"text": "\ud800"}, "invalid_payload"),
        (section(""), "invalid_blocks"),
        (section("x" * 3001), "invalid_blocks"),
        (section("😀" * 1501), "invalid_blocks"),
        (section("x", emoji=True), "invalid_blocks"),
        ({"blocks": [{"type": "section"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "paragraph"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}]}, "invalid_blocks"),
        ({"blocks": [{"type": "context", "elements": []}]}, "invalid_blocks"),
        ({"blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
    ],
)
def test_the_stand_in_refuses_what_slack_refuses(wrong: object, answer: str) -> None:
    got, taken = judge(TOKEN, "application/json", json.dumps(wrong).encode())
    assert (got.status, got.body, taken) == (400, answer, None)


@pytest.mark.parametrize(
    "text", ["<!channel>", "<@U1>", "<https://evil.example|x>", "@here", "\x1b", "```a``` ```b```", "& "]
)
def test_the_stand_in_sees_an_intrusion(text: str) -> None:
    assert intrusions(section(text))
