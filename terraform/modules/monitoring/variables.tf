variable "name" {
  description = "First part of the names, `<app>-<environment>`; also the name of the cluster and of the service."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name))
    error_message = "name must be lower-case letters, digits and hyphens, for example \"storefront-staging\"; it is \"${var.name}\"."
  }
}

variable "env_name" {
  description = "Name of the environment: `ENV=` of the commands in the alarms' descriptions."
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
  description = "SNS topics by urgency: `urgent` wakes a person, `warning` is read in the morning."
  type = object({
    urgent  = string
    warning = string
  })
}

variable "load_balancer" {
  description = "Load balancer as CloudWatch's dimension `LoadBalancer` names it."
  type        = string
}

variable "target_groups" {
  description = "Both target groups as CloudWatch's dimension `TargetGroup` names them, by a short name."
  type        = map(string)
}

variable "release_gate_error_percent" {
  description = "Share of answers with 5xx of one target group that undoes a release, percent."
  type        = number

  validation {
    condition     = var.release_gate_error_percent >= 1 && var.release_gate_error_percent <= 100
    error_message = "release_gate_error_percent must be from 1 to 100, for example 5."
  }
}

variable "release_gate_p99_seconds" {
  description = "Response time that 99 % of the answers of one target group must not exceed, or a release is undone, seconds."
  type        = number

  validation {
    condition     = var.release_gate_p99_seconds > 0
    error_message = "release_gate_p99_seconds must be above 0, for example 2."
  }
}

variable "error_rate_minimum_requests" {
  description = "Requests in a minute below which the error rate is ignored: at night, one error in one request is 100 %."
  type        = number

  validation {
    condition     = var.error_rate_minimum_requests >= 2 && floor(var.error_rate_minimum_requests) == var.error_rate_minimum_requests
    error_message = "error_rate_minimum_requests must be a whole number, 2 or more, for example 20."
  }
}

variable "container_insights" {
  description = "Container Insights of the cluster. With `disabled`, running tasks are not counted and their alarm is left out."
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
  description = "Database instance as CloudWatch's dimension `DBInstanceIdentifier` names it. Null: there is no database, and no alarm on it."
  type        = string
}

variable "database_max_connections" {
  description = "Connections that the database accepts; the parameter group and the pool budget use the same number."
  type        = number
}

variable "database_allocated_storage_gb" {
  description = "Initial size of the database's storage, GiB."
  type        = number
}

variable "database_free_memory_minimum_mb" {
  description = "Free memory of the database below which the alarm goes off, because it is about to swap, MiB. About a tenth of the instance class's memory."
  type        = number

  validation {
    condition     = var.database_free_memory_minimum_mb > 0
    error_message = "database_free_memory_minimum_mb must be above 0, for example 200 for an instance class of 2 GiB."
  }
}

variable "database_log_group_name" {
  description = "Log group of PostgreSQL's log, in which the dashboard finds slow queries. Null without a database."
  type        = string
}

variable "database_slow_query_milliseconds" {
  description = "PostgreSQL logs queries that take this many milliseconds or longer; the dashboard shows the number."
  type        = number
}

variable "undelivered_queue_name" {
  description = "Queue of messages that a bot could not post."
  type        = string
}

variable "bot_function_names" {
  description = "Names of the bots' Lambda functions, known when planning; each gets an alarm on its errors."
  type        = set(string)
}

variable "log_retention_days" {
  description = "Days that the events of deployments are kept."
  type        = number
}
