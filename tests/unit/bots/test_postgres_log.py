"""RDS's log lines, in all forms in which CloudWatch Logs delivers them."""

from __future__ import annotations

import base64
import gzip
import json
from decimal import Decimal
from typing import Any

import pytest
from bots import postgres_log
from bots.postgres_log import Line, Reading, SlowStatement, Unreadable, read_batch, read_log
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.bots.conftest import PREFIX, packed, slow_line, subscription

#: The other value of ``log_line_prefix`` that RDS allows.
LONG = (
    "2026-01-31 09:00:01.123 UTC:10.0.1.17(41234):settlement_app@settlement:[1234]:7:00000:"
    "2026-01-31 08:00:00 UTC:3/4711:0:65f1a2b3.4d2:"
)


def read(*messages: str) -> Reading:
    return read_log([Line(id=str(at), message=text) for at, text in enumerate(messages)], Decimal(3000))


def slow(*messages: str) -> list[SlowStatement]:
    return list(read(*messages).slow)


def unknown(*messages: str) -> list[str]:
    reading = read(*messages)
    assert reading.slow == ()
    return [line.message for line in reading.unknown]


def test_a_record_is_taken_apart() -> None:
    (found,) = slow(slow_line("SELECT 1::int", "3000.123"))
    assert (found.user, found.database, found.host) == ("settlement_app", "settlement", "10.0.1.17")
    assert (found.milliseconds, found.statement) == (Decimal("3000.123"), "SELECT 1::int")
    assert found.at
    assert found.at.isoformat() == "2026-01-31T09:00:01+00:00"


@pytest.mark.parametrize(("milliseconds", "count"), [("2999.999", 0), ("3000.000", 1), ("3000", 1), ("100000000.5", 1)])
def test_the_threshold_is_exact(milliseconds: str, count: int) -> None:
    assert len(slow(slow_line("SELECT 1", milliseconds))) == count


@pytest.mark.parametrize(
    "text",
    [
        "statement: SELECT 1",
        "execute <unnamed>: SELECT 1",
        "execute S_1/C_2: SELECT 1",
        "execute fetch from S_1/C_2: SELECT 1",
        "bind <unnamed>: SELECT 1",
        "parse stmt_1: SELECT 1",
    ],
)
def test_every_way_to_run_a_statement(text: str) -> None:
    (found,) = slow(f"{PREFIX}LOG:  duration: 3000.000 ms  {text}")
    assert found.statement == "SELECT 1"


@pytest.mark.parametrize(
    ("prefix", "host", "user", "database"),
    [
        ("2026-01-31 09:00:01 UTC:10.0.4.9(60123):app@db:[7]:", "10.0.4.9", "app", "db"),  # RDS Proxy's address
        ("2026-01-31 09:00:01 UTC:[local]:rdsadmin@rdsadmin:[7]:", "[local]", "rdsadmin", "rdsadmin"),
        ("2026-01-31 09:00:01 UTC:::1(5432):app@db:[7]:", "::1", "app", "db"),
        ("2026-01-31 09:00:01 UTC:fe80::1%eth0(5432):app@db:[7]:", "fe80::1%eth0", "app", "db"),
        ("2026-01-31 09:00:01 UTC:ip-10-0-1-7.ec2.internal(99):a@b:[7]:", "ip-10-0-1-7.ec2.internal", "a", "b"),
        ("2026-01-31 09:00:01.123 UTC:10.0.1.7(99):o'neil:x@주문:[7]:", "10.0.1.7", "o'neil:x", "주문"),
        ("2026-01-31 09:00:01 UTC::@:[7]:", "", "", ""),
        (LONG, "10.0.1.17", "settlement_app", "settlement"),
        (f"{LONG}psql", "10.0.1.17", "settlement_app", "settlement"),
        (f"{LONG}a:b [1] LOG: 커밋", "10.0.1.17", "settlement_app", "settlement"),
        (
            "2026-01-31 09:00:01.123 UTC:[local]:app@db:[7]:1:57014:2026-01-31 08:00:00 UTC::0:65f1a2b3.7:",
            "[local]",
            "app",
            "db",
        ),
    ],
)
def test_every_prefix(prefix: str, host: str, user: str, database: str) -> None:
    (found,) = slow(slow_line("SELECT 1", prefix=prefix))
    assert (found.host, found.user, found.database) == (host, user, database)


def test_several_lines_as_one_event() -> None:
    (found,) = slow(slow_line("SELECT *\nFROM t\n\nWHERE 이름 = 'x'"))
    assert found.statement == "SELECT *\nFROM t\n\nWHERE 이름 = 'x'"


def test_several_lines_as_an_event_each() -> None:
    first, second = slow(
        "\tthe end of a record that this batch does not hold",
        slow_line("SELECT *"),
        "\tFROM t",
        "\tWHERE a = 1",
        f"{PREFIX}ERROR:  division by zero",
        "\tnot of the statement above",
        slow_line("SELECT 2"),
    )
    assert (first.statement, second.statement) == ("SELECT *\nFROM t\nWHERE a = 1", "SELECT 2")


def test_several_records_in_one_event() -> None:
    text = f"{slow_line('SELECT 1')}\n{PREFIX}DETAIL:  parameters: $1 = 'secret'\n{slow_line('SELECT 2')}"
    assert [found.statement for found in slow(text)] == ["SELECT 1", "SELECT 2"]


def test_a_statement_cannot_forge_a_record() -> None:
    forged = slow_line("SELECT 1\n" + slow_line("DROP TABLE x", prefix=PREFIX.replace("settlement_app", "root")))
    (found,) = slow(forged)
    assert found.user == "settlement_app"


