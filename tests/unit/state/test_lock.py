"""The deployment lock: who holds it, who may take it over, and that nobody frees another's lock."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import yaml
from botocore.exceptions import ClientError

from fargate_ops.plugin.environment import user_name
from fargate_ops.state.heartbeat import Assignment, beat, store_of
from fargate_ops.state.lock import (
    STALE_AFTER,
    Found,
    Lock,
    LockError,
    LockHeld,
    LockStore,
    Machine,
    State,
    StateLock,
    StateLocked,
    age,
    holder_of,
    is_alive,
    judge,
    left_here,
    orphans,
)

BUCKET = "state-bucket"
NOW = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
STALE = timedelta(seconds=60)
HERE = Machine.this()
STATE_KEY = "local/environment.tfstate"
PROJECT = Path(__file__).parents[3]


S3Clock = Callable[[datetime, datetime], None]


@pytest.fixture
def store(s3: Any, s3_clock: S3Clock) -> LockStore:
    """Return a store in a bucket whose clock stands still, in another year than this machine's."""
    s3_clock(NOW, NOW)
    return LockStore(s3, BUCKET, "local")


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that runs until the test ends it."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield child
    child.kill()
    child.communicate()


def lock(pid: int = 0, **changes: Any) -> Lock:
    pid = pid or os.getpid()
    values: dict[str, Any] = {
        "holder": holder_of(HERE, pid),
        "machine": HERE.identity,
        "pid": pid,
        "owner": "ann@laptop",
        "purpose": "deploy",
        # Longer ago than any limit: a flow's running time does not show whether it still runs.
        "started": NOW - timedelta(hours=2),
        "heartbeat": NOW,
    }
    return Lock(**{**values, **changes})


ELSEWHERE = lock(holder="elsewhere 1 1", machine="elsewhere", pid=1)


def found(current: Lock | None, *, age: float = 0) -> Found:
    """Return a lock as S3 does: written at its heartbeat, and read `age` seconds later."""
    written = current.heartbeat if current else NOW
    return Found(lock=current, etag="e", written=written, now=written + timedelta(seconds=age), broken="it is not JSON")


def gone() -> Lock:
    return lock(holder=f"{HERE.identity} 999999999 1", pid=999999999)


@pytest.mark.parametrize(
    ("current", "state"),
    [
        (None, State.FREE),
        (found(replace(ELSEWHERE, released=True)), State.FREE),
        (found(ELSEWHERE, age=59), State.HELD),
        (found(ELSEWHERE, age=60), State.DEAD),
        (found(gone()), State.DEAD),
        (found(None, age=59), State.HELD),
        (found(None, age=60), State.DEAD),
    ],
)
def test_whose_the_lock_is(current: Found | None, state: State) -> None:
    assert judge(current, HERE, lock().holder, STALE) is state


def test_the_lock_of_this_process_is_ours() -> None:
    assert judge(found(lock()), HERE, lock().holder, STALE) is State.OURS


@pytest.mark.parametrize("minutes", [-15, 15])
def test_a_heartbeat_that_no_running_flow_can_have_written_is_no_sign_of_life(minutes: int) -> None:
    """S3 refuses requests of a clock that is so far off."""
    impossible = replace(ELSEWHERE, heartbeat=NOW + timedelta(minutes=minutes))
    assert judge(replace(found(impossible), written=NOW, now=NOW), HERE, "me", STALE) is State.DEAD


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_flow_whose_clock_is_off_lives_as_long_as_it_writes(minutes: int) -> None:
    off = replace(found(replace(ELSEWHERE, heartbeat=NOW + timedelta(minutes=minutes))), written=NOW)
    assert judge(replace(off, now=NOW + timedelta(seconds=59)), HERE, "me", STALE) is State.HELD
    assert judge(replace(off, now=NOW + timedelta(seconds=60)), HERE, "me", STALE) is State.DEAD


def test_on_its_own_machine_a_living_process_keeps_its_lock_however_old_the_heartbeat() -> None:
    assert judge(found(lock(os.getppid()), age=86400), HERE, lock().holder, STALE) is State.HELD


