"""Notifications and incidents in one environment.

The bots really run: each event in the local cloud becomes one message in the fake Slack, within Slack's limits. This
needs only the infrastructure. Then the application is deployed, and drills cause incidents that the playbooks resolve.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from urllib.error import HTTPError

import psycopg2
import pytest

from local_cloud.cloudwatch.service_metrics import Usage
from tests.e2e.conftest import (
    INSTANCE,
    Clone,
    alarm_states,
    causes,
    connect,
    containers,
    docker,
    drain_for,
    execute,
    gib_of,
    limits,
    minutes_of,
    query,
    service,
    wait_until,
)
from tests.e2e.load import load
from tests.local_cloud.conftest import docker_client
from tests.support.slack import TOKEN, Slack, intrusions, shown

pytestmark = [pytest.mark.e2e, pytest.mark.rehearsal, pytest.mark.timeout(900)]

PREFIX = "settlement-local"
ACCOUNT = "settlement-account"
BOTS = (f"{PREFIX}-query-bot", f"{PREFIX}-alarm-bot", f"{ACCOUNT}-detection-bot")

#: The application's sessions, and those that are idle long enough to be terminated.
APPLICATIONS = "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'settlement_app%'"
IDLE = f"{APPLICATIONS} AND state = 'idle' AND state_change < clock_timestamp() - interval '6 seconds'"


@pytest.fixture(scope="module")
def slack(clone: Clone) -> Iterator[Slack]:
    """Create the infrastructure and put the fake Slack's address where an operator puts the webhook."""
    clone.make("infra")
    with Slack() as slack:
        for prefix in (PREFIX, ACCOUNT):
            clone.aws("secretsmanager").put_secret_value(SecretId=f"{prefix}/slack-webhook", SecretString=slack.url)
        yield slack


def log_of(clone: Clone, function: str) -> str:
    """Return the Lambda function's log."""
    events = clone.aws("logs").filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
    return "\n".join(event["message"] for event in events)


def undelivered(clone: Clone) -> int:
    """Return the number of messages in the queue `undelivered`."""
    sqs = clone.aws("sqs")
    url = sqs.get_queue_url(QueueName=f"{PREFIX}-undelivered")["QueueUrl"]
    names = ["ApproximateNumberOfMessages"]
    return int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][names[0]])


def test_a_slow_query_is_told_once(clone: Clone, slack: Slack) -> None:
    execute(clone, "SELECT pg_sleep(3),\n  'Kim 010-1234-5678' AS \"그 사람\"")
    message = slack.wait_for(lambda message: "query" in message["text"])
    text = shown(message)
    assert "settlement-local: a query took 3" in text
    assert "pg_sleep(" in text
    assert "그 사람" in text
    assert "010-1234-5678" not in text, "literals are redacted"
    assert not intrusions(message)

    # Another slow query within the window is counted. A quick one is not even logged.
    execute(clone, "SELECT 1")
    execute(clone, "SELECT pg_sleep(3.1),\n  'Lee' AS \"그 사람\"")
    wait_until(lambda: '"counted"' in log_of(clone, BOTS[0]), "the second one is counted")
    assert len(slack.messages) == 1
    assert undelivered(clone) == 0
    assert causes(clone) == ["slow query"]


def test_an_alarm_is_told(clone: Clone, slack: Slack) -> None:
    slack.forget()
    cloudwatch = clone.aws("cloudwatch")
    topics = clone.aws("sns").list_topics()["Topics"]
    urgent = next(topic["TopicArn"] for topic in topics if topic["TopicArn"].endswith(f":{PREFIX}-urgent"))
    cloudwatch.put_metric_alarm(
        AlarmName=f"{PREFIX}-e2e",
        AlarmDescription="Made by a test.\nRunbook: docs/runbooks/e2e.md\nNext: make status ENV=local",
        Namespace="e2e",
        MetricName="Nothing",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
        AlarmActions=[urgent],
        OKActions=[urgent],
    )
    cloudwatch.set_alarm_state(AlarmName=f"{PREFIX}-e2e", StateValue="ALARM", StateReason="<!channel> forced")
    message = slack.wait_for()
    text = shown(message)
    assert f"URGENT: {PREFIX}-e2e" in text
    assert "docs/runbooks/e2e.md" in text
    assert "make status ENV=local" in text
    assert "make incident ENV=local" in text
    assert "Graph" in text
    assert not intrusions(message)

    cloudwatch.set_alarm_state(AlarmName=f"{PREFIX}-e2e", StateValue="OK", StateReason="over")
    slack.wait_for(lambda message: "resolved" in message["text"])
    assert len(slack.messages) == 2
    assert undelivered(clone) == 0


