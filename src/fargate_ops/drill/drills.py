"""The drills: what is done, what is promised, and how the promise is judged by what was seen.

One table, `DRILLS`, so that what is announced is exactly what is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fargate_ops.drill.client import WITHOUT_DATABASE
from fargate_ops.drill.load import Report, Tally
from fargate_ops.drill.steady_state import ServiceState


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that was seen. ``happened`` is what the drill's own step returned."""

    before: ServiceState
    after: ServiceState
    load: Report
    happened: Mapping[str, Any]


#: Whether it holds, and what was seen of it.
Result = tuple[bool, str]


@dataclass(frozen=True)
class Check:
    """One thing that the system promises, in words and as a judgement."""

    text: str
    evaluate: Callable[[Evidence], Result]


@dataclass(frozen=True, kw_only=True)
class Drill:
    """``does`` completes "We …"."""

    does: str
    checks: Sequence[Check]


def _release_fails(seen: Evidence) -> Result:
    return bool(seen.happened["failed"]), str(seen.happened["said"]).strip().splitlines()[0]


def _ledger_says_failed(seen: Evidence) -> Result:
    is_new = seen.after.newest_release != seen.before.newest_release
    outcome = f"{seen.after.newest_outcome}: {seen.after.newest_why}" if is_new else "no new entry"
    return is_new and seen.after.newest_outcome == "failed", outcome


def _old_version_serves(seen: Evidence) -> Result:
    text = f"{seen.after.revision}, {seen.after.running} tasks, targets: {seen.after.targets_text}"
    return seen.after.revision == seen.before.revision and not seen.after.missing, text


def _only_old_version_answered(seen: Evidence) -> Result:
    said = {body for name in WITHOUT_DATABASE for body in seen.load.tallies.get(name, Tally()).answers}
    return len(said) == 1, f"/version gave {len(said)} answer{'' if len(said) == 1 else 's that differ'}"


def _nothing_is_lost(seen: Evidence) -> Result:
    rate = seen.load.total / seen.load.seconds if seen.load.seconds else 0.0
    text = f"{seen.load.lost} of {seen.load.total} lost in {seen.load.seconds:.0f} s ({rate:.0f}/s)"
    answered = bool(seen.load.tallies) and all(tally.answered for tally in seen.load.tallies.values())
    return answered and not seen.load.lost, "; ".join([text, *seen.load.examples[:3]])


def _task_is_replaced(seen: Evidence) -> Result:
    new = seen.happened["started"]
    text = f"{seen.happened['stopped']} -> {', '.join(new) or 'nothing'} in {seen.happened['seconds']} s"
    return bool(new) and seen.happened["stopped"] not in seen.after.tasks, text


def _targets_are_healthy(seen: Evidence) -> Result:
    return not seen.after.missing, seen.after.missing or f"targets: {seen.after.targets_text}"


def _no_task_is_replaced(seen: Evidence) -> Result:
    gone = set(seen.before.tasks) - set(seen.after.tasks)
    return not gone, f"{len(seen.before.tasks) - len(gone)} of {len(seen.before.tasks)} are the same"


def _not_ready_meanwhile(seen: Evidence) -> Result:
    away, refused = seen.happened["away_seconds"], seen.happened["answers"].get("HTTP 503", 0)
    return refused > 0, f"503 {refused} times; the database was away for {away} s"


def _rows_are_kept(seen: Evidence) -> Result:
    kept = bool(seen.happened["row_kept"])
    return kept, "the account written just before can be read" if kept else "the account written just before is gone"


def _without_database_nothing_is_lost(seen: Evidence) -> Result:
    tallies = [seen.load.tallies.get(name, Tally()) for name in WITHOUT_DATABASE]
    answered, lost = sum(tally.answered for tally in tallies), sum(tally.lost for tally in tallies)
    return answered > 0 and not lost, f"{lost} of {answered + lost} requests for /version lost"


def _with_database_succeeds_again(seen: Evidence) -> Result:
    tallies = [tally for name, tally in seen.load.tallies.items() if name not in WITHOUT_DATABASE]
    recovered = [(tally.last_answer or 0.0) > (tally.last_lost or 0.0) for tally in tallies]
    refused, total = sum(tally.lost for tally in tallies), sum(tally.lost + tally.answered for tally in tallies)
    last = max((tally.last_lost or 0.0 for tally in tallies), default=0.0)
    text = f"{refused} of {total} refused, the last after {last:.1f} of {seen.load.seconds:.1f} s"
    return bool(recovered) and all(recovered), text


def _server_is_full(seen: Evidence) -> Result:
    fault = seen.happened["fault"]
    refused = sum(number for name, number in fault["answers"].items() if name.startswith("HTTP 5"))
    return refused > 0, f"{fault['leaked']} sessions leaked, {refused} requests refused; {fault['refusal']}"


def _case_is_named(seen: Evidence) -> Result:
    first = seen.happened["first"]
    return first["case"] == LEAKED, f"{first['case']}; {first['report']}"


