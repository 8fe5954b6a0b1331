# Monitoring of the account: new resources in each region (requirement H4) and costs (H5), reported to Slack.
locals {
  # IAM's names are unique in the account: outside the home region each contains the region.
  name = local.is_home ? "${var.app_name}-account" : "${var.app_name}-account-${var.aws_region}"

  # Ours by name: in the state, or imported again. Resources of others stay theirs, see the modules.
  own_recorder         = var.detection_enabled && var.existing_config_recorder == local.name
  own_delivery_channel = local.own_recorder && var.existing_config_delivery_channel == local.name
  own_anomaly_monitor  = local.is_home && var.cost_anomaly_enabled && try(var.existing_anomaly_monitor.name == local.name, false)
}

module "notifications" {
  source = "../modules/notifications"

  name                        = local.name
  aws_account_id              = var.aws_account_id
  app_name                    = var.app_name
  env_name                    = "account"
  bots_package_path           = var.bots_package_path
  notification_emails         = var.notification_emails
  notifications_slack         = true
  secret_recovery_window_days = var.secret_recovery_window_days
  log_retention_days          = var.log_retention_days
}

module "detection" {
  source = "../modules/detection"
  count  = var.detection_enabled ? 1 : 0

  name                             = local.name
  app_name                         = var.app_name
  detection_resource_types         = var.detection_resource_types
  detection_required_tags          = var.detection_required_tags
  role_arn                         = local.is_home ? aws_iam_service_linked_role.this["config.amazonaws.com"].arn : local.config_role_arn
  existing_config_recorder         = var.existing_config_recorder
  existing_config_delivery_channel = var.existing_config_delivery_channel
  config_delivery_bucket           = var.config_delivery_bucket
  bots_package_path                = var.bots_package_path
  slack_webhook_secret_arn         = module.notifications.slack_webhook_secret_arn
  undelivered_queue                = module.notifications.undelivered_queue
  log_retention_days               = var.log_retention_days
}

import {
  for_each = toset(local.own_recorder ? [local.name] : [])

  to = module.detection[0].aws_config_configuration_recorder.this[0]
  id = each.key
}

import {
  for_each = toset(local.own_delivery_channel ? [local.name] : [])

  to = module.detection[0].aws_config_delivery_channel.this[0]
  id = each.key
}

module "cost" {
  source = "../modules/cost"

  name                     = local.name
  topic_arn                = module.notifications.topic_arns["warning"]
  budget_monthly_usd       = local.is_home ? var.budget_monthly_usd : null
  anomaly_enabled          = local.is_home && var.cost_anomaly_enabled
  cost_anomaly_minimum_usd = var.cost_anomaly_minimum_usd
  existing_anomaly_monitor = var.existing_anomaly_monitor
}

import {
  for_each = toset(local.own_anomaly_monitor ? [var.existing_anomaly_monitor.arn] : [])

  to = module.cost.aws_ce_anomaly_monitor.services[0]
  id = each.key
}
