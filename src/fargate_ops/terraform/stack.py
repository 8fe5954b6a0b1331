"""The outputs of an environment (terraform/outputs.tf) as one typed object.

Ansible passes them as a plain map, the fact ``terraform_stack_outputs``; an action plugin gets a `Stack`.

A state may lack outputs, because an older version of terraform/ wrote it or its first apply failed midway. A rollback
must still work. So an output is converted when it is read, and a missing one is a problem only then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar, overload

from fargate_ops.core.problem import ProblemError

T = TypeVar("T")
D = TypeVar("D")


@dataclass(frozen=True)
class Values:
    """A JSON object whose keys a subclass declares as `Output`s."""

    values: Mapping[str, Any]

    def __bool__(self) -> bool:
        return bool(self.values)

    def get(self, output: Output[T], otherwise: D) -> T | D:
        """Return an output that may be missing: ``stack.get(Stack.public_url, "")``."""
        found = self.values.get(output.name)
        return otherwise if found is None else output.convert(found)

    def missing(self, name: str) -> Exception:
        """Return the error for a key that is not there."""
        return KeyError(name)


class Output(Generic[T]):
    """One key of a JSON object, and the conversion of its value."""

    def __init__(self, convert: Callable[[Any], T]) -> None:
        self.convert = convert

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Values, owner: type) -> T: ...
    def __get__(self, instance: Values | None, owner: type) -> Self | T:
        if instance is None:
            return self
        if self.name not in instance.values:
            raise instance.missing(self.name)
        return self.convert(instance.values[self.name])


def _each(convert: Callable[[Any], T]) -> Callable[[Any], list[T]]:
    return lambda items: [convert(item) for item in items]


def _by_key(convert: Callable[[Any], T]) -> Callable[[Any], dict[str, T]]:
    return lambda items: {str(key): convert(item) for key, item in items.items()}


class DatabaseInstance(Values):
    """One RDS instance. Its ``host`` is a DNS name; the secret holds its master user's credentials."""

    host = Output(str)
    instance_identifier = Output(str)
    master_secret_arn = Output(str)


class Database(DatabaseInstance):
    """The instance that serves. ``service_host`` is the proxy's name if there is one, at the same port."""

    service_host = Output(str)
    port = Output(int)
    name = Output(str)
    max_connections = Output(int)


class ScheduledAction(Values):
    """Limits of the number of tasks that apply from each time of the cron expression ``schedule``."""

    name = Output(str)
    schedule = Output(str)
    min_capacity = Output(int)
    max_capacity = Output(int)


class ServiceScaling(Values):
    """The service's scalable target, its limits in tasks, and the schedule that changes them."""

    resource_id = Output(str)
    service_namespace = Output(str)
    scalable_dimension = Output(str)
    min_capacity = Output(int)
    max_capacity = Output(int)
    #: IANA name of the schedule's time zone.
    timezone = Output(str)
    scheduled_actions = Output(_each(ScheduledAction))


class PageTest(Values):
    """A test page's alarm, and the ARN of the topic that the alarm notifies."""

    alarm = Output(str)
    topic_arn = Output(str)


@dataclass(frozen=True)
class Stack(Values):
    """The outputs of ``environment``; false if there are none yet. outputs.tf describes each.

    Reading a missing one raises a `ProblemError` with the next step. Without a database, its outputs and those of the
    admin tasks are missing.
    """

    environment: str

    name_prefix = Output(str)
    region = Output(str)
    account_id = Output(str)
    cluster_arn = Output(str)
    cluster_name = Output(str)
    service_name = Output(str)
    service_family = Output(str)
    admin_family = Output(str)
    container_name = Output(str)
    container_port = Output(int)
    #: ``X86_64`` or ``ARM64``.
    cpu_architecture = Output(str)
    execution_role_arn = Output(str)
    task_role_arn = Output(str)
    admin_execution_role_arn = Output(str)
    admin_task_role_arn = Output(str)
    log_group_name = Output(str)
    admin_log_group_name = Output(str)
    target_group_arn = Output(str)
    #: Of a release that is not rolling: the second target group, both listener rules, ECS's role to shift the traffic.
    alternate_target_group_arn = Output(str)
    production_listener_rule_arn = Output(str)
    test_listener_rule_arn = Output(str)
    load_balancer_role_arn = Output(str)
    #: The alarms that undo a release: those of the service, and those of each target group.
    deployment_alarm_names = Output(_each(str))
    release_gate_alarm_names = Output(_each(str))
    app_deployment_maximum_percent = Output(int)
    alb_dns_name = Output(str)
    public_url = Output(str)
    private_subnet_ids = Output(_each(str))
    service_security_group_ids = Output(_each(str))
    admin_security_group_ids = Output(_each(str))
    database = Output(Database)
    #: By key in ``database_restores``; the original's key is empty.
    database_instances = Output(_by_key(DatabaseInstance))
    app_database_secret_arn = Output(str)
    app_database_clone_secret_arn = Output(str)
    scalable_target = Output(ServiceScaling)
    #: By urgency, ``urgent`` and ``warning``, like ``test_page``.
    notification_topic_arns = Output(_by_key(str))
    undelivered_queue_url = Output(str)
    slack_webhook_secret_arn = Output(str)
    test_page = Output(_by_key(PageTest))
    dashboard_url = Output(str)

    @property
    def has_database(self) -> bool:
        return self.get(Stack.database, None) is not None

    def missing(self, name: str) -> Exception:
        of_database = name.startswith(("admin_", "app_database", "database"))
        without = "it has no database (app_database: false), or " if of_database and not self.has_database else ""
        return ProblemError(
            f"The infrastructure of {self.environment} has no output {name}: {without}another version of terraform/ "
            f"made it.",
            f"{name} in terraform/outputs.tf",
            f"make infra ENV={self.environment}, or run this command from the commit that was deployed",
        )
