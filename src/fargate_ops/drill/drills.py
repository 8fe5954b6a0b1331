"""The drills: the action of each, the expected results, and how they are checked.

One table, `DRILLS`, holds both the announcements and the checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

from fargate_ops.core.application import Application
from fargate_ops.database.incident.diagnosis import Case
from fargate_ops.drill.client import WITHOUT_DATABASE, LoadFile
from fargate_ops.drill.faults import NOT_PLACED
from fargate_ops.drill.load import Report, Tally
from fargate_ops.drill.row_deletion import TABLE
from fargate_ops.drill.steady_state import ServiceState
from fargate_ops.incident.causes import Name


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was seen before, during and after a drill. ``happened`` is the result of the drill's action."""

    before: ServiceState
    after: ServiceState
    load: Report
    happened: Mapping[str, Any]


#: Whether the check passed, and what was seen.
Result = tuple[bool, str]


@dataclass(frozen=True)
class Check:
    """One expected result: its text, and the function that checks it."""

    text: str
    evaluate: Callable[[Evidence], Result]


class Need(StrEnum):
    """What a drill may need of the application: the setting that names it."""

    DATABASE = "app_database"
    READINESS = "app_ready_path"
    ADMIN_COMMAND = "app_admin_command"
    LOAD_FILE = "app_load_file"


@dataclass(frozen=True, kw_only=True)
class Drill:
    """An action, in the imperative, its expected results, and what it ``needs`` of the application."""

    does: str
    checks: Sequence[Check]
    needs: Sequence[Need] = ()


def _release_fails(seen: Evidence) -> Result:
    return bool(seen.happened["failed"]), str(seen.happened["said"]).strip().splitlines()[0]


def _incident_names(cause: Name) -> Callable[[Evidence], Result]:
    """Check that the answer to any alarm names this cause: an earlier drill may have left a more direct one."""

    def named(seen: Evidence) -> Result:
        answer = seen.happened["incident"]
        found = [answer["cause"], *answer["also_seen"]]
        return cause in found, ", ".join(filter(None, found)) or "nothing found"

    return named


def _ledger_says_failed(seen: Evidence) -> Result:
    is_new = seen.after.newest_release != seen.before.newest_release
    outcome = f"{seen.after.newest_outcome}: {seen.after.newest_why}" if is_new else "no new entry"
    return is_new and seen.after.newest_outcome == "failed", outcome


def _old_version_serves(seen: Evidence) -> Result:
    text = f"{seen.after.revision}, {seen.after.running} tasks, targets: {seen.after.targets_text}"
    return seen.after.revision == seen.before.revision and not seen.after.missing, text


def _only_old_version_answered(seen: Evidence) -> Result:
    said = {body for name in WITHOUT_DATABASE for body in seen.load.tallies.get(name, Tally()).answers}
    return len(said) == 1, f"{len(said)} {'answer' if len(said) == 1 else 'different answers'}"


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


def _is_not_placed(seen: Evidence) -> Result:
    return NOT_PLACED in seen.happened["event"], str(seen.happened["event"])


def _is_placed_later(seen: Evidence) -> Result:
    stopped, new = seen.happened["stopped"], sorted(set(seen.after.tasks) - set(seen.before.tasks))
    return bool(new) and stopped not in seen.after.tasks, f"{stopped} -> {', '.join(new) or 'nothing'}"


def _zone_is_replaced(seen: Evidence) -> Result:
    happened, count = seen.happened, len(seen.happened["lost"])
    text = f"{count} in {happened['zone']} -> {len(happened['started'])} new tasks in {happened['seconds']} s"
    return len(happened["started"]) >= count and not set(happened["lost"]) & set(seen.after.tasks), text


def _lost_zone_is_named(seen: Evidence) -> Result:
    answer, zone = seen.happened["incident"], seen.happened["zone"]
    away = answer["next"].startswith("make zone-away ") and answer["next"].endswith(f" ZONE={zone}")
    return answer["cause"] == Name.ZONE_LOST and away, f"{answer['cause'] or 'nothing found'}: {answer['next']}"


