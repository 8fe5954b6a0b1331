variable "name" {
  description = "First part of the names, `<app>-<environment>`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name))
    error_message = "name must be lower-case letters, digits and hyphens, for example \"storefront-staging\"."
  }
}

variable "aws_account_id" {
  description = "AWS account whose log group may call the bot."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.aws_account_id))
    error_message = "aws_account_id must be 12 digits, in quotes, for example \"123456789012\"; it is \"${var.aws_account_id}\"."
  }
}

variable "app_name" {
  description = "Name of the application in Slack messages."
  type        = string
}

variable "env_name" {
  description = "Name of the environment in Slack messages."
  type        = string
}

variable "bots_package_path" {
  description = "The zip of app/bots/, relative to the root."
  type        = string
}

variable "log_group" {
  description = "Log group of PostgreSQL's log."
  type = object({
    arn  = string
    name = string
  })
}

variable "database_slow_query_milliseconds" {
  description = "Queries that take as long or longer are posted to Slack. The parameter group's log_min_duration_statement is the same number: faster queries are not in the log."
  type        = number

  validation {
    condition     = var.database_slow_query_milliseconds >= 1 && var.database_slow_query_milliseconds <= 2147483647 && floor(var.database_slow_query_milliseconds) == var.database_slow_query_milliseconds
    error_message = "database_slow_query_milliseconds must be a whole number from 1 to 2147483647, for example 3000."
  }
}

variable "query_bot_window_seconds" {
  description = "Seconds in which the same statement is posted once, with a count."
  type        = number

  validation {
    condition     = var.query_bot_window_seconds >= 1 && var.query_bot_window_seconds <= 604800 && floor(var.query_bot_window_seconds) == var.query_bot_window_seconds
    error_message = "query_bot_window_seconds must be a whole number from 1 to 604800 (a week), for example 3600."
  }
}

variable "query_bot_redact_literals" {
  description = "Whether literals of a statement, which may be a customer's data, are replaced before it is posted to Slack."
  type        = bool
}

variable "notifications_slack" {
  description = "Whether Slack is in use: messages then wait in the queue until the webhook is set. Otherwise they are left out without one."
  type        = bool
}

variable "slack_webhook_secret_arn" {
  description = "Secret with the URL of Slack's incoming webhook."
  type        = string
}

variable "undelivered_queue" {
  description = "SQS queue for messages that could not be delivered."
  type = object({
    arn = string
    url = string
  })
}

variable "log_retention_days" {
  description = "Days that the bot's log is kept."
  type        = number
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of every role that is created here; GitHub's deploy role requires it. Null: none."
  type        = string
}
