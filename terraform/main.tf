# One environment: client → load balancer → service → database (requirement A5), or without the last (app_database).
# What exists once per account and region (the image repository, service-linked roles) is in account/.

locals {
  name           = "${var.app_name}-${var.env_name}"
  container_name = "api"
  https_enabled  = var.https_certificate_arn != null || var.https_hosted_zone_id != null
  most_tasks     = max(var.app_max_tasks, var.app_scheduled_scaling ? var.app_peak_max_tasks : 0)

  rds_proxy_enabled = var.app_database && var.rds_proxy_enabled
  # Known when planning: the rotation-bot needs a secret that the tasks read.
  has_secrets = var.app_database || length(var.app_secret_arns) > 0

  ecr_repository_arn = "arn:aws:ecr:${var.aws_region}:${var.aws_account_id}:repository/${coalesce(var.ecr_repository_name, var.app_name)}"
}

module "vpc" {
  source = "./modules/vpc"

  name                       = local.name
  permissions_boundary_arn   = var.permissions_boundary_arn
  network_vpc_cidr           = var.network_vpc_cidr
  network_availability_zones = var.network_availability_zones
  network_nat_gateways       = var.network_nat_gateways
  network_flow_logs          = var.network_flow_logs
  log_retention_days         = var.log_retention_days
}

module "security_groups" {
  source = "./modules/security_groups"

  name                 = local.name
  vpc_id               = module.vpc.vpc_id
  network_client_cidrs = var.network_client_cidrs
  https_enabled        = local.https_enabled
  app_port             = var.app_port

  app_database            = var.app_database
  rds_proxy_enabled       = local.rds_proxy_enabled
  rds_proxy_direct_access = var.rds_proxy_direct_access
  vpc_endpoints_enabled   = var.vpc_endpoints_enabled
}

module "endpoints" {
  source = "./modules/endpoints"

  name                  = local.name
  aws_account_id        = var.aws_account_id
  aws_region            = var.aws_region
  vpc_id                = module.vpc.vpc_id
  route_table_ids       = module.vpc.private_route_table_ids
  vpc_endpoints_enabled = var.vpc_endpoints_enabled
  vpc_endpoint_services = var.vpc_endpoint_services
  subnet_ids            = module.vpc.private_subnet_ids
  security_group_id     = module.security_groups.endpoints_id
}

moved {
  from = module.vpc.aws_vpc_endpoint.s3
  to   = module.endpoints.aws_vpc_endpoint.s3
}

module "alb" {
  source = "./modules/alb"

  name                           = local.name
  aws_account_id                 = var.aws_account_id
  aws_region                     = var.aws_region
  vpc_id                         = module.vpc.vpc_id
  alb_internal                   = var.alb_internal
  subnet_ids                     = var.alb_internal ? module.vpc.private_subnet_ids : module.vpc.public_subnet_ids
  security_group_id              = module.security_groups.alb_id
  app_port                       = var.app_port
  app_health_path                = var.app_health_path
  release_test_header            = var.release_test_header
  https_certificate_arn          = var.https_certificate_arn
  https_hosted_zone_id           = var.https_hosted_zone_id
  https_domain_name              = var.https_domain_name
  alb_access_logs                = var.alb_access_logs
  alb_access_logs_retention_days = var.alb_access_logs_retention_days
  deletion_protection            = var.deletion_protection
}

module "ecs" {
  source = "./modules/ecs"

  name                                  = local.name
  container_insights                    = var.container_insights
  container_name                        = local.container_name
  app_port                              = var.app_port
  app_cpu_architecture                  = var.app_cpu_architecture
  app_database                          = var.app_database
  subnet_ids                            = module.vpc.private_subnet_ids
  security_group_id                     = module.security_groups.service_id
  target_group_arn                      = module.alb.target_group_arn
  app_health_check_grace_period_seconds = var.app_health_check_grace_period_seconds
  app_deployment_maximum_percent        = var.app_deployment_maximum_percent
  app_execute_command                   = var.app_execute_command
  log_retention_days                    = var.log_retention_days
  secret_recovery_window_days           = var.secret_recovery_window_days
}

module "iam" {
  source = "./modules/iam"

  name                     = local.name
  permissions_boundary_arn = var.permissions_boundary_arn
  aws_account_id           = var.aws_account_id
  aws_region               = var.aws_region
  ecr_repository_arn       = local.ecr_repository_arn
  service_log_group_arn    = module.ecs.service_log_group.arn
  app_database             = var.app_database
  admin_log_group_arn      = one(module.ecs.admin_log_group[*].arn)
  app_database_secret_arns = module.ecs.app_database_secret_arns
  app_secret_arns          = var.app_secret_arns
  master_secret_arns       = flatten([for rds in module.rds : [for instance in rds.instances : instance.master_secret_arn]])
  app_execute_command      = var.app_execute_command
}

module "rds" {
  source = "./modules/rds"
  count  = var.app_database ? 1 : 0

  name                               = local.name
  subnet_ids                         = module.vpc.database_subnet_ids
  security_group_id                  = module.security_groups.database_id
  database_name                      = var.database_name
  database_engine_version            = var.database_engine_version
  database_instance_class            = var.database_instance_class
  database_allocated_storage_gb      = var.database_allocated_storage_gb
  database_max_allocated_storage_gb  = var.database_max_allocated_storage_gb
  database_max_connections           = var.database_max_connections
  database_slow_query_milliseconds   = var.database_slow_query_milliseconds
  database_multi_az                  = var.database_multi_az
  database_backup_retention_days     = var.database_backup_retention_days
  deletion_protection                = var.deletion_protection
  database_skip_final_snapshot       = var.database_skip_final_snapshot
  database_final_snapshot_identifier = var.database_final_snapshot_identifier
  database_apply_immediately         = var.database_apply_immediately
  log_retention_days                 = var.log_retention_days
  database_restores                  = var.database_restores
  database_serving                   = var.database_serving
}

