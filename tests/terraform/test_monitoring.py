"""Alarms, dashboard and their page, as Terraform renders them.

Each alarm is replayed over data points (`replay`) and must be in the state that was promised. Then the test is
tested: each number, setting and term of the rendered alarm is changed by one step, and a promise must break.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from local_cloud.cloudwatch.alarm_evaluator import ALARM, COMPARISONS, OK, Alarm, Metric
from local_cloud.core.metric_statistics import Sample
from tests.terraform.inventories import given
from tests.terraform.policies import Call, allows
from tests.terraform.rendered import Rendered, render
from tests.terraform.replay import MINUTE, READINGS, Samples, rendered_alarm, replay

REPOSITORY = Path(__file__).parents[2]
NAME = "settlement-test"
GIB, MIB = 1024**3, 1024**2
#: A whole number of every period, long after the first data point.
END = 3 * 60 * MINUTE

#: What happened in one minute: values of metrics by name. None: nothing was reported.
Happening = Mapping[str, float] | None
#: A period of minutes that are all the same: a metric's samples in each.
Period = Mapping[str, tuple[float, ...]] | None


@dataclass(frozen=True)
class Promise:
    """What an alarm is for. ``hot`` is a period that is just enough for it, ``calm`` one that is just not.

    ``gone`` is its state when the data stops while it is in ALARM.
    """

    alarm: str
    urgency: str
    hot: Happening
    calm: Happening
    datapoints: int
    periods: int
    gone: str
    period: int = MINUTE
    #: Whether it happens in the first minute of a period only, and not in each.
    is_rare: bool = False


def answers(ok: int, **counts: int) -> Mapping[str, float]:
    """A minute of the load balancer: requests answered with 2xx, and others. A count of 0 is not reported."""
    names = {
        "e404": "HTTPCode_Target_4XX_Count",
        "e500": "HTTPCode_Target_5XX_Count",
        "e302": "HTTPCode_Target_3XX_Count",
    }
    names |= {"elb400": "HTTPCode_ELB_4XX_Count", "elb503": "HTTPCode_ELB_5XX_Count"}
    happened = {"HTTPCode_Target_2XX_Count": ok} | {names[name]: count for name, count in counts.items()}
    return {name: float(count) for name, count in happened.items() if count}


def tasks(desired: int, running: int) -> Mapping[str, float]:
    return {"DesiredTaskCount": desired, "RunningTaskCount": running}


PROMISES = [
    Promise("error-rate", "urgent", answers(95, e404=5), answers(96, e404=4), 3, 5, OK),
    Promise("errors-5xx", "urgent", answers(495, e500=5), answers(496, e500=4), 2, 3, OK),
    Promise("no-healthy-targets", "urgent", {"HealthyHostCount": 0}, {"HealthyHostCount": 1}, 2, 2, OK),
    # On average of the load balancer's nodes and of the minute.
    Promise("unhealthy-targets", "warning", {"UnHealthyHostCount": 0.5}, {"UnHealthyHostCount": 0.49}, 3, 3, OK),
    Promise("tasks-missing", "urgent", tasks(3, 2), tasks(3, 3), 10, 10, ALARM),
    # 80.0 % and 79.9 % of 1000.
    Promise(
        "database-connections",
        "urgent",
        {"DatabaseConnections": 800},
        {"DatabaseConnections": 799},
        3,
        5,
        ALARM,
    ),
    Promise("database-cpu", "warning", {"CPUUtilization": 80}, {"CPUUtilization": 79.9}, 3, 3, ALARM, 5 * MINUTE),
    Promise(
        "database-storage",
        "urgent",
        {"FreeStorageSpace": 2 * GIB},
        {"FreeStorageSpace": 2 * GIB + 1},
        3,
        3,
        ALARM,
        5 * MINUTE,
    ),
    Promise(
        "database-memory",
        "warning",
        {"FreeableMemory": 128 * MIB},
        {"FreeableMemory": 128 * MIB + 1},
        3,
        3,
        ALARM,
        5 * MINUTE,
    ),
    Promise(
        "undelivered",
        "warning",
        {"ApproximateNumberOfMessagesVisible": 1},
        {"ApproximateNumberOfMessagesVisible": 0},
        1,
        1,
        OK,
    ),
]
# The bots have the same one.
PROMISES += [
    Promise(f"{bot}-errors", "warning", {"Errors": 1}, {"Errors": 0}, 1, 1, OK, 5 * MINUTE, is_rare=True)
    for bot in ("alarm-bot", "query-bot", "rotation-bot")
]
BY_NAME = {promise.alarm: promise for promise in PROMISES}

#: Where a minute is not the same throughout: its samples, and the state after many of them.
SAMPLES: dict[str, list[tuple[Mapping[str, tuple[float, ...]], str]]] = {
    "no-healthy-targets": [({"HealthyHostCount": (0, 1, 0)}, OK)],
    # One of three nodes, and one of two, that sees nothing; a task that starts.
    "unhealthy-targets": [
        ({"UnHealthyHostCount": (1, 0, 1)}, ALARM),
        ({"UnHealthyHostCount": (0, 1)}, ALARM),
        ({"UnHealthyHostCount": (1, 0, 0)}, OK),
    ],
    "tasks-missing": [({"DesiredTaskCount": (2, 6, 6), "RunningTaskCount": (2, 0, 0)}, OK)],
    "database-connections": [({"DatabaseConnections": (700, 800)}, ALARM)],
    "database-cpu": [({"CPUUtilization": (70, 89)}, OK), ({"CPUUtilization": (70, 91)}, ALARM)],
    "database-storage": [({"FreeStorageSpace": (2 * GIB, 9 * GIB)}, ALARM)],
    "database-memory": [
        ({"FreeableMemory": (100 * MIB, 200 * MIB)}, OK),
        ({"FreeableMemory": (50 * MIB, 200 * MIB)}, ALARM),
    ],
    "undelivered": [({"ApproximateNumberOfMessagesVisible": (0, 1)}, ALARM)],
    # Once in five minutes, in one of two invocations of a minute.
    "alarm-bot-errors": [({"Errors": (0.0, 0.0, 1.0)}, ALARM)],
    "query-bot-errors": [({"Errors": (0.0, 0.0, 1.0)}, ALARM)],
    "rotation-bot-errors": [({"Errors": (0.0, 0.0, 1.0)}, ALARM)],
    "error-rate": [({"HTTPCode_Target_2XX_Count": (1.0,) * 95, "HTTPCode_Target_4XX_Count": (1.0,) * 5}, ALARM)],
    "errors-5xx": [({"HTTPCode_Target_2XX_Count": (1.0,) * 495, "HTTPCode_Target_5XX_Count": (1.0,) * 5}, ALARM)],
}

#: Where AWS reports each metric: the dimensions of its namespace, and of single metrics in it.
BALANCER = {"LoadBalancer": "app/mock/0123456789abcdef"}
DIMENSIONS: dict[str, Mapping[str, str]] = {
    "AWS/ApplicationELB": BALANCER,
    "ECS/ContainerInsights": {"ClusterName": NAME, "ServiceName": NAME},
    "AWS/RDS": {"DBInstanceIdentifier": NAME},
    "AWS/SQS": {"QueueName": f"{NAME}-undelivered"},
}

#: Metrics of a target group, and the groups: the tasks are in one of them.
OF_A_GROUP = ("HealthyHostCount", "UnHealthyHostCount")
GROUPS = ("targetgroup/mock/0123456789abcdef", "targetgroup/alt/0123456789abcdef")

#: Requests of every minute, and the state of `error-rate` and of `errors-5xx` (requirement F4).
TRAFFIC: list[tuple[str, Happening, str, str]] = [
    ("5 of 100", answers(95, e404=5), ALARM, OK),
    ("4 of 100", answers(96, e404=4), OK, OK),
    ("49 of 1000", answers(951, e404=49), OK, OK),
    ("1 of 1", answers(0, e500=1), OK, OK),
    ("no traffic", None, OK, OK),
    ("a total outage: only the load balancer's 503", answers(0, elb503=100), ALARM, ALARM),
    ("a total outage with little traffic", answers(0, elb503=20), ALARM, ALARM),
    ("at night: 4 of 19", answers(15, e500=4), OK, OK),
    ("enough to count: 4 of 20", answers(16, e500=4), ALARM, OK),
    ("5xx: 5 of 500", answers(495, e500=5), OK, ALARM),
    ("5xx: 5 of 501", answers(496, e500=5), OK, OK),
    ("5xx: 4 of 10", answers(6, e500=4), OK, OK),
    ("5xx of the load balancer and the service: 3 + 2 of 500", answers(495, e500=3, elb503=2), OK, ALARM),
    ("all kinds of errors: 5 of 100", answers(90, e302=5, e404=2, e500=1, elb400=1, elb503=1), ALARM, OK),
    ("redirects are requests: 5 of 101", answers(90, e302=6, e404=5), OK, OK),
    ("5xx, redirects are requests: 5 of 501", answers(490, e302=6, e500=5), OK, OK),
    ("5xx, refused ones are requests: 5 of 501", answers(490, e404=3, elb400=3, e500=5), OK, OK),
    ("one kind of errors: 4 of 100", answers(96, e500=4), OK, OK),
    ("only redirects and errors: 5 of 100", answers(0, e302=95, e404=5), ALARM, OK),
    ("5xx, only redirects and errors: 5 of 500", answers(0, e302=495, e500=5), OK, ALARM),
    ("5xx, only the load balancer's: 5 of 500", answers(495, elb503=5), OK, ALARM),
    ("5xx, only the load balancer's: 4 of 400", answers(396, elb503=4), OK, OK),
    ("only refused by the load balancer", answers(0, elb400=20), ALARM, OK),
]

#: Tasks of every minute for an hour, at 2 the least, and the state of `tasks-missing`.
TASKS: list[tuple[str, Happening, str]] = [
    ("before the first release", tasks(0, 0), OK),
    ("as wanted", tasks(2, 2), OK),
    ("scaled out by the schedule, and there", tasks(6, 6), OK),
    ("scaled out by the schedule, and not there", tasks(6, 5), ALARM),
    ("none runs", tasks(2, 0), ALARM),
    ("asked to have fewer than the least", tasks(1, 1), ALARM),
    ("a rolling update runs more", tasks(2, 4), OK),
    ("asked to have fewer, and the least runs", tasks(1, 2), OK),
]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """An environment whose database has 1000 connections, so that one is 0.1 %."""
    settings = given(
        "environment",
        "staging",
        env_name="test",
        aws_account_id="123456789012",
        database_max_connections=1000,
        database_free_memory_minimum_mb=128,
        deployment_alarms=["errors-5xx"],
    )
    # Any file: only its hash is read.
    return render(tmp_path_factory.mktemp("rendered"), **settings, bots_package_path="provider.tf")


@pytest.fixture(scope="module")
def values(rendered: Rendered) -> dict[str, Mapping[str, Any]]:
    """Attributes of the alarms by key, those for the test page and the gates aside."""
    found = {
        v["alarm_name"].removeprefix(f"{NAME}-"): v for v in rendered.of_type("aws_cloudwatch_metric_alarm").values()
    }
    return {key: value for key, value in found.items() if not key.startswith(("test-page", "gate-"))}


@pytest.fixture(scope="module")
def alarms(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Alarm]:
    return {key: rendered_alarm(value) for key, value in values.items()}


def test_each_alarm_has_promises(alarms: Mapping[str, Alarm]) -> None:
    assert set(alarms) == set(BY_NAME)


def samples_of(alarm: Alarm, history: Sequence[Period], promise: Promise, group: str) -> Samples:
    """What the alarm's metrics have of `history`, whose last item is the newest period."""
    samples: dict[Any, list[Sample]] = {}
    begin = END - len(history) * promise.period
    for query in alarm.metrics.values():
        # Reported every minute, as AWS does, unless there is nothing to report.
        namespace, name, _ = query.id
        bot = {"FunctionName": f"{NAME}-{promise.alarm.removesuffix('-errors')}"}
        dimensions = {**DIMENSIONS.get(namespace, bot), **({"TargetGroup": group} if name in OF_A_GROUP else {})}
        samples[namespace, name, frozenset(dimensions.items())] = [
            Sample.of(minute, value)
            for minute in range(begin, END, promise.period if promise.is_rare else MINUTE)
            for value in (history[(minute - begin) // promise.period] or {}).get(name, ())
        ]
    return samples


def once(happened: Happening) -> Period:
    """Each minute's value; a count as its two parts, which the statistic must add up."""
    if happened is None:
        return None
    return {name: (value - 1, 1.0) if name.startswith("HTTPCode") else (value,) for name, value in happened.items()}


def broken(alarm: Alarm) -> Iterator[str]:
    """The promises that the alarm breaks."""
    promise = BY_NAME[alarm.name.removeprefix(f"{NAME}-")]
    m, n, hot, calm = promise.datapoints, promise.periods, once(promise.hot), once(promise.calm)
    before = [calm] * (n + 3)
    silence: list[Period] = [None] * (n + 3)
    histories: list[tuple[str, list[Period], str]] = [
        ("calm", before, OK),
        ("hot", [hot] * (n + 3), ALARM),
        ("M of N, spread", [*before, hot, *[calm] * (n - m), *[hot] * (m - 1)], ALARM),
        ("M of N, but one is too long ago", [*before, hot, *[calm] * (n - m + 1), *[hot] * (m - 1)], OK),
        ("fewer than M of N", [*before, *[hot] * (m - 1)], OK),
        ("over again", [*[hot] * n, *[calm] * n], OK),
        ("silence after ALARM", [*[hot] * (n + 3), *silence], promise.gone),
        ("silence after OK", [*before, *silence], OK),
    ]
    histories += [("samples that differ", [samples] * (n + 3), state) for samples, state in SAMPLES[promise.alarm]]
    if promise.alarm in ("error-rate", "errors-5xx"):
        column = 2 if promise.alarm == "error-rate" else 3
        histories += [(case[0], [once(case[1])] * 10, str(case[column])) for case in TRAFFIC]
    if promise.alarm == "tasks-missing":
        histories += [(name, [once(happened)] * 15, state) for name, happened, state in TASKS]
    cases = [
        (name, END - len(history) * promise.period, samples_of(alarm, history, promise, group), state)
        for group in (GROUPS if any(query.id[1] in OF_A_GROUP for query in alarm.metrics.values()) else GROUPS[:1])
        for name, history, state in histories
    ]
    # Most changes show under any reading: one is enough for who asks for the first broken promise.
    for reading in READINGS:
        for name, begin, samples, state in cases:
            seen = replay(alarm, samples, reading, begin, END)
            if seen != state:
                yield f"{promise.alarm}, {name}: {state} was promised, it is {seen} ({reading})"


@pytest.mark.parametrize("key", BY_NAME)
def test_keeps_its_promises(key: str, alarms: Mapping[str, Alarm]) -> None:
    assert list(broken(alarms[key])) == []


#: Changes that no data point can tell from the alarm as it is.
NO_DIFFERENCE = {
    "rate: IF(requests >= 20, 100 * errors / requests, 1)",  # below the threshold, as 0 is
    "shortfall: IF(desired > 0, IF(desired >= 3, desired, 2) - running, 0)",  # of two that are equal, either
    "shortfall: IF(desired > 0, IF(desired > 2, desired, 2) - running, 0)",
}


def mutants(alarm: Alarm) -> Iterator[tuple[str, Alarm]]:
    """The alarm with one thing changed by one step, each of which CloudWatch would take."""
    step = 1.0 if alarm.threshold < 1000 else alarm.threshold / 1000
    for sign in (-1, 1):
        yield f"threshold {alarm.threshold + sign * step}", replace(alarm, threshold=alarm.threshold + sign * step)
    for comparison in set(COMPARISONS) - {alarm.comparison}:
        yield comparison, replace(alarm, comparison=comparison)
    for datapoints in (alarm.datapoints - 1, alarm.datapoints + 1):
        if 1 <= datapoints <= alarm.periods:
            yield f"{datapoints} of {alarm.periods}", replace(alarm, datapoints=datapoints)
    for periods in (alarm.periods - 1, alarm.periods + 1):
        if periods >= alarm.datapoints:
            yield f"{alarm.datapoints} of {periods}", replace(alarm, periods=periods)
    for period in {60, 300, 600} - {alarm.period}:
        yield f"period {period}", replace(alarm, period=period)
    for missing in {"missing", "ignore", "breaching", "notBreaching"} - {alarm.missing}:
        yield missing, replace(alarm, missing=missing)
    for name, query in alarm.queries.items():
        for changed in _changed(query):
            yield f"{name}: {changed}", replace(alarm, queries={**alarm.queries, name: changed})


def _changed(query: Metric | str) -> Iterator[Metric | str]:
    if isinstance(query, Metric):
        for statistic in {"Sum": ["Average"], "Average": ["Maximum", "Minimum"]}.get(query.statistic, ["Average"]):
            yield replace(query, statistic=statistic)
        namespace, name, dimensions = query.id
        yield replace(query, id=(namespace, "Other", dimensions))
        yield replace(query, id=(namespace, name, dimensions | {("Other", "dimension")}))
        return
    for number in re.finditer(r"(?<![\w.])\d+(?![\w.])", query):
        steps = [-1, 1] if int(number[0]) else [1]
        for step in steps:
            yield f"{query[: number.start()]}{int(number[0]) + step}{query[number.end() :]}"
    for before, after in ((">=", ">"), (">", ">="), (">=", "<"), (" - ", " + "), (" / ", " * ")):
        for place in re.finditer(rf"(?<![<>=]){re.escape(before)}(?!=)", query):
            yield query[: place.start()] + after + query[place.end() :]
    for term in re.finditer(r"FILL\(\w+, 0\)(?:, )?", query):
        rest = query[: term.start()] + query[term.end() :]
        if "[" in query:
            yield rest.replace(", ]", "]")


@pytest.mark.parametrize("key", BY_NAME)
def test_a_step_away_breaks_a_promise(key: str, alarms: Mapping[str, Alarm]) -> None:
    unseen = [
        change for change, mutant in mutants(alarms[key]) if change not in NO_DIFFERENCE and not any(broken(mutant))
    ]
    assert not unseen, "\n".join(unseen)


def test_one_number_gives_parameter_group_budget_and_alarm(rendered: Rendered, alarms: Mapping[str, Alarm]) -> None:
    """Requirement F2: `database_max_connections`; its budget is in `environment.tftest.hcl`."""
    (group,) = rendered.of_type("aws_db_parameter_group").values()
    (allowed,) = (item["value"] for item in group["parameter"] if item["name"] == "max_connections")
    assert int(allowed) == rendered.outputs["database"]["max_connections"] == 1000
    assert alarms["database-connections"].threshold == 0.8 * int(allowed)
    assert rendered.outputs["deployment_alarm_names"] == [f"{NAME}-errors-5xx"]


def test_urgency_chooses_the_topic_and_the_all_clear_goes_there_too(rendered: Rendered) -> None:
    topics = {topic["name"]: topic["arn"] for topic in rendered.of_type("aws_sns_topic").values()}
    assert len(set(topics.values())) == len(topics)
    for value in rendered.of_type("aws_cloudwatch_metric_alarm").values():
        key = value["alarm_name"].removeprefix(f"{NAME}-")
        if key.startswith("gate-"):
            assert not value["alarm_actions"], "a gate undoes a release, which says so"
            continue
        urgency = BY_NAME[key].urgency if key in BY_NAME else key.removeprefix("test-page-")
        assert value["alarm_actions"] == value["ok_actions"] == [topics[f"{NAME}-{urgency}"]]
        assert value["actions_enabled"] is not False


def test_descriptions_keep_the_contract_that_alarm_bot_reads(rendered: Rendered) -> None:
    pages = "\n".join((REPOSITORY / f"docs/{name}.md").read_text() for name in ("monitoring", "releases"))
    anchors = {anchor.lower() for anchor in re.findall(r"^#+ (\S+)$", pages, re.MULTILINE)}
    verbs = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    verbs |= set(
        re.findall(r"^([a-z- ]+): \$\(VENV_READY\)", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)[0].split()
    )
    for value in rendered.of_type("aws_cloudwatch_metric_alarm").values():
        meaning, runbook, command = value["alarm_description"].splitlines()
        assert re.fullmatch(r"[A-Z][^\n]+\.", meaning)
        where = re.fullmatch(r"Runbook: (docs/[\w/-]+\.md)(?:#([\w-]+))?", runbook)
        assert where
        assert (REPOSITORY / where[1]).is_file()
        assert where[2] in anchors or where[2] is None
        what = re.fullmatch(r"Next: make ([a-z-]+) ENV=test", command)
        assert what
        assert what[1] in verbs
        assert len(value["alarm_description"]) <= 1024


@pytest.mark.parametrize("group", ["api", "alt"])
def test_a_gate_sees_only_its_own_target_group(group: str, rendered: Rendered) -> None:
    """A tenth of the requests, a fifth of them failed: two percent of the service's."""
    found = {
        v["alarm_name"].removeprefix(f"{NAME}-"): v for v in rendered.of_type("aws_cloudwatch_metric_alarm").values()
    }
    errors, p99 = (rendered_alarm(found[f"gate-{group}-{kind}"]) for kind in ("5xx", "p99"))
    own = {"api": GROUPS[0], "alt": GROUPS[1]}[group]
    (other,) = {*GROUPS} - {own}
    for target, state in ((own, ALARM), (other, OK)):
        samples = {
            ("AWS/ApplicationELB", name, frozenset({**BALANCER, "TargetGroup": target}.items())): [
                Sample.of(minute, value) for minute in range(END - 5 * MINUTE, END, MINUTE)
            ]
            for name, value in (
                ("HTTPCode_Target_2XX_Count", 96.0),
                ("HTTPCode_Target_5XX_Count", 24.0),
                ("TargetResponseTime", 3.0),
            )
        }
        for alarm in (errors, p99):
            for reading in READINGS:
                assert replay(alarm, samples, reading, END - 5 * MINUTE, END) == state, (alarm.name, target)


def test_each_alarm_is_explained(alarms: Mapping[str, Alarm]) -> None:
    page = (REPOSITORY / "docs/monitoring.md").read_text()
    explained = {"bot-errors" if key.endswith("-bot-errors") else key for key in alarms} | {"deployment-failed"}
    for key in explained:
        assert f"| [{key}](#{key}) |" in page
        (section,) = re.findall(rf"^### {key}\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
        assert "**Means**" in section
        assert "**Do**" in section
    assert len(re.findall(r"^### ", page, re.MULTILINE)) == len(explained), "a section of an alarm that is gone"


def test_dashboard_is_what_cloudwatch_takes(rendered: Rendered) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html"""
    (dashboard,) = rendered.of_type("aws_cloudwatch_dashboard").values()
    body = json.loads(dashboard["dashboard_body"])
    assert set(body) == {"start", "periodOverride", "widgets"}
    assert re.fullmatch(r"-PT\d+H", body["start"])
    assert body["periodOverride"] in ("auto", "inherit")
    taken: set[tuple[int, int]] = set()
    for widget in body["widgets"]:
        assert set(widget) == {"type", "x", "y", "width", "height", "properties"}
        assert 0 <= widget["x"] <= widget["x"] + widget["width"] <= 24
        cells = {
            (widget["x"] + column, widget["y"] + row)
            for column in range(widget["width"])
            for row in range(widget["height"])
        }
        assert not cells & taken, f"overlaps: {widget['properties']['title']}"
        taken |= cells
        {"alarm": _alarm_widget, "metric": _metric_widget, "log": _log_widget}[widget["type"]](widget["properties"])
    assert len(taken) == 24 * len({row for _, row in taken}), "a gap"
    shown = " ".join(widget["properties"]["title"].lower() for widget in body["widgets"])
    for subject in ("traffic", "errors", "latency", "tasks", "cpu", "connections", "slow queries", "deployments"):
        assert subject in shown


def _alarm_widget(properties: Mapping[str, Any]) -> None:
    assert set(properties) == {"title", "alarms"}
    assert 1 <= len(properties["alarms"]) <= 100


def _metric_widget(properties: Mapping[str, Any]) -> None:
    assert set(properties) <= {"title", "region", "view", "period", "stacked", "metrics", "yAxis", "annotations"}
    assert properties["region"] == "ap-northeast-2"
    assert properties["view"] == "timeSeries"
    ids: list[str] = []
    expressions: list[str] = []
    for metric in properties["metrics"]:
        options = metric[-1]
        assert isinstance(options, dict)
        assert set(options) <= {"id", "expression", "label", "stat", "visible", "yAxis", "color"}
        assert options.get("yAxis", "left") in ("left", "right")
        assert re.fullmatch(r"#[0-9a-f]{6}", options.get("color", "#000000"))
        if "id" in options:
            assert re.fullmatch(r"[a-z]\w*", options["id"])
            ids.append(options["id"])
        if "expression" in options:
            assert len(metric) == 1
            expressions.append(options["expression"])
        else:
            # Namespace, name, and pairs of dimensions.
            assert len(metric) % 2 == 1
            assert all(isinstance(part, str) and part for part in metric[:-1])
            assert re.fullmatch(r"Sum|Average|Minimum|Maximum|p\d+", options["stat"])
    assert len(ids) == len(set(ids))
    for expression in expressions:
        assert set(re.findall(r"[a-z]\w*", expression)) <= set(ids)
    assert set(properties.get("yAxis", {})) <= {"left", "right"}
    for axis in properties.get("yAxis", {}).values():
        assert set(axis) <= {"label", "min", "max", "showUnits"}
    for line in properties.get("annotations", {}).get("horizontal", []):
        assert set(line) <= {"label", "value", "color"}
        assert isinstance(line["value"], (int, float))


def _log_widget(properties: Mapping[str, Any]) -> None:
    assert set(properties) == {"title", "region", "view", "query"}
    assert properties["view"] in ("table", "timeSeries", "bar", "pie")
    assert re.match(r"SOURCE '/aws/[\w/-]+' \| ", properties["query"])
    # A graph needs bins of time.
    assert ("by bin(" in properties["query"]) == (properties["view"] == "bar")


def test_connections_are_shown_against_what_the_database_accepts(rendered: Rendered) -> None:
    (dashboard,) = rendered.of_type("aws_cloudwatch_dashboard").values()
    widgets = {w["properties"]["title"]: w["properties"] for w in json.loads(dashboard["dashboard_body"])["widgets"]}
    lines = widgets["Database connections"]["annotations"]["horizontal"]
    assert {line["label"]: line["value"] for line in lines} == {
        "max_connections": 1000,
        "Alarm database-connections": 800,
    }


def test_each_kind_of_deployment_is_a_mark_on_the_graphs_and_a_failed_one_pages(rendered: Rendered) -> None:
    rules = {
        rule["name"]: json.loads(rule["event_pattern"])
        for rule in rendered.of_type("aws_cloudwatch_event_rule").values()
    }
    mine = {name: rule for name, rule in rules.items() if name.startswith(f"{NAME}-deployment-")}
    assert {name: rule["detail"]["eventName"] for name, rule in mine.items()} == {
        f"{NAME}-deployment-started": ["SERVICE_DEPLOYMENT_IN_PROGRESS"],
        f"{NAME}-deployment-completed": ["SERVICE_DEPLOYMENT_COMPLETED"],
        f"{NAME}-deployment-failed": ["SERVICE_DEPLOYMENT_FAILED"],
    }
    service = f"arn:aws:ecs:ap-northeast-2:123456789012:service/{NAME}/{NAME}"
    assert all(rule["resources"] == [service] for rule in mine.values())
    topics = {topic["name"]: topic["arn"] for topic in rendered.of_type("aws_sns_topic").values()}
    targets = rendered.of_type("aws_cloudwatch_event_target").values()
    pages = [(target["rule"], target["arn"]) for target in targets if target["target_id"] == "page"]
    assert pages == [(f"{NAME}-deployment-failed", topics[f"{NAME}-urgent"])]
    (dashboard,) = rendered.of_type("aws_cloudwatch_dashboard").values()
    for widget in json.loads(dashboard["dashboard_body"])["widgets"][1:5]:
        marks = [m[3] for m in widget["properties"]["metrics"] if m[:3] == ["AWS/Events", "TriggeredRules", "RuleName"]]
        assert sorted(marks) == sorted(mine)


def test_each_event_may_be_delivered(rendered: Rendered) -> None:
    """EventBridge names its rule with PutLogEvents only: neither CreateLogStream nor SNS gets a source to compare.

    src/local_cloud/account/event_targets.py has the sources.
    """
    rules = {rule["name"]: rule["arn"] for rule in rendered.of_type("aws_cloudwatch_event_rule").values()}
    logs = [
        json.loads(policy["policy_document"])
        for policy in rendered.of_type("aws_cloudwatch_log_resource_policy").values()
    ]
    topics = {
        policy["arn"]: json.loads(policy["policy"]) for policy in rendered.of_type("aws_sns_topic_policy").values()
    }
    kinds = set()
    for target in rendered.of_type("aws_cloudwatch_event_target").values():
        service, arn = target["arn"].split(":")[2], target["arn"]
        source = {"aws:SourceArn": rules[target["rule"]]}
        kinds.add(service)
        if service == "logs":
            stream, events = (f"{arn}:log-stream:{name}" for name in ("", "one"))
            assert allows(logs, Call("logs:CreateLogStream", stream, principal="events.amazonaws.com"))
            assert allows(logs, Call("logs:PutLogEvents", events, source, principal="events.amazonaws.com"))
            assert not allows(logs, Call("logs:PutLogEvents", events, principal="events.amazonaws.com"))
        elif service == "sns":
            assert allows([topics[arn]], Call("sns:Publish", arn, principal="events.amazonaws.com"))
    assert {"logs", "sns"} <= kinds


def test_the_rotation_bot_may_know_that_there_is_no_lock(rendered: Rendered) -> None:
    """Without s3:ListBucket, S3 answers 403 for an object that does not exist."""
    (policy,) = (
        json.loads(value["policy"])
        for address, value in rendered.of_type("aws_iam_role_policy").items()
        if address.startswith("module.rotation_bot")
    )
    (lock,) = (item["Resource"] for item in policy["Statement"] if "s3:GetObject" in item["Action"])
    bucket = lock[0].partition("/")[0]
    assert allows([policy], Call("s3:ListBucket", bucket))
    assert not allows([policy], Call("s3:ListBucket", "arn:aws:s3:::another"))
