from local_cloud.rds.postgres_log import MAX_EVENT_BYTES, Assembler, Event

PREFIX = "2026-01-31 14:00:00 UTC:10.0.1.7(51234):app@settlement:[42]:"


def frame(text: str, fraction: int = 0, *, end: str = "\n") -> bytes:
    return f"2026-01-31T14:00:00.{fraction:09d}Z {text}{end}".encode()


def test_one_message_of_many_lines_is_one_event() -> None:
    assembler = Assembler()
    assembler.feed(frame(f"{PREFIX}LOG:  duration: 3000.000 ms  statement: SELECT '그',", 123_456_789))
    assembler.feed(frame("\t  1::int", 123_500_000))
    assembler.feed(frame(f"{PREFIX}ERROR:  canceled", 124_000_000))
    assert assembler.waiting()
    assert assembler.take() == [
        Event(1769868000123, f"{PREFIX}LOG:  duration: 3000.000 ms  statement: SELECT '그',\n\t  1::int"),
        Event(1769868000124, f"{PREFIX}ERROR:  canceled"),
    ]
    assert not assembler.waiting()


def test_a_time_with_milliseconds_begins_an_event_too() -> None:
    """RDS allows ``%m`` in ``log_line_prefix``."""
    assembler = Assembler()
    prefix = "2026-01-31 14:00:00.123 UTC:10.0.1.7(5):app@settlement:[42]:1:00000:2026-01-31 13:00:00 UTC:3/1:0:6.7:"
    assembler.feed(frame(f"{prefix}LOG:  ready"))
    assert [event.message for event in assembler.take()] == [f"{prefix}LOG:  ready"]


def test_a_line_in_parts_is_put_together() -> None:
    half, rest = PREFIX.encode() + "가".encode()[:1], "가".encode()[1:]
    assembler = Assembler()
    assembler.feed(b"2026-01-31T14:00:00.000000001Z " + half)
    assembler.feed(b"2026-01-31T14:00:00.000000001Z " + rest + b"\n")
    assert [event.message for event in assembler.take()] == [f"{PREFIX}가"]


def test_what_the_image_says_is_no_event() -> None:
    assembler = Assembler()
    for line in ("fixing permissions", "\tof its own", "PostgreSQL init process complete"):
        assembler.feed(frame(line))
    assert not assembler.waiting()


def test_read_again_nothing_comes_twice() -> None:
    frames = [frame(f"{PREFIX}LOG:  {number}", number) for number in range(1, 4)]
    first = Assembler()
    for each in frames[:2]:
        first.feed(each)
    assert len(first.take()) == 2
    second = Assembler(first.seen_until)
    for each in frames:
        second.feed(each)
    assert [event.message for event in second.take()] == [f"{PREFIX}LOG:  3"]


def test_a_stream_that_the_engine_breaks_off_loses_no_message() -> None:
    frames = [frame(f"{PREFIX}LOG:  1", 1), frame(f"{PREFIX}LOG:  2", 2), frame("\tof two lines", 3)]
    first = Assembler()
    for each in frames[:2]:
        assert first.feed(each)
    assert not first.feed(b"Error grabbing logs: unexpected EOF\n")
    second = Assembler(first.seen_until)
    for each in frames:
        second.feed(each)
    assert [event.message for event in first.take() + second.take()] == [
        f"{PREFIX}LOG:  1",
        f"{PREFIX}LOG:  2\n\tof two lines",
    ]


def test_an_event_is_cut_at_the_limit_between_characters() -> None:
    assembler = Assembler()
    assembler.feed(frame(PREFIX + "가" * MAX_EVENT_BYTES))
    (event,) = assembler.take()
    assert MAX_EVENT_BYTES - 3 < len(event.message.encode()) <= MAX_EVENT_BYTES