def test_a_created_resource_is_told_once(clone: Clone, slack: Slack) -> None:
    slack.forget()
    s3 = clone.aws("s3")
    here = {"LocationConstraint": "ap-northeast-2"}
    s3.create_bucket(Bucket="e2e-made", CreateBucketConfiguration=here)
    text = shown(slack.wait_for(lambda message: "e2e-made" in message["text"]))
    assert "settlement-account: AWS::S3::Bucket e2e-made created by test" in text
    assert "ap-northeast-2" in text
    assert "Missing tags" in text
    assert "Application, ManagedBy" in text

    # An update is not reported: the next message is about a resource created later.
    s3.put_bucket_versioning(Bucket="e2e-made", VersioningConfiguration={"Status": "Enabled"})
    tags = [{"Key": "Application", "Value": "settlement"}, {"Key": "ManagedBy", "Value": "e2e"}]
    s3.create_bucket(Bucket="e2e-tagged", CreateBucketConfiguration=here)
    s3.put_bucket_tagging(Bucket="e2e-tagged", Tagging={"TagSet": tags})
    tagged = shown(slack.wait_for(lambda message: "e2e-tagged" in message["text"]))
    assert "Missing tags" not in tagged
    assert len(slack.messages) == 2
    # Neither are resources of the recorder's first inventory: a security group has no creation time.
    skipped = [line for line in log_of(clone, BOTS[2]).splitlines() if '"skipped"' in line]
    assert skipped
    assert all("AWS::EC2::SecurityGroup" in line for line in skipped)


def test_a_test_page_arrives_on_every_path(clone: Clone, slack: Slack) -> None:
    slack.forget()
    run = clone.make("test-page")
    assert "local: test page: 3 accepted (urgent, warning, release notification)" in run.output
    assert run.recap()["changed"] == 0
    # Two messages per alarm, from alarm-bot, and the release's notification.
    wait_until(lambda: len(slack.messages) >= 5, "the five messages of a test page")
    texts = [shown(message) for message in slack.messages]
    assert len(texts) == 5
    assert all("TEST" in text and "nothing is wrong" in text for text in texts)
    assert sum(f"URGENT: {PREFIX}-test-page-urgent" in text for text in texts) == 1
    assert undelivered(clone) == 0


def test_what_slack_does_not_take_is_kept_and_sets_off_an_alarm(clone: Clone, slack: Slack) -> None:
    slack.forget()
    slack.plan(*[503] * 4)
    topics = clone.aws("sns").list_topics()["Topics"]
    warning = next(topic["TopicArn"] for topic in topics if topic["TopicArn"].endswith(f":{PREFIX}-warning"))
    clone.aws("sns").publish(TopicArn=warning, Subject="e2e", Message="to be kept")
    wait_until(lambda: undelivered(clone) == 1, "the message is kept")
    assert not slack.messages
    assert causes(clone)[-1] == "bots undelivered"

    # When Slack works again, one command posts it.
    with minutes_of(5):
        slack.wait_for(lambda message: f"{PREFIX}-undelivered" in message["text"])
        assert "alarm-bot" in clone.make("redeliver", "CHECK=1").output
        assert undelivered(clone) == 1
        assert "1 posted" in clone.make("redeliver").output
        assert slack.wait_for(lambda message: "to be kept" in shown(message))
        slack.wait_for(lambda message: f"resolved: {PREFIX}-undelivered" in message["text"])
    assert undelivered(clone) == 0
    assert clone.make("redeliver").recap()["changed"] == 0


