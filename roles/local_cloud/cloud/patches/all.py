"""Every fidelity patch, in the order in which they are applied.

A patch is a module with ``apply(cloud)``; its docstring says what AWS does and
what the emulator does instead. Append yours here.
"""

from __future__ import annotations

from roles.local_cloud.cloud.patches import (
    alarm_attributes,
    alarm_notifications,
    call_log,
    config_items,
    iam_service_linked_roles,
    load_balancer,
    log_subscriptions,
    nat_addresses,
    ownership,
    rds_attributes,
    rds_backups,
    rds_container,
    rds_engine_versions,
    rds_log_export,
    rds_master_secret,
    rds_parameters,
    rds_proxy,
    rds_restores,
    secret_values,
    service_attributes,
    service_deployments,
    service_metrics,
    service_scheduler,
    sns_lambda,
    target_health,
    task_containers,
    task_stop,
    vpc_attributes,
    web_identity,
)
from roles.local_cloud.cloud.runtime import Patch

PATCHES: list[Patch] = [
    ownership.apply,
    target_health.apply,
    load_balancer.apply,
    task_stop.apply,
    service_scheduler.apply,
    service_attributes.apply,
    service_deployments.apply,
    task_containers.apply,
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
    log_subscriptions.apply,
    sns_lambda.apply,
    alarm_notifications.apply,
    rds_log_export.apply,
    config_items.apply,
    service_metrics.apply,
    call_log.apply,
]
