variable "name" {
  description = "Name of the function, its role and its log group, for example `storefront-staging-query-bot`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name)) && length(var.name) <= 64
    error_message = "name must be lower-case letters, digits and hyphens, at most 64, for example \"storefront-staging-query-bot\"; it is \"${var.name}\"."
  }
}

variable "description" {
  description = "What the function does, in a sentence."
  type        = string
}

variable "handler" {
  description = "Handler in the package, for example `bots.query_bot.handler`."
  type        = string

  validation {
    condition     = can(regex("^bots\\.[a-z_]+\\.handler$", var.handler))
    error_message = "handler must be a module of app/bots/ and its handler, for example \"bots.query_bot.handler\"; it is \"${var.handler}\"."
  }
}

variable "bots_package_path" {
  description = "The zip of app/bots/, relative to the root, so that plans on two machines agree."
  type        = string

  validation {
    condition     = fileexists(var.bots_package_path)
    error_message = "bots_package_path must be the zip that the role bots_package makes; there is none at \"${var.bots_package_path}\". Next: make plan, which makes it."
  }
}

variable "environment" {
  description = "Environment variables of the function, APP_NAME and ENVIRONMENT among them. Nothing secret."
  type        = map(string)

  validation {
    condition     = alltrue([for value in values(var.environment) : !strcontains(value, "hooks.slack.com")])
    error_message = "environment holds Slack's webhook: whoever reads the function's configuration could post. It belongs into the secret, see modules/notifications/README.md."
  }
}

variable "permissions" {
  description = "Permissions of the function, by statement ID, besides writing its log, reading the webhook and queueing undelivered messages."
  type = map(object({
    actions   = list(string)
    resources = list(string)
  }))
  default = {}
}

variable "notifications_slack" {
  description = "Whether Slack is in use: messages then wait in the queue until the webhook is set. Otherwise they are left out without one."
  type        = bool
}

variable "slack_webhook_secret_arn" {
  description = "Secret with the URL of Slack's incoming webhook, read at run time."
  type        = string
}

variable "undelivered_queue" {
  description = "SQS queue for messages that could not be delivered."
  type = object({
    arn = string
    url = string
  })
}

variable "memory_mb" {
  description = "Memory of the function, MiB."
  type        = number
  default     = 256

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240 && floor(var.memory_mb) == var.memory_mb
    error_message = "memory_mb must be a whole number from 128 to 10240, for example 256."
  }
}

variable "timeout_seconds" {
  description = "Seconds that one invocation may take."
  type        = number
  default     = 60

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 900 && floor(var.timeout_seconds) == var.timeout_seconds
    error_message = "timeout_seconds must be a whole number from 1 to 900, for example 60."
  }
}

variable "log_retention_days" {
  description = "Days that the function's log is kept."
  type        = number

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a retention that CloudWatch Logs knows, for example 7, 30, 90 or 365."
  }
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of every role that is created here; GitHub's deploy role requires it. Null: none."
  type        = string
  default     = null
}