def _only_leaked_are_ended(seen: Evidence) -> Result:
    ended, recovery, leaked = (
        seen.happened["first"]["ended"],
        seen.happened["recovery"],
        seen.happened["fault"]["leaked"],
    )
    text = f"{len(ended)} ended, {recovery['ended']} of {leaked} leaked ones are gone"
    return len(ended) == recovery["ended"] == leaked > 0, text


def _answers_within_ten_seconds(seen: Evidence) -> Result:
    seconds = seen.happened["recovery"]["seconds"]
    return seconds <= 10, f"after {seconds} s"


def _long_transaction_commits(seen: Evidence) -> Result:
    recovery = seen.happened["recovery"]
    return recovery["row_kept"], recovery["said"] or "its row can be read" if recovery[
        "row_kept"
    ] else "its row is gone"


def _again_ends_nothing(seen: Evidence) -> Result:
    again = seen.happened["again"]
    return not again["ended"] and again["case"] != LEAKED, f"{again['case']}, {len(again['ended'])} ended"


def _pools_are_full(seen: Evidence) -> Result:
    answers = seen.happened["starving"]["answers"]
    number = answers.get("database-pool-exhausted", 0)
    return number > 0, f"{number} requests found no connection in their process's pool"


def _slow_is_named(seen: Evidence) -> Result:
    first = seen.happened["first"]
    return first["case"] == SLOW, f"{first['case']}; {first['report']}"


def _nothing_is_ended(seen: Evidence) -> Result:
    ended = [*seen.happened["first"]["ended"], *seen.happened["again"]["ended"]]
    over = bool(seen.happened["cleared"]["over"])
    return not ended and over, f"{len(ended)} ended; the slow statement {'came' if over else 'did not come'} to its end"


def _client_side_is_named(seen: Evidence) -> Result:
    again = seen.happened["again"]
    return again["case"] == CLIENT_SIDE, f"{again['case']}; {again['report']}"


def _rows_are_back(seen: Evidence) -> Result:
    fault, looked = seen.happened["fault"], seen.happened["looked"]
    said = seen.happened["first"]["comparison"]["tables"]["accounts"]["back"]
    text = f"{looked['back']} of {len(fault['deleted'])} deleted accounts can be read; the comparison said {said}"
    return looked["back"] == len(fault["deleted"]) == said, text


def _loss_is_said(seen: Evidence) -> Result:
    fault = seen.happened["fault"]
    tables = [seen.happened[run]["comparison"]["tables"]["accounts"] for run in ("first", "again")]
    true = {"lost": len(fault["later"]), "from": fault["first"], "to": fault["last"]}
    said = [{name: table[name] for name in true} for table in tables]
    text = f"{said[0]['lost']} accounts, written from {said[0]['from']} to {said[0]['to']}"
    return said == [true, true] and seen.happened["looked"]["later"] == 0, text


def _source_is_kept(seen: Evidence) -> Result:
    """Of the second comparison, made while the restored one served."""
    databases, lost = seen.happened["again"]["databases"], seen.happened["again"]["comparison"]["lost"]
    kept = "" in databases and lost >= len(seen.happened["fault"]["later"])
    return kept, f"{', '.join(item['instance_identifier'] for item in databases.values())}; {lost} later rows are in it"


def _serves_restored(seen: Evidence) -> Result:
    key, serves = seen.happened["first"]["key"], seen.happened["serves"]
    text = f"{seen.after.revision} with {serves}; targets: {seen.after.targets_text}"
    new = seen.after.revision != seen.before.revision and serves.endswith(key)
    return new and not seen.after.missing and bool(seen.happened["looked"]["takes"]), text


def _again_restores_nothing(seen: Evidence) -> Result:
    first, again = seen.happened["first"], seen.happened["again"]
    same = first["key"] == again["key"] and first["databases"] == again["databases"]
    return same, f"{len(again['databases'])} databases, {'the same' if same else 'others'}"


def _other_user_serves(seen: Evidence) -> Result:
    first, users = seen.happened["first"], list(seen.happened["users"])
    moved = bool(first["rotated"]) and seen.after.revision != seen.before.revision
    return moved and users == [first["user"]], f"the service's sessions are {', '.join(users) or 'none'}"


def _former_user_works(seen: Evidence) -> Result:
    former, user = seen.happened["former"], seen.happened["first"]["user"]
    return bool(former) and former != user, f"a task of the definition before logs in as {former or 'nobody'}"


def _ledger_says_succeeded(seen: Evidence) -> Result:
    is_new = seen.after.newest_release != seen.before.newest_release
    outcome = f"{seen.after.newest_outcome}: {seen.after.newest_why}" if is_new else "no new entry"
    return is_new and seen.after.newest_outcome == "succeeded", outcome


def _again_rotates_nothing(seen: Evidence) -> Result:
    again = seen.happened["again"]
    return not again["rotated"], f"{'rotated' if again['rotated'] else 'left'}, {again['age_days']} days old"


def _change_reaches_the_tasks(seen: Evidence) -> Result:
    changed = seen.happened["changed"]
    return changed["replaced"] > 0, f"{changed['replaced']} tasks were replaced in {changed['seconds']} s"


