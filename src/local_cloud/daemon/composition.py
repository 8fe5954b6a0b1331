"""Applies every patch that makes the emulator behave like AWS.

A patch is a module with functions that replace or extend the emulator's. Its docstring says what AWS does, and what the
emulator does without the patch. A patch that starts something or has settings has ``apply``. Objects that several
patches share are passed on here.
"""

from __future__ import annotations

from local_cloud.account import (
    config_items,
    ecr_scans,
    event_targets,
    hosted_zones,
    iam_service_linked_roles,
    nat_addresses,
    queue_policies,
    reserved_names,
    secret_values,
    sns_lambda,
    vpc_attributes,
    web_identity,
)
from local_cloud.acm import certificates
from local_cloud.cloudwatch import (
    alarm_attributes,
    alarm_notifications,
    alarm_states,
    function_metrics,
    log_filters,
    log_subscriptions,
    metric_periods,
    service_metrics,
    task_metrics,
)
from local_cloud.core import ownership
from local_cloud.core.patching import install
from local_cloud.core.runtime import Cloud
from local_cloud.daemon import call_log, weather
from local_cloud.ec2 import security_groups
from local_cloud.ecs import (
    capacity,
    execute_command,
    network_acls,
    service_attributes,
    service_deployments,
    service_scheduler,
    task_containers,
    task_definitions,
    task_lists,
    task_logs,
    task_secrets,
    task_stop,
    task_zones,
)
from local_cloud.elbv2 import listeners, load_balancers, target_health, zonal_shifts
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


def compose(cloud: Cloud) -> None:
    """Apply the patches in this order: a later patch may extend an earlier one. Add new patches at the end."""
    ownership.apply(cloud)
    groups = target_health.apply(cloud)
    served = listeners.apply(cloud, certificates.apply(cloud))
    balancer = load_balancers.apply(cloud, groups, served, zonal_shifts.apply(cloud))
    stopper = task_stop.apply(cloud, groups)
    scheduler = service_scheduler.apply(cloud, groups, stopper, served.changed)
    install(service_attributes)
    install(service_deployments.Handlers(scheduler))
    install(task_definitions)
    install(task_lists)
    install(task_zones)
    install(network_acls)
    task_containers.apply(cloud)
    install(execute_command)
    install(task_secrets)
    install(task_logs)
    install(vpc_attributes)
    install(nat_addresses)
    install(alarm_attributes)
    install(iam_service_linked_roles)
    web_identity.apply(cloud)
    rds_container.apply(cloud)
    install(rds_parameters)
    install(rds_attributes)
    install(rds_engine_versions)
    install(rds_master_secret)
    rds_backups.apply(cloud)
    install(rds_restores)
    rds_proxy.apply(cloud)
    install(secret_values)
    install(log_filters)
    install(log_subscriptions)
    install(sns_lambda)
    install(queue_policies)
    install(event_targets)
    install(alarm_notifications)
    rds_log_export.apply(cloud)
    config_items.apply(cloud)
    service_metrics.apply(cloud, groups)
    task_metrics.apply(cloud)
    install(reserved_names)
    ecr_scans.apply(cloud)
    security_groups.apply(cloud, balancer)
    hosted_zones.apply(cloud)
    weather.apply(cloud)
    call_log.apply(cloud)
    alarm_states.apply(cloud)
    install(function_metrics)
    capacity.apply(cloud)
    metric_periods.apply(cloud)
