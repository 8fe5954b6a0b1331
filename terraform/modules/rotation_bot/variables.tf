variable "name" {
  description = "First part of the names, `<app>-<environment>`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name))
    error_message = "name must be lower-case letters, digits and hyphens, for example \"storefront-staging\"."
  }
}

variable "aws_account_id" {
  description = "AWS account of the service, 12 digits."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.aws_account_id))
    error_message = "aws_account_id must be 12 digits, in quotes, for example \"123456789012\"; it is \"${var.aws_account_id}\"."
  }
}

variable "aws_region" {
  description = "Region of the service."
  type        = string
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

variable "cluster_name" {
  description = "ECS cluster of the service."
  type        = string
}

variable "service_name" {
  description = "The service that is redeployed."
  type        = string
}

variable "secret_arns" {
  description = "Secrets that the service's tasks may read, full ARNs. A change of a secret that they do not read deploys nothing."
  type        = list(string)

  validation {
    condition     = length(var.secret_arns) > 0
    error_message = "secret_arns must name one secret or more, for example [\"arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront-staging/database/app-AbCdEf\"]: with none, every secret of the account would count."
  }
}

variable "lock" {
  description = "The environment's deployment lock; the bot waits while it is held."
  type = object({
    bucket = string
    key    = string
  })
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