#: The incident playbook's names for them (roles/db_incident).
LEAKED = "leaked sessions"
SLOW = "slow queries hold the sessions"
CLIENT_SIDE = "the pools are full, the server is not"

RELEASE_CHECKS = (
    Check("the release fails, and says so", _release_fails),
    Check("the ledger says failed, and why", _ledger_says_failed),
    Check("the version before it serves, alone", _old_version_serves),
    Check("no request was answered by another version", _only_old_version_answered),
    Check("no request is lost", _nothing_is_lost),
)

DRILLS: Mapping[str, Drill] = {
    "broken_release": Drill(
        does="release the running image with a setting that it refuses: the process exits at its start",
        checks=RELEASE_CHECKS,
    ),
    "never_healthy": Drill(
        does="release the running image with a database that is not there: it starts, and never becomes healthy",
        checks=RELEASE_CHECKS,
    ),
    "task_killed": Drill(
        does="stop one of the service's tasks behind the scheduler's back",
        checks=(
            Check("the scheduler replaces it", _task_is_replaced),
            Check("as many targets are healthy as before", _targets_are_healthy),
            Check("no request is lost", _nothing_is_lost),
        ),
    ),
    "database_restart": Drill(
        does="restart the database under the running service",
        checks=(
            Check("no task is replaced", _no_task_is_replaced),
            Check("/readyz says 503 meanwhile", _not_ready_meanwhile),
            Check("requests that need no database are all answered", _without_database_nothing_is_lost),
            Check("requests that need it succeed again", _with_database_succeeds_again),
            Check("what was written is still there", _rows_are_kept),
        ),
    ),
    "pool_exhaustion": Drill(
        does="leak the application's sessions until the database has no connection left, and run the incident playbook",
        checks=(
            Check("the server is full, and the application answers 5xx", _server_is_full),
            Check("the playbook names the case", _case_is_named),
            Check("the leaked sessions are ended, and no other", _only_leaked_are_ended),
            Check("requests succeed within 10 s of it", _answers_within_ten_seconds),
            Check("a transaction that worked through it all commits", _long_transaction_commits),
            Check("run again, the playbook ends nothing", _again_ends_nothing),
            Check("no task is replaced", _no_task_is_replaced),
            Check("requests that need no database are all answered", _without_database_nothing_is_lost),
            Check("requests that need it succeed again", _with_database_succeeds_again),
        ),
    ),
    "restore": Drill(
        does="delete rows, restore the second before that beside the database, and let the restored one serve",
        checks=(
            Check("the deleted rows are back", _rows_are_back),
            Check("what is lost is said to the second, and true", _loss_is_said),
            Check("the database before is kept, with its rows", _source_is_kept),
            Check("the service is whole on the restored one, and takes new rows", _serves_restored),
            Check("run again, it restores nothing anew", _again_restores_nothing),
            Check("no request is lost", _nothing_is_lost),
        ),
    ),
    "slow_query": Drill(
        does="let a slow statement hold what many requests wait for, and run the incident playbook",
        checks=(
            Check("the application's pools are full", _pools_are_full),
            Check("the playbook names the slow statements", _slow_is_named),
            Check("the client-side case is told apart from a full server", _client_side_is_named),
            Check("no session is ended in either", _nothing_is_ended),
            Check("no task is replaced", _no_task_is_replaced),
            Check("requests that need no database are all answered", _without_database_nothing_is_lost),
            Check("requests that need it succeed again", _with_database_succeeds_again),
        ),
    ),
    "rotation": Drill(
        does="rotate the database password, then put the secret's value once more, as somebody else could",
        checks=(
            Check("the service works as the other database user", _other_user_serves),
            Check("the user before it still works", _former_user_works),
            Check("the ledger says so", _ledger_says_succeeded),
            Check("run again within a day, nothing is rotated", _again_rotates_nothing),
            Check("what somebody else put reaches the tasks by itself", _change_reaches_the_tasks),
            Check("no request is lost in either", _nothing_is_lost),
        ),
    ),
}


def scene(name: str) -> list[str]:
    """What is announced before a drill."""
    drill = DRILLS[name]
    return [
        f"DRILL {name}",
        f"  we      {drill.does}",
        *(f"  {'expect' if number == 0 else '      '}  {item.text}" for number, item in enumerate(drill.checks)),
    ]


def verdict(name: str, evidence: Evidence) -> tuple[bool, list[str]]:
    """Whether all checks were kept, and what is told of each; the last line is the verdict."""
    lines: list[str] = []
    broken: list[str] = []
    for check in DRILLS[name].checks:
        kept, text = check.evaluate(evidence)
        lines.append(f"  {'kept  ' if kept else 'BROKEN'}  {check.text}: {text}")
        if not kept:
            broken.append(check.text)
    how = "every promise was kept" if not broken else f"BROKEN: {'; '.join(broken)}"
    return not broken, [*lines, f"VERDICT {name}: {how}"]