def _other_zones_keep_their_tasks(seen: Evidence) -> Result:
    others = set(seen.before.tasks) - set(seen.happened["lost"])
    kept = others & set(seen.after.tasks)
    return kept == others, f"{len(kept)} of {len(others)} still run"


def _loss_is_bounded(seen: Evidence) -> Result:
    """Check that each lost request ended after the zone was lost, and was sent before the service was steady again."""
    happened, load, tallies = seen.happened, seen.load, seen.load.tallies.values()
    lost_at, steady_at = happened["lost_at"] - load.began, happened["steady_at"] - load.began
    first = min((tally.first_lost for tally in tallies if tally.first_lost is not None), default=lost_at)
    last = max((tally.last_lost_sent for tally in tallies if tally.last_lost_sent is not None), default=lost_at)
    text = (
        f"{load.lost} of {load.total} lost, the last one sent {max(0.0, last - lost_at):.1f} s after the loss; the "
        f"zone had no healthy target after {happened['out_seconds']} s"
    )
    return lost_at <= first and last <= steady_at and load.total > load.lost, text


def _requests_succeed_again(seen: Evidence) -> Result:
    tallies = seen.load.tallies
    recovered = [name for name, tally in tallies.items() if (tally.last_answer or 0.0) > (tally.last_lost or 0.0)]
    return bool(tallies) and len(recovered) == len(tallies), f"{len(recovered)} of {len(tallies)} kinds of requests"


def _no_task_is_replaced(seen: Evidence) -> Result:
    gone = set(seen.before.tasks) - set(seen.after.tasks)
    return not gone, f"{len(seen.before.tasks) - len(gone)} of {len(seen.before.tasks)} still run"


def _not_ready_meanwhile(seen: Evidence) -> Result:
    away, refused = seen.happened["away_seconds"], seen.happened["answers"].get("HTTP 503", 0)
    return refused > 0, f"503 {refused} times; the database was unavailable for {away} s"


def _rows_are_kept(seen: Evidence) -> Result:
    kept = seen.happened["row_kept"]
    if kept is None:
        return True, "not checked: the load file writes none that it reads"
    return kept, "what was written just before can be read" if kept else "what was written just before is gone"


def _without_database_nothing_is_lost(seen: Evidence) -> Result:
    tallies = [seen.load.tallies.get(name, Tally()) for name in WITHOUT_DATABASE]
    answered, lost = sum(tally.answered for tally in tallies), sum(tally.lost for tally in tallies)
    return answered > 0 and not lost, f"{lost} of {answered + lost} requests lost"


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
    return first["case"] == Case.LEAKED_SESSIONS, f"{first['case']}; {first['report']}"


def _only_leaked_are_ended(seen: Evidence) -> Result:
    ended, recovery, leaked = (
        seen.happened["first"]["ended"],
        seen.happened["recovery"],
        seen.happened["fault"]["leaked"],
    )
    text = f"{len(ended)} ended, {recovery['ended']} of {leaked} leaked sessions are gone"
    return len(ended) == recovery["ended"] == leaked > 0, text


def _answers_within_ten_seconds(seen: Evidence) -> Result:
    seconds = seen.happened["recovery"]["seconds"]
    return seconds <= 10, f"after {seconds} s"


def _long_transaction_commits(seen: Evidence) -> Result:
    recovery = seen.happened["recovery"]
    return recovery["kept"], "it is committed" if recovery["kept"] else recovery["said"] or "it is not committed"


def _again_ends_nothing(seen: Evidence) -> Result:
    again = seen.happened["again"]
    return not again["ended"] and again["case"] != Case.LEAKED_SESSIONS, f"{again['case']}, {len(again['ended'])} ended"


def _pools_are_full(seen: Evidence) -> Result:
    answers = seen.happened["starving"]["answers"]
    number = answers.get("HTTP 503", 0)
    return number > 0, f"not ready: {', '.join(f'{count} x {answer}' for answer, count in answers.items())}"