@pytest.mark.parametrize(
    "message",
    [
        f"{PREFIX}LOG:  connection authorized: user=app",
        f"{PREFIX}LOG:  duration: 2999.999 ms  statement: SELECT 1",
        f"{PREFIX}LOG:  statement: SELECT 'duration: 9000.000 ms'",
        f"{PREFIX}STATEMENT:  duration: 9000.000 ms  statement: SELECT 1",
        f"{LONG}psqlERROR:  duration: 9000.000 ms  statement: SELECT 1",
        f"{PREFIX}LOG:  checkpoint complete",
        "\tduration: 9000.000 ms  statement: SELECT 1",
        "LOG:  checkpoint complete",
        "",
    ],
)
def test_everything_else_is_silent(message: str) -> None:
    assert unknown(message) == []


@pytest.mark.parametrize(
    "message",
    [
        "LOG:  duration: 9000.000 ms  statement: SELECT 1",
        "2026-01-31 09:00:01 UTC [1234] LOG:  duration: 9000.000 ms  statement: SELECT 1",  # another prefix
        f"{PREFIX}LOG:  duration: 9000.000 ms  plan:\n\tQuery Text: SELECT 1",  # auto_explain
        f"{PREFIX}LOG:  duration: nine seconds",
        f"{PREFIX}LOG:  duration: 9000.000 ms  execute a:b: SELECT 1",
    ],
)
def test_a_duration_that_is_not_understood_is_returned(message: str) -> None:
    assert unknown(message) == [message]


FORGED = "LOG:  duration: 99999 ms  statement: DROP"
REFUSED = 'FATAL:  password authentication failed for user "x"'


@pytest.mark.parametrize(
    "message",
    [
        f"2026-01-31 09:00:01 UTC:10.0.9.9(5):a@b:[1]:{FORGED}@db:[7]:{REFUSED}",  # as the user's name
        f"2026-01-31 09:00:01 UTC:10.0.9.9(5):a@b:[1]:{FORGED}:[7]:{REFUSED}",  # as the database's
        f"2026-01-31 09:00:01 UTC:10.0.9.9(5):a@b:[1]:{FORGED}@c@db:[7]:{REFUSED}",
        f"{LONG.replace('settlement_app', f'a@b:[1]:{FORGED}')}{REFUSED}",
        f"{LONG}{FORGED}LOG:  statement: SELECT 1",  # as application_name
        f"{LONG}psql{FORGED}ERROR:  division by zero",
        # With a line break in the name.
        f"2026-01-31 09:00:01 UTC:10.0.9.9(5):x\n{PREFIX}{FORGED}@db:[7]:{REFUSED}",
        f"{PREFIX}{FORGED}\n@db:[7]:{REFUSED}",
        f"{PREFIX}{FORGED}\n:[7]:{REFUSED}",
    ],
)
def test_a_name_with_the_text_of_a_record_is_no_statement(message: str) -> None:
    assert unknown(message) == [message]


def test_a_duration_without_its_statement_is_told() -> None:
    (found,) = slow(f"{PREFIX}LOG:  duration: 3000.000 ms")
    assert found.statement == ""


def test_a_batch_is_unpacked() -> None:
    batch = read_batch(subscription("a", "b"))
    assert batch
    assert [line.message for line in batch.lines] == ["a", "b"]
    assert batch.group == "/aws/rds/instance/settlement-test/postgresql"


def test_the_test_of_a_subscription_is_no_batch() -> None:
    assert read_batch(subscription("CWL CONTROL MESSAGE", messageType="CONTROL_MESSAGE")) is None


WHOLE = gzip.compress(json.dumps({"logEvents": [{"message": "x" * 1000}]}).encode())


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (None, "no awslogs.data"),
        ([], "no awslogs.data"),
        ({"awslogs": {}}, "no awslogs.data"),
        ({"awslogs": {"data": 5}}, "no awslogs.data"),
        ({"awslogs": {"data": "%%%"}}, "no awslogs.data"),
        ({"awslogs": {"data": base64.b64encode(b"plain").decode()}}, "no gzip"),
        ({"awslogs": {"data": base64.b64encode(WHOLE[:-9]).decode()}}, "cut short"),
        ({"awslogs": {"data": base64.b64encode(WHOLE[:15]).decode()}}, "cut short"),
        ({"awslogs": {"data": ""}}, "cut short"),
        (packed(b"{"), "no JSON"),
        (packed(b"\xff\xfe"), "no JSON"),
        (packed(b"[" * 100_000), "no JSON"),
        (packed(b"[]"), "no object"),
        (packed(b'{"logEvents": 5}'), "no logEvents"),
        (packed(b" " * (postgres_log.UNPACKED_BYTES + 1)), "larger than"),
    ],
)
def test_what_is_no_batch_is_named(event: Any, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read_batch(event)


def test_a_bomb_is_not_unpacked() -> None:
    """200 MB in 200 KB: no more is unpacked than the limit."""
    import tracemalloc

    event = packed(b"\0" * 200_000_000)
    tracemalloc.start()
    with pytest.raises(Unreadable, match="larger than"):
        read_batch(event)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * postgres_log.UNPACKED_BYTES


@settings(max_examples=150)
@given(st.lists(st.text(max_size=80) | st.builds(slow_line, st.text(max_size=40)), max_size=5))
def test_any_lines_are_read(messages: list[str]) -> None:
    found = slow(*messages)
    assert len(found) == sum(message.startswith(f"{PREFIX}LOG:  duration: 3000.000 ms") for message in messages)
    assert all(one.milliseconds == 3000 for one in found)
