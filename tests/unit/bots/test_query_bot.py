"""query-bot from the event of a subscription to the message in Slack."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import pytest
from bots import deduplication, query_bot
from bots.deduplication import InFlight
from bots.delivery import Delivery
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.slack import Slack, intrusions, problems, shown
from tests.unit.bots.conftest import PREFIX, Cloud, Context, Say, packed, slow_line, subscription

QUERY = "SELECT pg_sleep(3), 'O''Brien'::text, 4111111111111111 FROM 주문"


def run(event: Any, seconds: float = 60) -> None:
    query_bot.handler(event, Context(seconds))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The table's clock, which a test moves."""
    now = [1_769_850_000.0]
    monkeypatch.setattr(deduplication.Deduplication, "clock", lambda self: now[0])
    monkeypatch.setattr(deduplication.Deduplication.__init__, "__defaults__", (lambda: now[0],))
    return now


def test_a_slow_query_is_told_with_all_that_one_needs(cloud: Cloud, slack: Slack) -> None:
    run(subscription(slow_line(QUERY, "3000.123")))
    (message,) = slack.messages
    text = shown(message)
    assert "settlement-test: a query took 3000.123 ms" in text
    for fact in ("*Duration*\n3000.123 ms", "*Database*\nsettlement", "*User*\nsettlement_app", "10.0.1.17"):
        assert fact in text
    assert "SELECT pg_sleep(?), ?::text, ? FROM 주문" in text
    assert "2026-01-31 09:00:01 UTC" in text
    assert "/aws/rds/instance/settlement-test/postgresql" in text
    assert "log-groups/log-group/$252Faws$252Frds$252Finstance" in json.dumps(message)