def test_a_bot_that_fails_sets_off_its_alarm_and_its_event_is_kept(clone: Clone, slack: Slack) -> None:
    """The bot can neither read an event nor keep it."""
    functions = clone.aws("lambda")
    variables = functions.get_function_configuration(FunctionName=BOTS[0])["Environment"]["Variables"]
    gone = variables | {"UNDELIVERED_QUEUE_URL": f"{variables['UNDELIVERED_QUEUE_URL']}-gone"}
    alarm = f"{PREFIX}-query-bot-errors"
    events = 0

    def is_told() -> bool:
        nonlocal events
        functions.invoke(FunctionName=BOTS[0], InvocationType="Event", Payload=b"{}")
        events += 1
        with suppress(TimeoutError):
            return bool(slack.wait_for(lambda message: f"warning: {alarm}" in message["text"], seconds=15))
        return False

    slack.forget()
    with minutes_of(1):
        functions.update_function_configuration(FunctionName=BOTS[0], Environment={"Variables": gone})
        try:
            wait_until(is_told, "the bot's errors are told")
            # Lambda gives an event up after three attempts.
            wait_until(lambda: undelivered(clone) == events, "its events are kept")
        finally:
            functions.update_function_configuration(FunctionName=BOTS[0], Environment={"Variables": variables})
        slack.wait_for(lambda message: f"resolved: {alarm}" in message["text"])
    # No bot can post them.
    assert f"{events} discarded" in clone.make("redeliver", redelivery_discard=True).output
    assert undelivered(clone) == 0


#: The alarms of a database at its limits.
LIMITS = ("database-cpu", "database-memory", "database-storage")
#: A temporary table takes disk and, in its buffers, as much memory. Seven of its rows fill a page of 8 KiB.
BUFFERS = "SET temp_buffers = '200MB'"
TABLE = "CREATE TEMPORARY TABLE held AS SELECT repeat('x', 1000) FROM generate_series(1, 150000)"
TABLE_BYTES = 150_000 // 7 * 8192
SPARE_BYTES = 70 * 1024**2
ENDLESS = "DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$"


