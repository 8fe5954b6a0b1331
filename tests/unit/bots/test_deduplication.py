"""Posted once, then counted, and no count is lost: against a model, and on moto's DynamoDB."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from bots.deduplication import DELIVERIES, Deduplication, InFlight, State, _decode, _encode
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.bots.conftest import TABLE, Cloud

WINDOW, LEASE = 300.0, 60.0


def claim(state: State, delivery: str, now: float, count: int = 1) -> tuple[State, Any]:
    return state.claim(delivery, count, now, WINDOW, LEASE)


def test_the_first_is_posted_the_following_are_counted_and_told_after_the_window() -> None:
    state, first = claim(State(), "a", 0, 5)
    state = state.settle("a")
    assert (first.post, first.missed) == (True, 0)
    for at, delivery in enumerate("bcd"):
        state, further = claim(state, delivery, 10.0 + at, 2)
        assert not further.post
    state, last = claim(state, "e", WINDOW)
    assert (last.post, last.missed, last.missed_since) == (True, 6, 10.0)
    state, again = claim(state.settle("e"), "f", 2 * WINDOW)
    assert (again.post, again.missed) == (True, 0), "told once"


def test_the_window_is_exact() -> None:
    state = claim(State(), "a", 0)[0].settle("a")
    assert not claim(state, "b", WINDOW - 0.001)[1].post
    assert claim(state, "b", WINDOW)[1].post


@pytest.mark.parametrize("now", [1.0, WINDOW - 1, WINDOW + 1, 3600.0])
def test_a_delivery_that_comes_again_is_neither_posted_nor_counted_again(now: float) -> None:
    state = claim(State(), "a", 0)[0].settle("a")
    state, _ = claim(state, "b", 0.5)
    for delivery in "ab":
        assert claim(state, delivery, now) == (state, type(claim(state, delivery, now)[1])(post=False))


def test_a_delivery_whose_invocation_died_is_posted_by_its_retry() -> None:
    state, _ = claim(State(), "a", 0)
    with pytest.raises(InFlight):
        claim(state, "a", LEASE - 1)
    state, retried = claim(state, "a", LEASE)
    assert retried.post
    with pytest.raises(InFlight):
        claim(state, "a", LEASE + 1)


def test_a_count_that_was_not_told_because_its_invocation_died_is_told_by_the_next() -> None:
    state = claim(State(), "a", 0)[0].settle("a")
    state, _ = claim(state, "b", 1, 7)
    state, _ = claim(state, "c", WINDOW + 1)  # and dies
    state, following = claim(state, "d", 3 * WINDOW)
    assert (following.missed, following.missed_since) == (7, 1)


events = st.lists(
    st.tuples(
        st.sampled_from("abcdefgh"), st.integers(1, 5), st.sampled_from([0.0, 1.0, 59.0, 61.0, 301.0]), st.booleans()
    ),
    max_size=25,
)


@settings(max_examples=200)
@given(events)
def test_everything_is_posted_told_or_still_counted(history: list[tuple[str, int, float, bool]]) -> None:
    """A model: each delivery is counted once, with any repetitions and any invocations that die."""
    state, now = State(), 0.0
    counted: dict[str, int] = {}
    told = 0
    own: dict[str, int] = {}
    for delivery, count, later, survives in history:
        now += later
        counted.setdefault(delivery, count)
        try:
            state, made = claim(state, delivery, now, counted[delivery])
        except InFlight:
            continue
        if made.post and survives:
            assert delivery not in own, "posted once"
            own[delivery] = counted[delivery]
            told += made.missed
            state = state.settle(delivery)
    died = counted[state.owner] if state.owner and not state.settled else 0
    assert sum(own.values()) + told + state.missed + state.told + died <= sum(counted.values())
    lost = sum(counted.values()) - sum(own.values()) - told - state.missed - state.told - died
    assert lost == 0 or not all(survives for *_, survives in history), "nothing is lost while no invocation dies"


@given(events)
def test_a_state_is_what_was_written(history: list[tuple[str, int, float, bool]]) -> None:
    state, now = State(), 0.1
    for delivery, count, later, survives in history:
        now += later / 3
        try:
            state, _ = claim(state, delivery, now, count)
        except InFlight:
            continue
        state = state.settle(delivery) if survives else state
        assert _decode(_encode(state)) == state


def test_an_item_does_not_grow_for_ever() -> None:
    state = State()
    for at in range(2 * DELIVERIES):
        state, _ = claim(state, str(at), at / 10)
    assert len(state.deliveries) == DELIVERIES
    assert state.deliveries[-1][0] == str(2 * DELIVERIES - 1)
    assert len(claim(state, "later", 1e6)[0].deliveries) == 1


def deduplication(cloud: Cloud, **changes: Any) -> Deduplication:
    return Deduplication(cloud.dynamodb, TABLE, **{"window_seconds": WINDOW, "lease_seconds": LEASE, **changes})


def test_the_table_remembers_and_forgets_by_itself(cloud: Cloud) -> None:
    table = deduplication(cloud, clock=lambda: 1000.0)
    assert table.claim("f", "a").post
    table.settle("f", "a")
    assert not table.claim("f", "b", 3).post
    item = cloud.dynamodb.get_item(TableName=TABLE, Key={"fingerprint": {"S": "f"}})["Item"]
    assert item["missed"] == {"N": "3"}
    assert int(item["expires_at"]["N"]) > 1000 + WINDOW


class Between:
    """A client that lets others act between a read and the following write."""

    def __init__(self, dynamodb: Any, others: Sequence[Callable[[], object]]) -> None:
        self.dynamodb, self.others = dynamodb, list(others)

    def get_item(self, **arguments: Any) -> Any:
        found = self.dynamodb.get_item(**arguments)
        if self.others:
            self.others.pop(0)()
        return found

    def put_item(self, **arguments: Any) -> Any:
        return self.dynamodb.put_item(**arguments)


def test_of_those_at_the_same_time_one_posts_and_all_are_counted(cloud: Cloud) -> None:
    posts: list[bool] = []

    def claim_it(name: str) -> None:
        posts.append(deduplication(cloud).claim("f", name).post)

    others = [functools.partial(claim_it, name) for name in "abc"]
    posts.append(Deduplication(Between(cloud.dynamodb, others), TABLE, WINDOW, LEASE).claim("f", "d").post)
    assert posts == [True, False, False, False]
    item = cloud.dynamodb.get_item(TableName=TABLE, Key={"fingerprint": {"S": "f"}})["Item"]
    assert item["missed"] == {"N": "3"}


def test_who_is_always_too_late_posts_rather_than_waits(cloud: Cloud) -> None:
    others = [functools.partial(deduplication(cloud).claim, "f", str(at)) for at in range(20)]
    assert Deduplication(Between(cloud.dynamodb, others), TABLE, WINDOW, LEASE).claim("f", "late").post


def test_without_a_table_everything_is_posted(cloud: Cloud) -> None:
    table = deduplication(cloud)
    table.table = "no-such-table"
    assert table.claim("f", "a").post
    table.settle("f", "a")