moved {
  from = module.rds
  to   = module.rds[0]
}

module "rds_proxy" {
  source = "./modules/rds_proxy"
  count  = local.rds_proxy_enabled ? 1 : 0

  name                                   = local.name
  permissions_boundary_arn               = var.permissions_boundary_arn
  aws_account_id                         = var.aws_account_id
  subnet_ids                             = module.vpc.database_subnet_ids
  security_group_id                      = module.security_groups.proxy_id
  instance_identifier                    = module.rds[0].instance_identifier
  app_database_secret_arns               = module.ecs.app_database_secret_arns
  rds_proxy_max_connections_percent      = var.rds_proxy_max_connections_percent
  rds_proxy_max_idle_connections_percent = var.rds_proxy_max_idle_connections_percent
  log_retention_days                     = var.log_retention_days
}

module "autoscaling" {
  source = "./modules/autoscaling"

  cluster_name          = module.ecs.cluster_name
  service_name          = module.ecs.service_name
  app_min_tasks         = var.app_min_tasks
  app_max_tasks         = var.app_max_tasks
  app_scheduled_scaling = var.app_scheduled_scaling
  app_peak_min_tasks    = var.app_peak_min_tasks
  app_peak_max_tasks    = var.app_peak_max_tasks
  app_peak_starts_at    = var.app_peak_starts_at
  app_peak_ends_at      = var.app_peak_ends_at
  app_scaling_timezone  = var.app_scaling_timezone
}

module "notifications" {
  source = "./modules/notifications"

  name                        = local.name
  permissions_boundary_arn    = var.permissions_boundary_arn
  aws_account_id              = var.aws_account_id
  app_name                    = var.app_name
  env_name                    = var.env_name
  bots_package_path           = var.bots_package_path
  notification_emails         = var.notification_emails
  notifications_slack         = var.notifications_slack
  secret_recovery_window_days = var.secret_recovery_window_days
  log_retention_days          = var.log_retention_days
}

module "query_bot" {
  source = "./modules/query_bot"
  count  = var.app_database ? 1 : 0

  name                             = local.name
  permissions_boundary_arn         = var.permissions_boundary_arn
  aws_account_id                   = var.aws_account_id
  app_name                         = var.app_name
  env_name                         = var.env_name
  bots_package_path                = var.bots_package_path
  log_group                        = { arn = module.rds[0].log_group_arn, name = module.rds[0].log_group_name }
  database_slow_query_milliseconds = var.database_slow_query_milliseconds
  query_bot_window_seconds         = var.query_bot_window_seconds
  query_bot_redact_literals        = var.query_bot_redact_literals
  notifications_slack              = var.notifications_slack
  slack_webhook_secret_arn         = module.notifications.slack_webhook_secret_arn
  undelivered_queue                = module.notifications.undelivered_queue
  log_retention_days               = var.log_retention_days
}

moved {
  from = module.query_bot
  to   = module.query_bot[0]
}

module "rotation_bot" {
  source = "./modules/rotation_bot"
  count  = local.has_secrets ? 1 : 0

  name                     = local.name
  permissions_boundary_arn = var.permissions_boundary_arn
  aws_account_id           = var.aws_account_id
  aws_region               = var.aws_region
  app_name                 = var.app_name
  env_name                 = var.env_name
  bots_package_path        = var.bots_package_path
  cluster_name             = module.ecs.cluster_name
  service_name             = module.ecs.service_name
  secret_arns              = concat(module.ecs.app_database_secret_arns, var.app_secret_arns)
  lock                     = { bucket = var.state_bucket, key = "locks/${var.env_name}.json" }
  notifications_slack      = var.notifications_slack
  slack_webhook_secret_arn = module.notifications.slack_webhook_secret_arn
  undelivered_queue        = module.notifications.undelivered_queue
  log_retention_days       = var.log_retention_days
}

moved {
  from = module.rotation_bot
  to   = module.rotation_bot[0]
}

# By names, not by the service's outputs: a deployment alarm exists before the service that names it.
module "monitoring" {
  source = "./modules/monitoring"

  name                             = local.name
  env_name                         = var.env_name
  aws_account_id                   = var.aws_account_id
  aws_region                       = var.aws_region
  topic_arns                       = module.notifications.topic_arns
  load_balancer                    = module.alb.arn_suffix
  target_groups                    = module.alb.target_group_arn_suffixes
  release_gate_error_percent       = var.release_gate_error_percent
  release_gate_p99_seconds         = var.release_gate_p99_seconds
  error_rate_minimum_requests      = var.error_rate_minimum_requests
  container_insights               = var.container_insights
  app_min_tasks                    = var.app_min_tasks
  database_identifier              = one(module.rds[*].instance_name)
  database_max_connections         = var.database_max_connections
  database_allocated_storage_gb    = var.database_allocated_storage_gb
  database_free_memory_minimum_mb  = var.database_free_memory_minimum_mb
  database_log_group_name          = one(module.rds[*].log_group_name)
  database_slow_query_milliseconds = var.database_slow_query_milliseconds
  undelivered_queue_name           = module.notifications.undelivered_queue.name
  bot_function_names               = [for bot in concat(["alarm-bot"], var.app_database ? ["query-bot"] : [], local.has_secrets ? ["rotation-bot"] : []) : "${local.name}-${bot}"]
  log_retention_days               = var.log_retention_days
}