def test_a_session_takes_a_small_database_to_its_limits_and_sets_off_its_alarms(clone: Clone, slack: Slack) -> None:
    database = docker_client().containers.get(database_container())
    stats = database.stats(stream=False)
    memory = int(stats["memory_stats"]["limit"])
    used_memory = memory - int(Usage.of(stats, at=0).free_memory)
    used_disk = int(database.exec_run(["sh", "-c", 'du -sk "$PGDATA"']).output.split()[0]) * 1024

    def are(state: str) -> bool:
        states = alarm_states(clone)
        return all(states[name] == state for name in LIMITS)

    slack.forget()
    with minutes_of(1), gib_of((used_disk + TABLE_BYTES) // 20):
        try:
            database.update(mem_limit=used_memory + TABLE_BYTES + SPARE_BYTES, memswap_limit=-1)
            wait_until(lambda: are("OK"), "the small database has enough")
            with closing(connect(clone)) as session, session.cursor() as cursor, ThreadPoolExecutor(1) as pool:
                cursor.execute(BUFFERS)
                cursor.execute(TABLE)
                docker("update", "--cpus", "0.1", database.id)
                busy = pool.submit(cursor.execute, ENDLESS)
                try:
                    wait_until(lambda: are("ALARM"), "its limits are told")
                finally:
                    docker("update", "--cpus", str(os.cpu_count()), database.id)
                    session.cancel()
                assert isinstance(busy.exception(), psycopg2.errors.QueryCanceled)
            wait_until(lambda: are("OK"), "the session is over")
        finally:
            database.update(mem_limit=memory, memswap_limit=-1)
    for name in LIMITS:
        slack.wait_for(lambda message, name=name: f"resolved: {PREFIX}-{name}" in message["text"])


def database_container() -> str:
    """Return the id of the only database's container."""
    (container,) = docker("ps", "--quiet", "--filter", f"label=fargate.local={INSTANCE}", "--filter", "name=rds")
    return container


def test_the_webhook_is_nowhere(clone: Clone, slack: Slack) -> None:
    places = {f"output of run {number}": text for number, text in enumerate(clone.outputs)}
    functions = clone.aws("lambda")
    for name in BOTS:
        places[name] = json.dumps(functions.get_function(FunctionName=name), default=str)
    s3 = clone.aws("s3")
    bucket = next(item["Name"] for item in s3.list_buckets()["Buckets"] if "terraform" in item["Name"])
    for item in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        places[item["Key"]] = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read().decode(errors="replace")
    logs = clone.aws("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        events = logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
        places[group["logGroupName"]] = "\n".join(event["message"] for event in events)
    for path in (clone.path / ".local").rglob("*"):
        # The emulator's state is AWS's side: it contains Secrets Manager.
        if path.is_file() and "cloud/state" not in str(path):
            places[str(path)] = path.read_text(errors="replace")
    assert f"/aws/lambda/{BOTS[0]}" in places
    assert not [place for place, text in places.items() if TOKEN in text]


def test_the_application_comes_to_it(clone: Clone) -> None:
    """Deploying the application does not change the infrastructure again, whatever the tests above did."""
    run = clone.make("deploy")
    assert "  account: no change\n" in run.output
    assert "  terraform: no change\n" in run.output
    assert clone.request("/version")[1]["git_hash"] == clone.version()


def test_exhausted_connections_are_resolved_by_the_playbook(clone: Clone) -> None:
    with minutes_of(2):
        output = clone.make("drill", "DRILL=pool_exhaustion").output
        wait_until(lambda: alarm_states(clone)["database-connections"] == "OK", "the alarm ends", seconds=240)
    history = clone.aws("cloudwatch").describe_alarm_history(
        AlarmName=f"{PREFIX}-database-connections", HistoryItemType="StateUpdate"
    )["AlarmHistoryItems"]
    assert any(item["HistorySummary"] == "Alarm updated from OK to ALARM" for item in history), history
    assert "VERDICT pool_exhaustion: every check passed" in output
    # Its checks: the server is full and the application returns 5xx, the playbook diagnoses leaked sessions and ends
    # only those, requests succeed within 10 s, a transaction that ran throughout commits.
    assert "passed  only the leaked sessions are ended" in output


def test_load_adds_tasks_and_calm_removes_them(clone: Clone) -> None:
    run = clone.make("drill", "DRILL=cpu_load")
    print(*re.findall(r"^  passed .*", run.output, re.MULTILINE), sep="\n")
    assert "VERDICT cpu_load: every check passed" in run.output
    assert limits() == (2, 4), "those scheduled for now"
    # It leaves the definition as it was.
    definition = clone.aws("ecs").describe_task_definition(taskDefinition=service(clone)["taskDefinition"])
    assert definition["taskDefinition"]["containerDefinitions"][0]["stopTimeout"] == 30


def test_the_incident_playbook_looks_and_changes_nothing(clone: Clone) -> None:
    run = clone.make("incident-db")
    print(f"incident-db: {run.seconds():.0f} s")
    assert run.seconds() <= 60
    assert run.recap()["changed"] == 0
    assert "changed nothing" in run.output
    assert "! missing" not in run.output
    sessions = query(clone, APPLICATIONS)
    assert clone.make("incident-db", end_idle=True).recap()["changed"] == 0
    assert query(clone, APPLICATIONS) == sessions
    report = max((clone.path / ".local/local/incidents").glob("*.md")).read_text()
    assert "## Every session" in report
    assert "no task is started in check mode" in clone.make("incident-db", "CHECK=1").output


def test_a_database_that_is_down_is_named_by_the_first_answer(clone: Clone) -> None:
    database = database_container()
    docker("stop", "--time", "5", database)
    try:
        with pytest.raises(HTTPError, match="503"):
            clone.request("/readyz")
        assert causes(clone)[0] == "database down"
    finally:
        docker("start", database)
    wait_until(lambda: is_ready(clone), "the application reaches its database again")


def is_ready(clone: Clone) -> bool:
    try:
        return clone.request("/readyz")[0] == 200
    except HTTPError:
        return False


def test_a_task_without_a_place_is_named_and_replaced_once_there_is_one(clone: Clone) -> None:
    drill = clone.make("drill", "DRILL=no_capacity")
    print(
        f"drill no_capacity: {drill.seconds():.0f} s",
        *re.findall(r"^  passed .*", drill.output, re.MULTILINE),
        sep="\n",
    )
    assert "VERDICT no_capacity: every check passed" in drill.output
    # The drills before may have left more direct causes.
    assert re.search(r"passed  make incident names the capacity: .*no capacity", drill.output)


def test_a_lost_zone_is_replaced_while_the_others_carry_on(clone: Clone) -> None:
    """The tasks are older than their grace period here, so that the scheduler replaces them at once."""
    drill = clone.make("drill", "DRILL=zone_lost")
    print(
        f"drill zone_lost: {drill.seconds():.0f} s", *re.findall(r"^  passed .*", drill.output, re.MULTILINE), sep="\n"
    )
    assert "VERDICT zone_lost: every check passed" in drill.output
    # While the zone is silent.
    assert "passed  make incident names the lost zone, and how to move traffic away: zone lost" in drill.output
    acls = clone.aws("ec2").describe_network_acls()["NetworkAcls"]
    assert all(acl["IsDefault"] for acl in acls), "the drill's ACL is removed"


def test_traffic_leaves_a_zone_and_comes_back(clone: Clone) -> None:
    zone = "ap-northeast-2b"
    # The drills before have used more CPU than one zone has.
    away = clone.make("zone-away", f"ZONE={zone}", zone_away_cpu_percent=1000)
    assert away.recap()["changed"] == 1
    assert f"no new request goes to {zone} until " in away.output
    assert clone.make("zone-away", f"ZONE={zone}").recap()["changed"] == 0
    assert clone.request("/version")[1]["git_hash"] == clone.version()
    assert f"zone away    {zone} until " in clone.make("status").output
    assert clone.make("zone-away", "CANCEL=1").recap()["changed"] == 1


#: Run in a task's container: keep a CPU busy, but not for ever; and end that.
BUSY = "import time; end = time.monotonic() + 300\nwhile time.monotonic() < end: pass"
CALM = """
import os, signal
for process in filter(str.isdigit, os.listdir("/proc")):
    with open(f"/proc/{process}/cmdline", "rb") as command:
        if b"+ 300" in command.read() and int(process) != os.getpid():
            os.kill(int(process), signal.SIGKILL)
"""


def test_tasks_at_their_cpu_limit_are_named(clone: Clone) -> None:
    """Scaling out is suspended, as if the service had its greatest number of tasks: new ones would be idle."""
    tasks = docker_client().containers.list(filters={"label": [f"fargate.local={INSTANCE}", "ministack=ecs"]})
    assert tasks
    autoscaling = clone.aws("application-autoscaling")
    (target,) = autoscaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    scalable = {name: target[name] for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
    suspended = target["SuspendedState"]
    with minutes_of(2):
        autoscaling.register_scalable_target(
            **scalable, SuspendedState=suspended | {"DynamicScalingOutSuspended": True}
        )
        try:
            for task in tasks:
                task.exec_run(["python3", "-c", BUSY], detach=True)
            wait_until(lambda: "CPU at its limit" in causes(clone), "the tasks' CPU is named")
        finally:
            for task in tasks:
                task.exec_run(["python3", "-c", CALM])
            autoscaling.register_scalable_target(**scalable, SuspendedState=suspended)


#: The alarms of a service without a healthy task, and those of one without any task under load.
UNHEALTHY = {"no-healthy-targets", "unhealthy-targets"}
NO_TASKS = {"tasks-missing", "error-rate", "errors-5xx"}


def test_an_outage_sets_off_its_alarms_until_it_ends(clone: Clone) -> None:
    """The tasks hang, then they die. They are not replaced meanwhile: their secret is to be deleted."""
    definition = clone.aws("ecs").describe_task_definition(taskDefinition=service(clone)["taskDefinition"])
    references = definition["taskDefinition"]["containerDefinitions"][0]["secrets"]
    (secret,) = {":".join(item["valueFrom"].split(":")[:7]) for item in references}
    secrets = clone.aws("secretsmanager")
    docker = docker_client()
    labels = [f"fargate.local={INSTANCE}", "ministack=ecs"]

    def on(alarms: set[str]) -> bool:
        states = alarm_states(clone)
        return all(states[name] == "ALARM" for name in alarms)

    with minutes_of(1):
        tasks = docker.containers.list(filters={"label": labels})
        assert tasks
        secrets.delete_secret(SecretId=secret, RecoveryWindowInDays=7)
        try:
            for task in tasks:
                task.pause()
            wait_until(lambda: on(UNHEALTHY), "unhealthy targets are told", seconds=240)
            for task in tasks:
                task.unpause()
                task.kill()
            with load(per_second=100, may_lose=True):
                wait_until(lambda: on(NO_TASKS), "missing tasks are told", seconds=240)
        finally:
            secrets.restore_secret(SecretId=secret)
        # ECS pauses ever longer between attempts to start a task; a new deployment starts them at once.
        clone.aws("ecs").update_service(cluster=PREFIX, service=PREFIX, forceNewDeployment=True)
        wait_until(
            lambda: all(alarm_states(clone)[name] == "OK" for name in UNHEALTHY | NO_TASKS), "it ends", seconds=240
        )
    wait_until(lambda: [item["rolloutState"] for item in service(clone)["deployments"]] == ["COMPLETED"], "it serves")


#: A release with a pool that is far too large. Each new account named "fill" makes the pools open every connection that
#: the server has left and then leave them idle, as after a peak.
GREEDY = """

def _greedy(database: Database) -> None:
    filled = 0
    while True:
        with contextlib.suppress(SQLAlchemyError):
            with database.engine.connect() as connection:
                asked = connection.scalar(text("SELECT count(*) FROM accounts WHERE name = 'fill'"))
            if asked > filled:
                filled, held = asked, []
                try:
                    while True:
                        held.append(database.engine.connect())
                except SQLAlchemyError:
                    for connection in held:
                        connection.close()
        time.sleep(0.5)


def _with_a_large_pool(self: Database, settings: DatabaseSettings, *engine: Engine | None, **options: bool) -> None:
    _modest(self, settings.model_copy(update={"database_pool_size": 300}), *engine, **options)
    threading.Thread(target=_greedy, args=(self,), daemon=True).start()


import contextlib
import threading
import time

from sqlalchemy.exc import SQLAlchemyError

_modest, Database.__init__ = Database.__init__, _with_a_large_pool
"""
#: There are 205 connections before, or fewer: a task that stopped meanwhile has closed its own.
ENDED = r"ended [1-9]\d* sessions: [1-9]\d+ connections before"
#: Of 205. A pool stops when it is refused; at that moment a query or another attempt may hold a connection.
FULL = 203


def count(clone: Clone, sessions: str) -> int:
    """Return the number of sessions; 0 while connection attempts hold the reserved connections too."""
    try:
        return int(query(clone, sessions)[0][0])
    except psycopg2.OperationalError:
        return 0


def fill(clone: Clone) -> None:
    """Make idle pools hold every connection."""
    assert clone.request("/v1/accounts", {"name": "fill", "currency": "KRW"})[0] == 201
    wait_until(lambda: count(clone, APPLICATIONS) >= FULL, "every connection is taken")
    wait_until(lambda: count(clone, IDLE) > FULL / 2, "they are idle")


def test_idle_pools_that_hold_every_connection_leave_every_exit_open(clone: Clone) -> None:
    good = clone.version()
    drain_for(clone, 1)
    clone.commit("src/fargate_app/database.py", GREEDY)
    try:
        clone.make("release")
        fill(clone)
        with load(slow=2):
            ended = clone.make("incident-db", end_idle=True)
        assert ended.recap()["changed"] == 1
        assert re.search(r"ENDED [1-9]\d* sessions: \d+ connections before, 1[0-6]\d after", ended.output)

        fill(clone)
        drain_for(clone, 4)  # longer than the slow requests, which the load balancer would cut off otherwise
        with load(slow=2):
            rollback = clone.make("rollback")
        assert re.search(ENDED, rollback.output)
        assert clone.request("/version")[1]["git_hash"] == good

        clone.make("release", ecs_release_allow_rolled_back=True)
        fill(clone)
    finally:
        clone.git("reset", "--quiet", "--hard", "HEAD~1")
    with load(slow=2):
        fix = clone.make("release")
    assert re.search(ENDED, fix.output)
    assert clone.request("/version")[1]["git_hash"] == good


def test_a_wrong_password_a_new_log_group_and_a_deleted_secret_are_told_and_mended(clone: Clone) -> None:
    ecs, logs, secrets = (clone.aws(name) for name in ("ecs", "logs", "secretsmanager"))
    definition = ecs.describe_task_definition(taskDefinition=service(clone)["taskDefinition"])["taskDefinition"]
    (container,) = definition["containerDefinitions"]
    (secret,) = {":".join(item["valueFrom"].split(":")[:7]) for item in container["secrets"]}
    known = json.loads(secrets.get_secret_value(SecretId=secret)["SecretString"])
    value = json.dumps(known | {"password": "put-by-hand-and-unknown"})
    secrets.put_secret_value(SecretId=secret, SecretString=value)
    failed = clone.make("verify", expect=2)
    assert "password authentication failed for user" in failed.output
    assert "make rotate-secret ENV=local" in failed.output

    group = container["logConfiguration"]["options"]["awslogs-group"]
    logs.delete_log_group(logGroupName=group)
    repaired = clone.make("deploy")
    print(f"deploy, which repaired both: {repaired.seconds():.0f} s")
    assert repaired.seconds() < 240
    streams = {
        item["logStreamName"].rsplit("/")[-1] for item in logs.describe_log_streams(logGroupName=group)["logStreams"]
    }
    running = ecs.list_tasks(cluster=PREFIX, serviceName=PREFIX)["taskArns"]
    assert running
    assert {arn.rsplit("/")[-1] for arn in running} <= streams
    assert logs.filter_log_events(logGroupName=group, limit=1)["events"]
    assert "its credentials log in" in clone.make("verify").output
    assert clone.make("release").recap()["changed"] == 0

    secrets.delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
    failed = clone.make("verify", expect=2)
    assert "does not exist, or has no such value" in failed.output
    assert "make infra ENV=local" in failed.output
    repaired = clone.make("deploy")
    print(f"deploy, which created the secret again: {repaired.seconds():.0f} s")
    assert "its credentials log in" in clone.make("verify").output


#: CREATE INDEX CONCURRENTLY waits for every transaction that may still use the table without the index.
CONCURRENTLY = '''"""An index on the accounts' names."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY accounts_name_idx ON accounts (name)")
'''


def test_a_migration_that_waits_for_a_transaction_names_it_and_what_to_remove(clone: Clone) -> None:
    served = clone.request("/version")[1]["git_hash"]
    clone.commit("app/api/settlement/migrations/versions/0002_accounts_name.py", CONCURRENTLY)
    with closing(connect(clone)) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE accounts IN ROW EXCLUSIVE MODE")
        failed = clone.make("release", expect=2)
        assert f"session {connection.info.backend_pid}" in failed.output
        following = clone.outcome()["next"]
        cause, *others = causes(clone)  # the others are also of the tests before
        assert (cause, "bad release" in others) == ("lock wait", True)
    assert clone.request("/version")[1]["git_hash"] == served
    assert "CREATE INDEX CONCURRENTLY accounts_name_idx" in failed.output
    (command,) = re.findall(r"make run ENV=local FAMILY=admin CMD='([^']+)'", following)
    clone.make("run", "FAMILY=admin", f"CMD={command}")
    clone.make("release")
    assert clone.request("/version")[1]["git_hash"] == clone.version()
    assert query(clone, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'accounts_name_idx'::regclass") == [(True,)]


def test_a_rotation_loses_no_request_and_changes_nothing_twice(clone: Clone) -> None:
    drill = clone.make("drill", "DRILL=rotation")
    print(*re.findall(r"^  passed .*", drill.output, re.MULTILINE), sep="\n")
    assert "VERDICT rotation: every check passed" in drill.output
    assert "passed  neither write loses a request: 0 of" in drill.output

    again = clone.make("rotate-secret")
    assert again.recap()["changed"] == 0
    assert "the password in use is 0 days old, younger than 1: nothing was rotated" in again.output
    before = containers(), service(clone)["deployments"]
    check = clone.make("rotate-secret", "CHECK=1", rotate_older_than_days=0)
    assert "the password in use is 0 days old, and would be rotated" in check.output
    assert (containers(), service(clone)["deployments"]) == before
    # A routine release keeps using the user that is in use.
    assert clone.make("release").recap()["changed"] == 0
