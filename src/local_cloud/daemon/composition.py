"""Every fidelity patch, in the order in which they are applied.

A patch is a module with ``apply(cloud)``; its docstring says what AWS does and
what the emulator does instead. Append yours here.
"""

from __future__ import annotations

from local_cloud.account import (
    config_items,
    event_targets,
    iam_service_linked_roles,
    nat_addresses,
    queue_policies,
    reserved_names,
    secret_values,
    sns_lambda,
    vpc_attributes,
    web_identity,
)
from local_cloud.cloudwatch import (
    alarm_attributes,
    alarm_notifications,
    log_filters,
    log_subscriptions,
    service_metrics,
)
from local_cloud.core import ownership
from local_cloud.core.runtime import Patch
from local_cloud.daemon import call_log, weather
from local_cloud.ecs import (
    execute_command,
    service_attributes,
    service_deployments,
    service_scheduler,
    task_containers,
    task_definitions,
    task_lists,
    task_logs,
    task_secrets,
    task_stop,
)
from local_cloud.elbv2 import load_balancers as load_balancer
from local_cloud.elbv2 import target_health
from local_cloud.rds import (
    rds_attributes,
    rds_backups,
    rds_container,
    rds_engine_versions,
    rds_log_export,
    rds_master_secret,
    rds_parameters,
    rds_proxy,
    rds_restores,
)

PATCHES: list[Patch] = [
    ownership.apply,
    target_health.apply,
    load_balancer.apply,
    task_stop.apply,
    service_scheduler.apply,
    service_attributes.apply,
    service_deployments.apply,
    task_definitions.apply,
    task_lists.apply,
    task_containers.apply,
    execute_command.apply,
    task_secrets.apply,
    task_logs.apply,
    vpc_attributes.apply,
    nat_addresses.apply,
    alarm_attributes.apply,
    iam_service_linked_roles.apply,
    web_identity.apply,
    rds_container.apply,
    rds_parameters.apply,
    rds_attributes.apply,
    rds_engine_versions.apply,
    rds_master_secret.apply,
    rds_backups.apply,
    rds_restores.apply,
    rds_proxy.apply,
    secret_values.apply,
    log_filters.apply,
    log_subscriptions.apply,
    sns_lambda.apply,
    queue_policies.apply,
    event_targets.apply,
    alarm_notifications.apply,
    rds_log_export.apply,
    config_items.apply,
    service_metrics.apply,
    reserved_names.apply,
    weather.apply,
    call_log.apply,
]