def _slow_is_named(seen: Evidence) -> Result:
    first = seen.happened["first"]
    return first["case"] == Case.SLOW_QUERIES, f"{first['case']}; {first['report']}"


def _nothing_is_ended(seen: Evidence) -> Result:
    ended = [*seen.happened["first"]["ended"], *seen.happened["again"]["ended"]]
    over = bool(seen.happened["cleared"]["over"])
    return not ended and over, f"{len(ended)} ended; the slow statement {'completed' if over else 'did not complete'}"


def _client_side_is_named(seen: Evidence) -> Result:
    again = seen.happened["again"]
    return again["case"] == Case.CLIENT_POOLS_FULL, f"{again['case']}; {again['report']}"


def _rows_are_back(seen: Evidence) -> Result:
    fault, looked = seen.happened["fault"], seen.happened["looked"]
    said = seen.happened["first"]["comparison"]["tables"][TABLE]["back"]
    text = f"{looked['back']} of {fault['deleted']} deleted rows are there; the comparison said {said}"
    return looked["back"] == fault["deleted"] == said, text


def _loss_is_said(seen: Evidence) -> Result:
    fault = seen.happened["fault"]
    tables = [seen.happened[run]["comparison"]["tables"][TABLE] for run in ("first", "again")]
    true = {"lost": fault["later"], "from": fault["first"], "to": fault["last"]}
    said = [{name: table[name] for name in true} for table in tables]
    text = f"{said[0]['lost']} rows, written from {said[0]['from']} to {said[0]['to']}"
    return said == [true, true] and seen.happened["looked"]["later"] == 0, text


def _source_is_kept(seen: Evidence) -> Result:
    """Check the second comparison, made while the restored database served."""
    databases, lost = seen.happened["again"]["databases"], seen.happened["again"]["comparison"]["lost"]
    kept = "" in databases and lost >= seen.happened["fault"]["later"]
    return kept, f"{', '.join(item['instance_identifier'] for item in databases.values())}; {lost} later rows are in it"


def _serves_restored(seen: Evidence) -> Result:
    key, serves = seen.happened["first"]["key"], seen.happened["serves"]
    text = f"{seen.after.revision} with {serves}; targets: {seen.after.targets_text}"
    new = seen.after.revision != seen.before.revision and serves.endswith(key)
    return new and not seen.after.missing, text


def _again_restores_nothing(seen: Evidence) -> Result:
    first, again = seen.happened["first"], seen.happened["again"]
    same = first["key"] == again["key"] and first["databases"] == again["databases"]
    return same, f"{len(again['databases'])} databases, {'the same' if same else 'others'}"


def _other_user_serves(seen: Evidence) -> Result:
    first, users = seen.happened["first"], list(seen.happened["users"])
    moved = bool(first["rotated"]) and seen.after.revision != seen.before.revision
    return moved and users == [first["user"]], f"the application's sessions are {', '.join(users) or 'none'}"


def _former_user_works(seen: Evidence) -> Result:
    former, user = seen.happened["former"], seen.happened["first"]["user"]
    return bool(former) and former != user, f"a task of the previous task definition logs in as {former or 'no user'}"


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


def _tasks_are_added(seen: Evidence) -> Result:
    out = seen.happened["out"]
    text = f"{seen.before.desired} -> {out['desired']} tasks in {out['seconds']} s"
    return out["desired"] > seen.before.desired, text


def _release_keeps_the_number(seen: Evidence) -> Result:
    """Auto scaling may have changed the number just before or after the release: nothing else has."""
    released, fewer = seen.happened["released"], seen.happened["in"]
    numbers = [seen.before.desired, *fewer["numbers"]]
    by_scaling = numbers[-1] == fewer["desired"] and all(one != other for one, other in pairwise(numbers))
    new = released["revision"] != seen.before.revision
    text = f"{released['desired']} of {released['revision']}; auto scaling set {' -> '.join(map(str, numbers))}"
    return new and by_scaling and released["desired"] in numbers[1:], text


def _tasks_are_removed(seen: Evidence) -> Result:
    return seen.after.desired <= seen.before.desired, f"{seen.happened['out']['desired']} -> {seen.after.desired} tasks"


