"""CloudWatch evaluates alarms every minute, over exactly the metrics that they name.

What AWS does: see ``alarm_evaluator`` and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html. A state that SetAlarmState set
lasts until the next evaluation
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_SetAlarmState.html).
Without this patch: the emulator evaluates at PutMetricData and PutMetricAlarm only. It ignores dimensions, metric math,
missing data and M of N, and takes all data points of the evaluation range as one.

The state of composite alarms is the emulator's, which follows each change of another alarm's state. An alarm with
metric math that is not known here keeps its state, which the log says once.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from local_cloud.cloudwatch.alarm_evaluator import Alarm, Evaluation
from local_cloud.cloudwatch.metric_math import Reading
from local_cloud.core import emulator, metrics
from local_cloud.core.metric_statistics import series
from local_cloud.core.patching import install, replaces
from local_cloud.core.runtime import Cloud

logger = logging.getLogger(__name__)

_LATE = 1 / 6
"""Share of a minute: the metrics of a minute are complete a little after its end."""


def apply(cloud: Cloud) -> None:
    states = AlarmStates(cloud)
    install(states)
    cloud.each_minute(states.evaluate_alarms, after=_LATE)


class AlarmStates:
    """Keeps the state of every metric alarm."""

    def __init__(self, cloud: Cloud) -> None:
        self._pace = cloud.pace
        self._unknown: set[str] = set()

    @replaces("cloudwatch", "_evaluate_alarm")
    @replaces("cloudwatch", "_evaluate_all_alarms")
    def wait_for_the_next_minute(self, *_: Any) -> None:
        """Do nothing: every minute all alarms are evaluated."""

    @replaces("cloudwatch", "_evict_old_metrics")
    def keep_metrics(self) -> None:
        """Do nothing at a request: a copy of all metrics would lose what other threads report meanwhile."""

    def evaluate_alarms(self) -> None:
        """Evaluate the alarms of every account and region at the end of the last minute."""
        cloudwatch, responses = emulator.service("cloudwatch"), emulator.core("responses")
        minute = self._pace.seconds(60)
        end = time.time() // minute * minute
        for (account, region, name), record in cloudwatch._alarms.all_items():
            with responses.request_scope(account, region):
                try:
                    self._evaluate(record, end)
                except NotImplementedError as error:
                    if name not in self._unknown:
                        logger.warning("the alarm %s is not evaluated: %s", name, error)
                    self._unknown.add(name)
                except Exception:
                    logger.exception("the alarm %s could not be evaluated", name)

    def _evaluate(self, record: dict[str, Any], end: float) -> None:
        alarm = Alarm.from_api(record)
        period = self._pace.seconds(alarm.period)
        start = end - period * (alarm.periods + Reading().extra)
        found = {
            query: series(metric.statistic, metrics.samples(metric.id, start), period=period, end=end)
            for query, metric in alarm.metrics.items()
        }
        before = record["StateValue"]
        evaluation = alarm.evaluate(found, before)
        if evaluation.state != before:
            _change(record, evaluation, alarm.reason(evaluation, before, end, period))


def _change(record: dict[str, Any], evaluation: Evaluation, reason: str) -> None:
    cloudwatch = emulator.service("cloudwatch")
    before = record["StateValue"]
    record["StateValue"], record["StateReason"] = evaluation.state, reason
    record["StateUpdatedTimestamp"] = int(time.time())
    logger.info("alarm %s: %s, was %s: %s", record["AlarmName"], evaluation.state, before, reason)
    cloudwatch._record_history(record["AlarmName"], before, evaluation.state, reason)
    cloudwatch._dispatch_alarm_actions(record, before, evaluation.state, reason)
    cloudwatch._evaluate_parent_alarms(record)