def test_literals_are_shown_where_the_inventory_says_so(
    cloud: Cloud, slack: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDACT_LITERALS", "false")
    run(subscription(slow_line(QUERY)))
    assert QUERY in shown(slack.messages[0])


@pytest.mark.parametrize(("milliseconds", "count"), [("2999.999", 0), ("3000.000", 1)])
def test_the_threshold_is_exact(cloud: Cloud, slack: Slack, milliseconds: str, count: int) -> None:
    run(subscription(slow_line("SELECT 1", milliseconds)))
    assert len(slack.messages) == count


def test_each_of_a_batch_is_told(cloud: Cloud, slack: Slack) -> None:
    run(subscription(*(slow_line(f"SELECT {name} , t") for name in "abc"), f"{PREFIX}LOG:  something else"))
    assert len(slack.messages) == 3
    assert all(f"SELECT {name} " in shown(message) for name, message in zip("abc", slack.messages, strict=True))


def test_a_line_that_is_not_understood_is_kept_and_the_others_are_told(cloud: Cloud, slack: Slack) -> None:
    odd = f"{PREFIX}LOG:  duration: 9000.000 ms  plan:\n\tQuery Text: SELECT 2"
    run(subscription(odd, slow_line("SELECT 1")))
    assert len(slack.messages) == 1
    (kept,) = cloud.kept()
    assert kept["lines"] == [{"id": f"{0:056d}", "message": odd}]
    assert "/aws/rds/instance/settlement-test/postgresql" in kept["reason"]
    assert "does not understand" in kept["reason"]


def test_the_same_statement_of_a_batch_is_told_once_with_its_count_and_its_slowest(cloud: Cloud, slack: Slack) -> None:
    run(subscription(*(slow_line(f"SELECT {at}", f"{3000 + at}.5") for at in (1, 7, 3))))
    (message,) = slack.messages
    assert "3007.5 ms, the slowest of 3" in shown(message)


def test_the_same_statement_within_the_window_is_counted_and_told_by_the_next(
    cloud: Cloud, slack: Slack, clock: list[float], said: Say
) -> None:
    run(subscription(slow_line("SELECT 1"), first_id=10))
    for at in range(20):
        clock[0] += 10
        run(subscription(slow_line("select 2"), slow_line("SELECT  3"), first_id=100 * at + 100))
    assert len(slack.messages) == 1
    assert sum(line["message"] == "counted" and line["times"] == 2 for line in said()) == 20
    clock[0] += 300
    run(subscription(slow_line("SELECT 1"), first_id=9999))
    assert "And 40 times more since 2026-01-31 09:00:10 UTC" in shown(slack.messages[1])


def test_the_window_is_as_long_as_the_inventory_says(
    cloud: Cloud, slack: Slack, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEDUPLICATION_WINDOW_SECONDS", "10")
    for at, later in enumerate((0, 9.999, 0.001)):
        clock[0] += later
        run(subscription(slow_line("SELECT 1"), first_id=at))
    assert len(slack.messages) == 2


@pytest.mark.parametrize("later", [0, 60, 400])
def test_a_batch_that_comes_again_is_not_told_again(
    cloud: Cloud, slack: Slack, clock: list[float], later: float
) -> None:
    event = subscription(slow_line("SELECT 1"), slow_line("SELECT a"))
    run(event)
    clock[0] += later
    run(event)
    assert len(slack.messages) == 2


def test_a_batch_that_failed_half_way_is_finished_by_its_retry(
    cloud: Cloud, slack: Slack, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    event = subscription(slow_line("SELECT a"), slow_line("SELECT b"), slow_line("SELECT c"))
    post = Delivery.send

    def dies(self: Any, message: Any) -> bool:
        if "SELECT b" in json.dumps(message):
            raise MemoryError
        return post(self, message)

    with monkeypatch.context() as context:
        context.setattr(Delivery, "send", dies)
        with pytest.raises(MemoryError):
            run(event)
    with pytest.raises(InFlight):  # too early: the first invocation may still run; the other statements are done
        run(event)
    clock[0] += 61
    run(event)
    assert [next(n for n in "abc" if f"SELECT {n}" in shown(message)) for message in slack.messages] == ["a", "c", "b"]


def test_a_slack_that_is_down_costs_no_message(cloud: Cloud, slack: Slack, clock: list[float]) -> None:
    slack.plan(*[503] * 4)
    event = subscription(slow_line("SELECT a"), slow_line("SELECT b"))
    run(event)
    clock[0] += 60
    run(event)  # delivered again: the queue has them already
    assert slack.messages == []
    kept = cloud.kept()
    assert [next(n for n in "ab" if f"SELECT {n}" in shown(record["message"])) for record in kept] == ["a", "b"]
    assert all(problems(record["message"]) == [] for record in kept)


def test_without_time_everything_is_kept(cloud: Cloud, slack: Slack) -> None:
    run(subscription(*(slow_line(f"SELECT a{at}, t{at}") for at in range(500))), seconds=9)
    assert slack.messages == []
    kept = cloud.kept()
    assert {record["reason"] for record in kept} == {"no time left"}
    assert sum(len(record["messages"]) for record in kept) == 500


def test_a_long_statement_is_cut_and_said_to_be(cloud: Cloud, slack: Slack) -> None:
    run(subscription(slow_line("SELECT " + ", ".join(f"c{at}" for at in range(20_000)))))
    (message,) = slack.messages
    assert "The statement is cut: it has 148,895 characters." in shown(message)
    assert "c0, c1," in shown(message)


def test_the_test_of_the_subscription_is_silent(cloud: Cloud, slack: Slack) -> None:
    run(subscription("x", messageType="CONTROL_MESSAGE"))
    assert (slack.requests, cloud.kept()) == ([], [])


def test_a_malformed_event_is_kept_as_it_came(cloud: Cloud, slack: Slack, said: Say) -> None:
    event = {"awslogs": {"data": subscription("x")["awslogs"]["data"][:40]}}
    run(event)
    (kept,) = cloud.kept()
    assert kept["event"] == event
    assert kept["reason"] == "malformed event: its data is cut short"
    assert [line["reason"] for line in said() if line["message"] == "malformed event"] == ["its data is cut short"]


def test_ten_megabytes_are_read_within_the_memory_of_the_function(cloud: Cloud, slack: Slack) -> None:
    def batch(share: int) -> Any:
        lines = [f"{PREFIX}LOG:  statement: {'x' * 500}"] * (6_000 // share)
        lines += [slow_line(f"SELECT {'a, ' * (500_000 // share)} 1")] * 2
        return subscription(*lines, *[f"\t{at}" for at in range(25_000 // share)])

    def seconds(event: Any) -> float:
        started = time.process_time()
        run(event)
        return time.process_time() - started

    whole, quarter = batch(1), batch(4)
    tracemalloc.start()
    of_the_whole = seconds(whole)
    peak = tracemalloc.get_traced_memory()[1]
    assert len(slack.messages) == 1
    of_a_quarter = seconds(quarter)
    tracemalloc.stop()
    assert peak < 150_000_000
    assert of_the_whole < 10 * of_a_quarter, "the work grows faster than the batch"


def test_more_than_that_is_no_batch(cloud: Cloud, slack: Slack) -> None:
    run(packed(b"{" + b" " * 50_000_000))
    (kept,) = cloud.kept()
    assert "larger than" in kept["reason"]


SNIPPETS = ["<!channel>", "@here", "<https://evil.example|AWS>", "&lt;", "`", "```", "*", "\\", "'", "$$", "--", "😀"]
CONTROLS = ["\x00", "\x1b[2J", "\u202e", "\ud800", "\r\n"]
HOSTILE = st.sampled_from([*SNIPPETS, *CONTROLS])
statements = st.lists(HOSTILE | st.text(max_size=10), max_size=30).map("".join)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statements, st.sampled_from(["true", "false"]))
def test_no_statement_user_or_database_gets_into_slack(
    cloud: Cloud, slack: Slack, monkeypatch: pytest.MonkeyPatch, hostile: str, redacted: str
) -> None:
    slack.forget()
    monkeypatch.setenv("REDACT_LITERALS", redacted)
    name = " ".join(hostile.split())[:60].replace("@", "").replace("\x00", "")
    prefix = f"2026-01-31 09:00:01 UTC:10.0.1.17(1):{name}@{name}:[1]:"
    unique = f"SELECT u{time.monotonic_ns()}"
    run(subscription(slow_line(f"{unique}, {hostile}", prefix=prefix)))
    assert all(request.answer.status == 200 for request in slack.requests)
    assert all(intrusions(message) == [] for message in slack.messages)
    assert len(slack.messages) == 1 or ":" in name


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["awslogs", "data", "logEvents", "message", "id"]), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    st.booleans(),
)
def test_no_event_crashes_it(cloud: Cloud, slack: Slack, event: Any, in_batch: bool) -> None:
    run(packed(json.dumps(event).encode()) if in_batch else event)
    assert slack.messages == []
