variable "name" {
  description = "First part of the names, `<app>-<environment>`; also the name of the cluster and of the service."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name))
    error_message = "name must be lower-case letters, digits and hyphens, for example \"settlement-staging\"; it is \"${var.name}\"."
  }
}

variable "env_name" {
  description = "Name of the environment, as `ENV=` of the commands in the alarms' descriptions."
  type        = string
}

variable "aws_account_id" {
  description = "Account of the environment."
  type        = string
}

variable "aws_region" {
  description = "Region of the environment."
  type        = string
}

variable "topic_arns" {
  description = "SNS topics by urgency: a person is woken by `urgent`, and reads `warning` in the morning."
  type = object({
    urgent  = string
    warning = string
  })
}

variable "load_balancer" {
  description = "Load balancer as CloudWatch's dimension `LoadBalancer` names it."
  type        = string
}

variable "target_group" {
  description = "Target group as CloudWatch's dimension `TargetGroup` names it."
  type        = string
}

variable "error_rate_minimum_requests" {
  description = "Requests in a minute below which an error rate says nothing: at night one error of one is 100 %."
  type        = number

  validation {
    condition     = var.error_rate_minimum_requests >= 2 && floor(var.error_rate_minimum_requests) == var.error_rate_minimum_requests
    error_message = "error_rate_minimum_requests must be a whole number, 2 or more, for example 20."
  }
}

variable "container_insights" {
  description = "The cluster's Container Insights: `disabled` leaves nothing to count running tasks by, so the alarm on them is not made."
  type        = string
}

variable "app_min_tasks" {
  description = "Fewest tasks of the service on any day; the schedule only raises it."
  type        = number
}

variable "cpu_target_percent" {
  description = "Average CPU that auto scaling holds, a line on the dashboard."
  type        = number
  default     = 60
}

variable "database_identifier" {
  description = "Database instance as CloudWatch's dimension `DBInstanceIdentifier` names it."
  type        = string
}

variable "database_max_connections" {
  description = "Connections that the database accepts: the number that the parameter group and the pool budget have."
  type        = number
}

variable "database_allocated_storage_gb" {
  description = "Size of the database's storage as it was made, GiB."
  type        = number
}

variable "database_free_memory_minimum_mb" {
  description = "Free memory of the database below which it is about to swap, MiB. About a tenth of the instance class's."
  type        = number

  validation {
    condition     = var.database_free_memory_minimum_mb > 0
    error_message = "database_free_memory_minimum_mb must be above 0, for example 200 for an instance class of 2 GiB."
  }
}

variable "database_log_group_name" {
  description = "Log group of PostgreSQL's log, in which the dashboard finds slow queries."
  type        = string
}

variable "database_slow_query_milliseconds" {
  description = "From how long on PostgreSQL logs a query, milliseconds: the dashboard's title says it."
  type        = number
}

variable "undelivered_queue_name" {
  description = "Queue of what a bot could not post."
  type        = string
}

variable "bot_function_names" {
  description = "Lambda functions of the bots. Names that are known when planning: each has an alarm on its errors."
  type        = set(string)
}

variable "log_retention_days" {
  description = "Days that the events of deployments are kept."
  type        = number
}