def test_a_recycled_process_id_is_not_the_holder() -> None:
    assert judge(found(lock(holder=f"{HERE.identity} {os.getppid()} 1")), HERE, "me", STALE) is State.DEAD


def test_the_age_of_a_lock_is_by_the_clock_of_s3(store: LockStore, s3_clock: S3Clock) -> None:
    store.swap(ELSEWHERE, None)
    s3_clock(NOW, NOW + timedelta(seconds=200))
    read = store.read()
    assert read
    assert str(read).endswith("(2 h 3 min ago; last heard of 3 min ago)")
    assert store.acquire(lock(), HERE, STALE).taken_over == read


def etag_of(store: LockStore) -> str:
    """Return the object's present version, over which the holder's next heartbeat is written."""
    read = store.read()
    assert read
    return read.etag


def taken_over(store: LockStore) -> Lock | None:
    """Take the lock over. Return the dead one."""
    dead = store.acquire(lock(), HERE, STALE).taken_over
    return dead.lock if dead else None


def test_acquire_then_acquire_again_is_the_same_lock(store: LockStore) -> None:
    first = store.acquire(lock(), HERE, STALE)
    assert first.taken_over is None
    again = store.acquire(lock(purpose="release"), HERE, STALE)
    assert again.lock.purpose == "deploy"
    assert first.etag == again.etag == etag_of(store)
    assert store.acquire(first.lock, HERE, STALE) == first
    assert store.held(lock().holder)


@pytest.mark.usefixtures("in_seoul")
def test_a_lock_is_json_with_times_in_utc(store: LockStore, s3: Any) -> None:
    local = NOW.astimezone()
    assert local.utcoffset() == timedelta(hours=9)
    store.swap(lock(started=local, heartbeat=local), None)
    written = s3.get_object(Bucket=BUCKET, Key=store.key)
    body = json.loads(written["Body"].read())
    assert (body["started"], body["heartbeat"]) == ("2026-01-31T09:00:00+00:00", "2026-01-31T09:00:00+00:00")
    assert written["ContentType"] == "application/json"


def test_a_second_flow_is_told_who_holds_it(store: LockStore) -> None:
    store.swap(ELSEWHERE, None)
    with pytest.raises(LockHeld) as refusal:
        store.acquire(lock(), HERE, STALE)
    seen = replace(refusal.value.found, written=NOW + timedelta(seconds=60), now=NOW + timedelta(minutes=3))
    assert str(seen) == (
        "ann@laptop, for deploy, since 2026-01-31 07:00:00 UTC (2 h 3 min ago; last heard of 2 min ago)"
    )


def test_a_flow_that_pre_empts_takes_the_lock_of_a_living_one_which_learns_who_did(store: LockStore) -> None:
    store.swap(replace(ELSEWHERE, releases=True), None)
    assert store.loss(ELSEWHERE.holder) == ""
    acquired = store.acquire(lock(purpose="Rollback"), HERE, STALE, preempt=True)
    assert acquired.preempted
    assert acquired.preempted.lock == replace(ELSEWHERE, releases=True)
    assert acquired.taken_over is None
    assert acquired.etag == etag_of(store)
    assert acquired.lock.stopped_release.startswith("ann@laptop, for deploy, since")
    assert store.loss(ELSEWHERE.holder).startswith("it was taken by ann@laptop, for Rollback, since")


def test_of_a_flow_that_releases_nothing_no_release_was_stopped(store: LockStore) -> None:
    store.swap(ELSEWHERE, None)
    assert store.acquire(lock(), HERE, STALE, preempt=True).lock.stopped_release == ""


def test_a_flow_that_does_not_give_way_is_not_pre_empted(store: LockStore) -> None:
    store.swap(replace(ELSEWHERE, preemptible=False), None)
    with pytest.raises(LockHeld):
        store.acquire(lock(), HERE, STALE, preempt=True)


def test_how_a_lock_was_lost(store: LockStore) -> None:
    assert store.loss(ELSEWHERE.holder) == "it is gone from the state bucket"
    store.swap(ELSEWHERE, None)
    store.release(None, NOW)
    assert store.loss(ELSEWHERE.holder) == "somebody broke it (make unlock)"


