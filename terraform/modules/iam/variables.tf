variable "name" {
  description = "Prefix of the roles' names, for example `storefront-staging`."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9-]{1,46}$", var.name))
    error_message = "name must be 1 to 46 letters, digits and hyphens (a role's name has 64 at most), for example \"storefront-staging\"."
  }
}

variable "aws_account_id" {
  description = "AWS account whose tasks may take the roles, 12 digits."
  type        = string
}

variable "aws_region" {
  description = "Region whose tasks may take the roles, for example `ap-northeast-2`."
  type        = string
}

variable "ecr_repository_arn" {
  description = "Repository from which both kinds of task pull their image."
  type        = string
}

variable "service_log_group_arn" {
  description = "Log group of the service's containers."
  type        = string
}

variable "app_database" {
  description = "Whether there is a database, and roles for its admin tasks."
  type        = bool
}

variable "admin_log_group_arn" {
  description = "Log group of the admin tasks; null without a database."
  type        = string
}

variable "app_database_secret_arns" {
  description = "Secrets of the application's two database users: injected into the service, written by the admin task."
  type        = list(string)
}

variable "app_secret_arns" {
  description = "Further secrets that the service's task definition may inject."
  type        = list(string)

  validation {
    condition     = alltrue([for arn in var.app_secret_arns : can(regex("^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^*?]+$", arn))])
    error_message = "Each of app_secret_arns must be the full ARN of a secret, with no wildcard, for example \"arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront/slack-AbCdEf\"."
  }
}

variable "master_secret_arns" {
  description = "Secrets of the master users of the databases: injected into admin tasks alone."
  type        = list(string)
}

variable "app_execute_command" {
  description = "Whether the service's tasks may open the channels of ECS Exec."
  type        = bool
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of every role that is created here; GitHub's deploy role requires it. Null: none."
  type        = string
}