def _limits_hold(seen: Evidence) -> Result:
    outside = [count for phase in ("out", "in") for count in seen.happened[phase]["outside"]]
    return not outside, f"{seen.happened['out']['limits']} allowed, {len(outside)} times another number"


def _neither_load_loses(seen: Evidence) -> Result:
    busy, (passed, text) = seen.happened["busy"], _nothing_is_lost(seen)
    return passed and busy["total"] > 0 and not busy["lost"], f"{busy['lost']} of {busy['total']} lost; then {text}"


RELEASE_CHECKS = (
    Check("the release fails", _release_fails),
    Check("the ledger records the failure and its reason", _ledger_says_failed),
    Check("make incident names the bad release", _incident_names(Name.BAD_RELEASE)),
    Check("only the previous release runs", _old_version_serves),
    Check("no other version answered a request", _only_old_version_answered),
    Check("no request is lost", _nothing_is_lost),
)

DRILLS: Mapping[str, Drill] = {
    "broken_release": Drill(
        does="release the running image with a command that fails: the process exits at startup",
        checks=RELEASE_CHECKS,
    ),
    "never_healthy": Drill(
        does="release the running image with a command that listens nowhere: the process never becomes healthy",
        checks=RELEASE_CHECKS,
    ),
    "task_killed": Drill(
        does="stop one of the service's tasks directly",
        checks=(
            Check("the scheduler replaces it", _task_is_replaced),
            Check("all targets are healthy again", _targets_are_healthy),
            Check("no request is lost", _nothing_is_lost),
        ),
    ),
    "no_capacity": Drill(
        does="stop one of the service's tasks while Fargate has no capacity for another",
        checks=(
            Check("ECS says that it cannot place another", _is_not_placed),
            Check("make incident names the capacity", _incident_names(Name.NO_CAPACITY)),
            Check("the scheduler replaces it once there is capacity", _is_placed_later),
            Check("all targets are healthy again", _targets_are_healthy),
            Check("no request is lost", _nothing_is_lost),
        ),
    ),
    "zone_lost": Drill(
        does="cut the tasks of one availability zone off the network",
        checks=(
            Check("new tasks replace the zone's", _zone_is_replaced),
            Check("make incident names the lost zone, and how to move traffic away", _lost_zone_is_named),
            Check("the other zones' tasks keep running", _other_zones_keep_their_tasks),
            Check("requests are lost only until the service is steady without the zone", _loss_is_bounded),
            Check("all kinds of requests succeed again", _requests_succeed_again),
            Check("all targets are healthy again", _targets_are_healthy),
        ),
    ),
    "database_restart": Drill(
        does="restart the database while the service runs",
        needs=[Need.DATABASE, Need.READINESS, Need.LOAD_FILE],
        checks=(
            Check("no task is replaced", _no_task_is_replaced),
            Check("readiness returns 503 meanwhile", _not_ready_meanwhile),
            Check("all requests that need no database succeed", _without_database_nothing_is_lost),
            Check("requests that need the database succeed again", _with_database_succeeds_again),
            Check("no row is lost", _rows_are_kept),
        ),
    ),
    "pool_exhaustion": Drill(
        does="leak the application's sessions until the database has no connection left, and run the incident playbook",
        needs=[Need.DATABASE, Need.READINESS, Need.ADMIN_COMMAND, Need.LOAD_FILE],
        checks=(
            Check("the server is full, and the application returns 5xx", _server_is_full),
            Check("make incident names the exhausted pool", _incident_names(Name.POOL_EXHAUSTED)),
            Check("the playbook diagnoses leaked sessions", _case_is_named),
            Check("only the leaked sessions are ended", _only_leaked_are_ended),
            Check("requests succeed within 10 s", _answers_within_ten_seconds),
            Check("a transaction that ran throughout commits", _long_transaction_commits),
            Check("a second run of the playbook ends nothing", _again_ends_nothing),
            Check("no task is replaced", _no_task_is_replaced),
            Check("all requests that need no database succeed", _without_database_nothing_is_lost),
            Check("requests that need the database succeed again", _with_database_succeeds_again),
        ),
    ),
    "restore": Drill(
        does="delete rows, restore the second before to a new database, and switch the service to it",
        needs=[Need.DATABASE, Need.ADMIN_COMMAND],
        checks=(
            Check("the deleted rows are back", _rows_are_back),
            Check("the reported loss is exact to the second", _loss_is_said),
            Check("the previous database is kept with its rows", _source_is_kept),
            Check("the service is steady on the restored database", _serves_restored),
            Check("a second run restores nothing", _again_restores_nothing),
            Check("no request is lost", _nothing_is_lost),
        ),
    ),
    "slow_query": Drill(
        does="run a slow statement that locks a table that many requests read, and run the incident playbook",
        needs=[Need.DATABASE, Need.READINESS, Need.ADMIN_COMMAND, Need.LOAD_FILE],
        checks=(
            Check("the application's pools are full", _pools_are_full),
            Check("make incident names the lock wait", _incident_names(Name.LOCK_WAIT)),
            Check("the first run diagnoses slow queries", _slow_is_named),
            Check("the second run diagnoses full pools, not a full server", _client_side_is_named),
            Check("neither run ends a session", _nothing_is_ended),
            Check("no task is replaced", _no_task_is_replaced),
            Check("all requests that need no database succeed", _without_database_nothing_is_lost),
            Check("requests that need the database succeed again", _with_database_succeeds_again),
        ),
    ),
    "rotation": Drill(
        does="rotate the database password, then write the secret's value again outside a rotation",
        needs=[Need.DATABASE, Need.ADMIN_COMMAND],
        checks=(
            Check("the service connects as the other database user", _other_user_serves),
            Check("the previous database user still works", _former_user_works),
            Check("the ledger records the rotation", _ledger_says_succeeded),
            Check("a second run within a day rotates nothing", _again_rotates_nothing),
            Check("the second write reaches the tasks automatically", _change_reaches_the_tasks),
            Check("neither write loses a request", _nothing_is_lost),
        ),
    ),
    "cpu_load": Drill(
        does="send as many requests as the tasks' CPU answers until tasks are added, then stop and release",
        needs=[Need.LOAD_FILE],
        checks=(
            Check("load adds tasks", _tasks_are_added),
            Check("a release in between keeps their number", _release_keeps_the_number),
            Check("calm removes them", _tasks_are_removed),
            Check("their number stays within the limits", _limits_hold),
            Check("no request is lost", _neither_load_loses),
        ),
    ),
}


