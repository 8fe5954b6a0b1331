variable "name" {
  description = "First part of the names, `<app>-<environment>`, or `<app>-account`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name))
    error_message = "name must be lower-case letters, digits and hyphens, for example \"storefront-staging\"."
  }
}

variable "aws_account_id" {
  description = "AWS account whose services may publish."
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
  description = "Name of the environment in Slack messages and commands; `account` for the resources that exist once per account."
  type        = string
}

variable "bots_package_path" {
  description = "The zip of app/bots/, relative to the root."
  type        = string
}

variable "notification_emails" {
  description = "E-mail addresses that are notified besides Slack, by urgency. Each must confirm once, with the link that AWS sends."
  type = object({
    urgent  = optional(set(string), [])
    warning = optional(set(string), [])
  })

  validation {
    condition     = alltrue([for address in setunion(var.notification_emails.urgent, var.notification_emails.warning) : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "notification_emails must be e-mail addresses by urgency, for example { urgent = [\"on-call@example.com\"], warning = [] }."
  }
}

variable "notifications_slack" {
  description = "Whether Slack is in use: messages then wait in the queue until the webhook is set. Otherwise they are left out without one."
  type        = bool
}

variable "secret_recovery_window_days" {
  description = "Days in which a deleted secret can be restored; 0 deletes it at once."
  type        = number

  validation {
    condition     = var.secret_recovery_window_days == 0 || (var.secret_recovery_window_days >= 7 && var.secret_recovery_window_days <= 30)
    error_message = "secret_recovery_window_days must be 0, or from 7 to 30, for example 7."
  }
}

variable "log_retention_days" {
  description = "Days that the alarm-bot's log is kept."
  type        = number
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of every role that is created here; GitHub's deploy role requires it. Null: none."
  type        = string
  default     = null
}
