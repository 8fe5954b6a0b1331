variable "name" {
  description = "Name of the cluster and the service, and prefix of what belongs to them, for example `storefront-staging`."
  type        = string
}

variable "container_insights" {
  description = "CloudWatch Container Insights of the cluster: `enhanced`, `enabled` or `disabled`."
  type        = string

  validation {
    condition     = contains(["enhanced", "enabled", "disabled"], var.container_insights)
    error_message = "container_insights must be \"enhanced\", \"enabled\" or \"disabled\", for example \"enabled\"; it is \"${var.container_insights}\"."
  }
}

variable "container_name" {
  description = "Name of the service's container, in the placeholder and in each release."
  type        = string
}

variable "app_port" {
  description = "Port on which the service's container listens."
  type        = number
}

variable "app_cpu_architecture" {
  description = "CPU architecture of the tasks: `X86_64` or `ARM64`."
  type        = string

  validation {
    condition     = contains(["X86_64", "ARM64"], var.app_cpu_architecture)
    error_message = "app_cpu_architecture must be \"X86_64\" or \"ARM64\", for example \"ARM64\"; it is \"${var.app_cpu_architecture}\"."
  }
}

variable "app_database" {
  description = "Whether there is a database, with admin tasks and secrets of its users."
  type        = bool
}

variable "subnet_ids" {
  description = "Private subnets of the tasks."
  type        = list(string)
}

variable "security_group_id" {
  description = "Security group of the service's tasks."
  type        = string
}

variable "target_group_arn" {
  description = "Target group in which ECS registers the service's tasks."
  type        = string
}

variable "app_health_check_grace_period_seconds" {
  description = "Seconds after a task's start in which ECS ignores failed health checks. Longer than the application's slowest start."
  type        = number

  validation {
    condition     = var.app_health_check_grace_period_seconds >= 0 && var.app_health_check_grace_period_seconds <= 2147483647
    error_message = "app_health_check_grace_period_seconds must be 0 or more, for example 60."
  }
}

variable "app_deployment_maximum_percent" {
  description = "How many tasks may run during a rolling update, in percent of the desired count. Above 100, since the minimum is 100."
  type        = number

  validation {
    condition     = var.app_deployment_maximum_percent > 100 && var.app_deployment_maximum_percent <= 200
    error_message = "app_deployment_maximum_percent must be above 100 (new tasks start before old ones stop) and at most 200, for example 200."
  }
}

variable "app_execute_command" {
  description = "Whether `aws ecs execute-command` may open a shell in the tasks."
  type        = bool
}

variable "log_retention_days" {
  description = "Days that the containers' logs are kept."
  type        = number

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a retention that CloudWatch Logs knows, for example 7, 30, 90 or 365."
  }
}

variable "secret_recovery_window_days" {
  description = "Days in which a deleted secret can be restored; 0 deletes it at once."
  type        = number

  validation {
    condition     = var.secret_recovery_window_days == 0 || (var.secret_recovery_window_days >= 7 && var.secret_recovery_window_days <= 30)
    error_message = "secret_recovery_window_days must be 0, or from 7 to 30, for example 7."
  }
}