def lacking(name: str, application: Application, load_file: LoadFile) -> list[str]:
    """Return the settings of what a drill needs and the application has not."""
    has = {
        Need.DATABASE: application.database,
        Need.READINESS: bool(application.ready_path),
        Need.ADMIN_COMMAND: bool(application.admin_command),
        Need.LOAD_FILE: bool(load_file.steps),
    }
    missing = [need for need in DRILLS[name].needs if not has[need]]
    # Without a database, the others are of no use to the drill.
    return [str(need) for need in (missing[:1] if Need.DATABASE in missing else missing)]


def scene(name: str) -> list[str]:
    """Return the announcement of a drill."""
    drill = DRILLS[name]
    return [
        f"DRILL {name}",
        f"  action  {drill.does}",
        *(f"  {'expect' if number == 0 else '      '}  {item.text}" for number, item in enumerate(drill.checks)),
    ]


def verdict(name: str, evidence: Evidence) -> tuple[bool, list[str]]:
    """Return whether every check passed, and a line for each; the last line is the verdict."""
    lines: list[str] = []
    failed: list[str] = []
    for check in DRILLS[name].checks:
        passed, text = check.evaluate(evidence)
        lines.append(f"  {'passed' if passed else 'failed'}  {check.text}: {text}")
        if not passed:
            failed.append(check.text)
    outcome = "every check passed" if not failed else f"FAILED: {'; '.join(failed)}"
    return not failed, [*lines, f"VERDICT {name}: {outcome}"]
