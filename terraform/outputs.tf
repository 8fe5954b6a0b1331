# Everything that a release reads. Nothing here is sensitive: secrets are named, not shown.

output "name_prefix" {
  description = "First part of every name, `<app_name>-<env_name>`."
  value       = local.name
}

output "region" {
  description = "Region of the environment."
  value       = var.aws_region
}

output "account_id" {
  description = "Account of the environment."
  value       = var.aws_account_id
}

output "cluster_arn" {
  description = "ECS cluster."
  value       = module.ecs.cluster_arn
}

output "cluster_name" {
  description = "Name of the ECS cluster."
  value       = module.ecs.cluster_name
}

output "service_name" {
  description = "Name of the ECS service."
  value       = module.ecs.service_name
}

output "service_family" {
  description = "Task definition family of the service; releases register its revisions."
  value       = local.name
}

output "admin_family" {
  description = "Task definition family of the one-off admin tasks; releases register its revisions. Null without a database, like the other outputs of these tasks."
  value       = var.app_database ? "${local.name}-admin" : null
}

output "container_name" {
  description = "Name of the service's container."
  value       = local.container_name
}

output "container_port" {
  description = "Port on which the service's container listens."
  value       = var.app_port
}

output "cpu_architecture" {
  description = "CPU architecture of the tasks."
  value       = var.app_cpu_architecture
}

output "execution_role_arn" {
  description = "Execution role of the service's tasks."
  value       = module.iam.execution_role_arn
}

output "task_role_arn" {
  description = "Task role of the service's tasks."
  value       = module.iam.task_role_arn
}

output "admin_execution_role_arn" {
  description = "Execution role of the admin tasks."
  value       = module.iam.admin_execution_role_arn
}

output "admin_task_role_arn" {
  description = "Task role of the admin tasks."
  value       = module.iam.admin_task_role_arn
}

output "log_group_name" {
  description = "Log group of the service's containers."
  value       = module.ecs.service_log_group.name
}

output "admin_log_group_name" {
  description = "Log group of the admin tasks."
  value       = one(module.ecs.admin_log_group[*].name)
}

output "target_group_arn" {
  description = "Target group of the service."
  value       = module.alb.target_group_arn
}

output "alternate_target_group_arn" {
  description = "Target group that takes turns with the first, by release."
  value       = module.alb.alternate_target_group_arn
}

output "production_listener_rule_arn" {
  description = "Rule of all requests; ECS sets its weights."
  value       = module.alb.production_listener_rule_arn
}

output "test_listener_rule_arn" {
  description = "Rule of test requests; ECS sets its weights."
  value       = module.alb.test_listener_rule_arn
}

output "load_balancer_role_arn" {
  description = "Role with which ECS shifts the traffic."
  value       = module.iam.load_balancer_role_arn
}

output "deployment_alarm_names" {
  description = "Alarms that undo every deployment."
  value       = sort([for key in var.deployment_alarms : module.monitoring.alarm_names[key]])
}

output "release_gate_alarm_names" {
  description = "Alarms that undo a release that is not rolling."
  value       = module.monitoring.gate_alarm_names
}

output "app_deployment_maximum_percent" {
  description = "How many tasks may run during a rolling update, in percent of the desired count."
  value       = var.app_deployment_maximum_percent
}

output "alb_dns_name" {
  description = "The load balancer's own name."
  value       = module.alb.dns_name
}

output "public_url" {
  description = "Address by which clients call the service."
  value       = coalesce(var.public_url, module.alb.url)
}

output "private_subnet_ids" {
  description = "Subnets of the tasks."
  value       = module.vpc.private_subnet_ids
}

output "service_security_group_ids" {
  description = "Security groups of the service's tasks."
  value       = [module.security_groups.service_id]
}

output "admin_security_group_ids" {
  description = "Security groups of the admin tasks."
  value       = var.app_database ? [module.security_groups.admin_id] : null
}

output "database" {
  description = "The database that serves: its host, the host for the service (the proxy, if there is one; same port), the secret of its master user, and the number of connections it accepts. Null without one (`app_database`)."
  value = one([for rds in module.rds : {
    host                = rds.host
    service_host        = local.rds_proxy_enabled ? module.rds_proxy[0].host : rds.host
    port                = rds.port
    name                = rds.database_name
    master_secret_arn   = rds.master_secret_arn
    max_connections     = rds.max_connections
    instance_identifier = rds.instance_identifier
  }])
}

output "database_instances" {
  description = "Every database by its key in `database_restores` (the original's is empty): its host, and the secret of its master user. Null without a database."
  value       = one(module.rds[*].instances)
}

output "app_database_secret_arn" {
  description = "Secret with the credentials of the application's first database user. Null without a database."
  value       = var.app_database ? module.ecs.app_database_secret_arns[0] : null
}

output "app_database_clone_secret_arn" {
  description = "Secret with the credentials of the second database user. The two take turns; the task definition names the one in use. Null without a database."
  value       = var.app_database ? module.ecs.app_database_secret_arns[1] : null
}

output "scalable_target" {
  description = "The service as Application Auto Scaling names it, the limits that a release sets, and the schedule that changes them."
  value       = module.autoscaling.scalable_target
}

output "notification_topic_arns" {
  description = "SNS topics by urgency: `urgent` and `warning`."
  value       = module.notifications.topic_arns
}

output "undelivered_queue_url" {
  description = "Queue of messages that a bot could not post to Slack."
  value       = module.notifications.undelivered_queue.url
}

output "slack_webhook_secret_arn" {
  description = "Secret with the URL of Slack's incoming webhook; without a value nothing is sent."
  value       = module.notifications.slack_webhook_secret_arn
}

output "test_page" {
  description = "What `make test-page` triggers, by urgency: the alarm, and the topic that it notifies."
  value = {
    for urgency, topic in module.notifications.topic_arns :
    urgency => { alarm = module.monitoring.test_page_alarm_names[urgency], topic_arn = topic }
  }
}

output "dashboard_url" {
  description = "The dashboard in the console."
  value       = module.monitoring.dashboard_url
}