def test_a_dead_lock_is_taken_over_and_said(store: LockStore) -> None:
    store.swap(gone(), None)
    assert taken_over(store) == gone()
    assert store.held(lock().holder)


@pytest.mark.parametrize("before", [gone(), ELSEWHERE], ids=["dead", "pre-empted"])
def test_a_write_whose_answer_was_lost_is_a_lock_newly_taken(
    store: LockStore, monkeypatch: pytest.MonkeyPatch, before: Lock
) -> None:
    store.swap(before, None)
    swap = LockStore.swap
    lost = iter([True])

    def swap_and_lose_the_answer(store: LockStore, lock: Lock, etag: str | None) -> str | None:
        written = swap(store, lock, etag)
        return None if next(lost, False) else written

    monkeypatch.setattr(LockStore, "swap", swap_and_lose_the_answer)
    mine = lock()
    acquired = store.acquire(mine, HERE, STALE, preempt=True)
    assert acquired.lock is mine, "so that its heartbeat is started"
    assert acquired.etag == etag_of(store)
    had_it = acquired.preempted if before is ELSEWHERE else acquired.taken_over
    assert had_it
    assert had_it.lock == before
    assert store.held(mine.holder)


def test_of_many_at_once_one_wins(s3: Any, store: LockStore, monkeypatch: pytest.MonkeyPatch) -> None:
    # S3 serializes the writes of a key; with moto's threads, the conditions of two writes may both hold.
    put, one_at_a_time = s3.put_object, threading.Lock()

    def put_object(**arguments: Any) -> Any:
        with one_at_a_time:
            return put(**arguments)

    monkeypatch.setattr(s3, "put_object", put_object)
    won: list[str] = []

    def try_it(name: str) -> None:
        try:
            store.acquire(lock(holder=name, machine=name), replace(HERE, identity=name), STALE)
            won.append(name)
        except (LockHeld, LockError):
            pass

    threads = [threading.Thread(target=try_it, args=(f"m{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.held(won[0])


def test_only_the_own_lock_is_freed(store: LockStore) -> None:
    assert store.release(None, NOW) is None
    store.swap(ELSEWHERE, None)
    assert store.release(lock().holder, NOW) is None
    assert store.held(ELSEWHERE.holder)
    freed = store.release(None, NOW + STALE)
    assert freed
    assert freed.lock == ELSEWHERE
    left = store.read()
    assert left
    assert left.lock == replace(ELSEWHERE, released=True, heartbeat=NOW + STALE)
    assert not store.held(ELSEWHERE.holder)
    assert store.release(None, NOW) is None
    assert taken_over(store) is None


def test_a_swap_over_another_version_fails(store: LockStore) -> None:
    etag = store.swap(lock(), None)
    assert store.swap(lock(), None) is None
    assert store.swap(ELSEWHERE, etag)
    assert store.swap(lock(), etag) is None


def failing(s3: Any, monkeypatch: pytest.MonkeyPatch, operation: str, code: str) -> None:
    """Let S3 return this error for this operation from now on."""
    error = ClientError({"Error": {"Code": code, "Message": "no"}}, operation)
    monkeypatch.setattr(s3, operation, MagicMock(side_effect=error))


@pytest.mark.parametrize("code", ["PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"])
def test_whatever_says_that_the_object_changed_is_no_error(
    store: LockStore, s3: Any, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """412, 409 while another write is in progress, 404 where it was deleted.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    failing(s3, monkeypatch, "put_object", code)
    assert store.swap(lock(), "an-etag") is None


@pytest.mark.parametrize("code", ["NoSuchKey", "NoSuchBucket", "404"])
def test_whatever_says_that_there_is_no_object_is_no_error(
    store: LockStore, s3: Any, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """404 is what botocore makes of an answer without a body."""
    failing(s3, monkeypatch, "get_object", code)
    assert store.read() is None
    assert store.state_locks([STATE_KEY]) == []


def test_any_other_error_says_what_failed_where(store: LockStore, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    key = terraform_lock(s3, "bob@pc")
    left = store.state_locks([STATE_KEY])
    for operation in ("get_object", "put_object", "delete_object"):
        failing(s3, monkeypatch, operation, "AccessDenied")
    with pytest.raises(LockError, match=rf"^cannot read s3://{BUCKET}/{store.key}: .*AccessDenied"):
        store.read()
    with pytest.raises(LockError, match=rf"^cannot write s3://{BUCKET}/{store.key}: .*AccessDenied"):
        store.swap(lock(), None)
    with pytest.raises(LockError, match=rf"^cannot read s3://{BUCKET}/{key}: .*AccessDenied"):
        store.state_locks([STATE_KEY])
    with pytest.raises(LockError, match=rf"^cannot delete s3://{BUCKET}/{key}: .*AccessDenied"):
        store.delete_state_locks(left)


def test_a_lock_that_changes_all_the_time_is_given_up(store: LockStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "swap", lambda *_: None)
    with pytest.raises(LockError, match="changes too often to be taken"):
        store.acquire(lock(), HERE, STALE)
    monkeypatch.setattr(store, "read", lambda: found(lock()))
    with pytest.raises(LockError, match="changes too often to be freed"):
        store.release(lock().holder, NOW)


def test_a_missing_bucket_reads_as_free_and_cannot_be_written(s3: Any) -> None:
    store = LockStore(s3, "another-bucket", "local")
    assert store.read() is None
    assert not store.held("me")
    assert store.state_locks([STATE_KEY]) == []
    with pytest.raises(LockError, match=r"no bucket another-bucket.*make bootstrap ENV=local$"):
        store.swap(lock(), None)


WHOLE = json.loads(ELSEWHERE.to_json())


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "it is not JSON"),
        (b"locked by bob", "it is not JSON"),
        (b"\xff\xfe\xfd", "it is not UTF-8 text"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[]", "it is not a JSON object"),
        (b"null", "it is not a JSON object"),
        (b"{}", "it has no holder"),
        (json.dumps(WHOLE | {"owner": None}).encode(), "its owner is 'None'"),
        (json.dumps(WHOLE | {"owner": "\ud800"}).encode(), "its owner is '\\ud800'"),
        (json.dumps(WHOLE | {"pid": "1"}).encode(), "its pid is '1'"),
        (json.dumps(WHOLE | {"released": "no"}).encode(), "its released is 'no'"),
        (json.dumps(WHOLE | {"heartbeat": 5}).encode(), "its heartbeat is '5'"),
        (json.dumps(WHOLE | {"started": "0001-01-01T00:00:00+14:00"}).encode(), "its started is '0001"),
    ],
)
def test_an_object_that_is_no_lock_is_the_lock_of_somebody_unknown(
    store: LockStore, s3: Any, s3_clock: S3Clock, body: bytes, why: str
) -> None:
    s3.put_object(Bucket=BUCKET, Key=store.key, Body=body)
    with pytest.raises(LockHeld, match="held by somebody unknown") as refusal:
        store.acquire(lock(), HERE, STALE)
    assert f"the object is not a lock: {why}" in str(refusal.value)
    assert "it was written 0 s ago" in str(refusal.value)
    assert not store.held(ELSEWHERE.holder)
    assert store.release(ELSEWHERE.holder, NOW) is None, "nobody's own"
    assert store.loss(ELSEWHERE.holder).startswith("it was taken by somebody unknown")

    freed = store.release(None, NOW)
    assert freed
    assert freed.broken.startswith(why)
    assert taken_over(store) is None, "it is free"

    s3.put_object(Bucket=BUCKET, Key=store.key, Body=body)
    s3_clock(NOW, NOW + STALE)
    acquired = store.acquire(lock(), HERE, STALE)
    assert acquired.taken_over, "it was stale"
    assert store.held(lock().holder)


def test_an_object_that_is_no_lock_keeps_nobody_from_rolling_back(store: LockStore, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key=store.key, Body=b"?")
    assert store.acquire(lock(), HERE, STALE, preempt=True).preempted
    assert store.held(lock().holder)


def test_times_without_a_zone_are_utc(store: LockStore, s3: Any) -> None:
    naive = {"started": "2026-01-31T08:58:00", "heartbeat": "2026-01-31T08:59:30.5"}
    s3.put_object(Bucket=BUCKET, Key=store.key, Body=json.dumps(WHOLE | naive).encode())
    with pytest.raises(LockHeld) as refusal:
        store.acquire(lock(), HERE, STALE)
    assert "ann@laptop, for deploy, since 2026-01-31 08:58:00 UTC (2 min ago" in str(refusal.value)


def terraform_lock(s3: Any, who: str) -> str:
    """Write Terraform's own lock of the state, as Terraform 1.14 does. Return its key."""
    info = {
        "ID": "5a0c",
        "Operation": "OperationTypeApply",
        "Info": "",
        "Who": who,
        "Version": "1.14.0",
        "Created": "2026-01-31T08:57:03.123456789Z",
        "Path": f"{BUCKET}/{STATE_KEY}",
    }
    s3.put_object(Bucket=BUCKET, Key=f"{STATE_KEY}.tflock", Body=json.dumps(info).encode())
    return f"{STATE_KEY}.tflock"


def test_terraforms_own_lock_is_found_with_its_owner_and_removed(store: LockStore, s3: Any) -> None:
    key = terraform_lock(s3, "bob@pc")
    left = store.state_locks(["other.tfstate", STATE_KEY])
    assert left == [StateLock(key=key, who="bob@pc", operation="apply", created="2026-01-31T08:57:03")]
    assert str(left[0]) == "bob@pc (apply, since 2026-01-31T08:57:03)"
    store.delete_state_locks(left)
    assert store.state_locks([STATE_KEY]) == []


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff\xfe", b'{"Who": 5, "Created": null}', b"[" * 100_000])
def test_a_lock_of_terraform_that_cannot_be_read_is_that_of_somebody_unknown(body: bytes) -> None:
    unknown = StateLock.from_json("k", body)
    assert unknown == StateLock(key="k")
    assert str(unknown) == "somebody unknown"
    assert not left_here(unknown, found(gone()), HERE)


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"Who": "\ud800@pc"}, "?@pc"),  # valid JSON that cannot be printed
        ({"Operation": "OperationTypePlan"}, "somebody unknown (plan)"),
        ({"Created": "2026-01-31T08:57:03Z"}, "somebody unknown (since 2026-01-31T08:57:03Z)"),
    ],
)
def test_a_lock_of_terraform_is_described_by_what_it_says(info: dict[str, str], said: str) -> None:
    assert str(StateLock.from_json("k", json.dumps(info))) == said


def test_a_dead_flow_elsewhere_does_not_prove_that_its_terraform_is_dead(
    store: LockStore, s3: Any, s3_clock: S3Clock
) -> None:
    """One of two machines lost its network: its Terraform may be applying, and holds Terraform's own lock."""
    store.swap(ELSEWHERE, None)
    key = terraform_lock(s3, "bob@pc")
    s3_clock(NOW, NOW + STALE)
    with pytest.raises(StateLocked, match=r"deploy.* is dead, and Terraform's lock is that of bob@pc") as refusal:
        store.acquire(lock(), HERE, STALE, state_keys=[STATE_KEY])
    assert refusal.value.found.lock == ELSEWHERE
    assert [str(item) for item in refusal.value.left] == ["bob@pc (apply, since 2026-01-31T08:57:03)"]
    assert store.held(ELSEWHERE.holder), "the dead lock is left, so that the next run says the same"
    assert store.state_locks([STATE_KEY])[0].key == key

    assert store.acquire(lock(), HERE, STALE, preempt=True).taken_over, "a rollback changes no state"
    assert store.state_locks([STATE_KEY])


ME = f"{user_name()}@{HERE.name}"


@pytest.mark.parametrize(
    ("dead", "who", "ours"),
    [
        (gone(), ME, True),
        (gone(), f"somebody-else@{HERE.name}", False),
        (gone(), f"{user_name()}@elsewhere", False),
        (ELSEWHERE, ME, False),
        (None, ME, False),
    ],
)
def test_only_what_this_users_flow_left_on_this_machine_goes_with_a_dead_lock(
    store: LockStore, s3: Any, s3_clock: S3Clock, dead: Lock | None, who: str, ours: bool
) -> None:
    key = terraform_lock(s3, who)
    assert left_here(store.state_locks([STATE_KEY])[0], found(dead), HERE) is ours
    s3.put_object(Bucket=BUCKET, Key=store.key, Body=dead.to_json().encode() if dead else b"?")
    s3_clock(NOW, NOW + STALE)
    try:
        assert store.acquire(lock(), HERE, STALE, state_keys=[STATE_KEY]).taken_over
        assert ours
    except StateLocked:
        assert not ours
    assert [item.key for item in store.state_locks([STATE_KEY])] == [key]


def test_an_answer_without_a_date_shows_no_age(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    get_object = s3.get_object

    def undated(**request: Any) -> Any:
        answer = get_object(**request) | {"LastModified": NOW}
        answer["ResponseMetadata"]["HTTPHeaders"].pop("date", None)
        return answer

    monkeypatch.setattr(s3, "get_object", undated)
    store = LockStore(s3, BUCKET, "local")
    store.swap(ELSEWHERE, None)
    with pytest.raises(LockHeld, match="last heard of 0 s ago"):
        store.acquire(lock(), HERE, STALE)


def test_a_lock_is_renewed_several_times_before_it_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each renewal reads and writes, and each attempt of a call may hang until its timeout."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")  # what the action gives the heartbeat
    monkeypatch.setenv("AWS_REGION", "ap-northeast-2")
    config = store_of(assignment(1))._s3.meta.config
    attempts = config.retries["total_max_attempts"]
    longest_call = attempts * (config.connect_timeout + config.read_timeout) + attempts
    interval = yaml.safe_load((PROJECT / "roles/deploy_lock/defaults/main.yml").read_text())[
        "deploy_lock_heartbeat_seconds"
    ]
    assert timedelta(seconds=180) <= STALE_AFTER
    assert timedelta(seconds=3 * (interval + 2 * longest_call)) <= STALE_AFTER


def assignment(pid: int, **changes: Any) -> Assignment:
    values: dict[str, Any] = {
        "bucket": BUCKET,
        "environment": "local",
        "holder": holder_of(HERE, pid),
        "pid": pid,
        "interval": 10.0,
        "state_keys": [STATE_KEY],
    }
    return Assignment(**{**values, **changes})


def test_the_assignment_survives_the_command_line() -> None:
    assert Assignment.from_argument(assignment(1).to_argument()) == assignment(1)


def test_the_heart_beats_until_the_process_is_gone_and_then_frees(
    store: LockStore, process: subprocess.Popen[bytes]
) -> None:
    store.swap(lock(process.pid), None)
    seconds = iter(range(0, 1000, 6))
    beats: list[datetime] = []

    def sleep(_: float) -> None:
        current = store.held(holder_of(HERE, process.pid))
        assert current is not None
        beats.append(current.heartbeat)
        if len(beats) == 5:
            process.kill()
            process.wait()

    assert "lock freed" in beat(store, assignment(process.pid), HERE, sleep=sleep, clock=lambda: next(seconds))
    assert len(set(beats)) > 2
    current = store.read()
    assert current is not None
    assert not current.held


def test_a_lock_is_left_for_takeover_when_terraforms_lock_is_left(store: LockStore, s3: Any) -> None:
    store.swap(gone(), None)
    s3.put_object(Bucket=BUCKET, Key=f"{STATE_KEY}.tflock", Body=b"{}")
    assert "takes both over" in beat(store, assignment(gone().pid, holder=gone().holder), HERE)
    assert taken_over(store) == gone()


def test_the_heart_stops_when_the_lock_was_broken(store: LockStore) -> None:
    store.swap(ELSEWHERE, None)
    seconds = iter(range(0, 1000, 20))
    ended = beat(store, assignment(os.getpid()), HERE, sleep=lambda _: None, clock=lambda: next(seconds))
    assert ended == "the lock is not ours any more"


def test_the_heart_survives_a_bucket_that_is_away_for_a_while(
    store: LockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([LockError("away"), found(replace(lock(), released=True))])

    def read() -> Any:
        answer = next(answers)
        if isinstance(answer, LockError):
            raise answer
        return answer

    monkeypatch.setattr(store, "read", read)
    seconds = iter(range(0, 1000, 20))
    ended = beat(store, assignment(os.getpid()), HERE, sleep=lambda _: None, clock=lambda: next(seconds))
    assert ended == "the lock is not ours any more"


def test_a_bucket_that_is_gone_does_not_keep_the_heart_from_ending(s3: Any) -> None:
    class Away(LockStore):
        def state_locks(self, state_keys: Any) -> list[StateLock]:
            raise LockError("away")

    ended = beat(Away(s3, BUCKET, "local"), assignment(gone().pid, holder=gone().holder), HERE)
    assert "cannot be freed (away)" in ended


def test_a_machine_is_one_boot_of_one_kernel_in_one_process_namespace(tmp_path: Path) -> None:
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("b007\n")
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to("pid:[4026531836]")
    host, no_proc = socket.gethostname(), tmp_path / "no-proc"
    assert Machine.this(tmp_path) == Machine(f"{host} b007 pid:[4026531836]", tmp_path)
    assert Machine.this(no_proc) == Machine(f"{host} {uuid.getnode():x}", no_proc)
    assert Machine.this(tmp_path).name == Machine.this(no_proc).name == host


@pytest.mark.parametrize(("state", "holder"), [("S", "pc 7 4242"), ("R", "pc 7 4242"), ("Z", "pc 7"), ("X", "pc 7")])
def test_a_process_is_named_by_its_id_and_its_start(tmp_path: Path, state: str, holder: str) -> None:
    """Fields of proc(5) stat: 2 is the name in parentheses, 3 the state, 22 the start."""
    (tmp_path / "7").mkdir()
    between = " ".join(map(str, range(4, 22)))
    (tmp_path / "7" / "stat").write_text(f"7 (any) name) {state} {between} 4242 23 24\n")
    machine = Machine("pc", tmp_path)
    assert holder_of(machine, 7) == holder
    assert is_alive(machine, 7, holder) is (state in "SR")


def test_a_machine_without_proc_asks_the_kernel(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    elsewhere = Machine.this(tmp_path / "no-proc")
    assert elsewhere.process_start(process.pid) == ""
    process.kill()
    assert process.wait() == -signal.SIGKILL, "asking has sent it no signal"
    assert elsewhere.process_start(process.pid) is None
    assert not is_alive(elsewhere, process.pid, holder_of(elsewhere, process.pid))
    assert elsewhere.process_start(1) == "", "it runs, and may belong to another user"


def test_a_zombie_is_gone(process: subprocess.Popen[bytes]) -> None:
    assert HERE.process_start(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert HERE.process_start(process.pid) is None


def test_terraform_processes_that_outlived_their_playbook_are_found(tmp_path: Path) -> None:
    # Directories are listed in any order, so others stand before and after those that count.
    others = [(pid, "bash", "project") for pid in range(13, 40)]
    terraform = [(11, "terraform", "project/terraform"), (12, "terraform", "other")]
    for pid, name, cwd in (*others[::2], *terraform, *others[1::2]):
        (tmp_path / cwd).mkdir(parents=True, exist_ok=True)
        entry = tmp_path / "proc" / str(pid)
        entry.mkdir(parents=True)
        (entry / "comm").write_text(f"{name}\n")
        (entry / "cwd").symlink_to(tmp_path / cwd)
    for pid in range(40, 60):  # ended meanwhile
        (tmp_path / "proc" / str(pid)).mkdir()
    assert orphans([tmp_path / "project"], tmp_path / "proc") == [11]
    assert orphans([tmp_path / "project", tmp_path / "other"], tmp_path / "proc") == [11, 12]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 s"), (119, "119 s"), (120, "2 min"), (3599, "59 min"), (3600, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_ages_are_for_people(seconds: int, said: str) -> None:
    assert age(NOW, NOW + timedelta(seconds=seconds)) == said
