variable "name" {
  description = "Name of the function, its role and its log group, for example `settlement-staging-query-bot`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name)) && length(var.name) <= 64
    error_message = "name must be lower-case letters, digits and hyphens, at most 64, for example \"settlement-staging-query-bot\"; it is \"${var.name}\"."
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

variable "package_path" {
  description = "The zip of app/bots/, relative to the root, so that plans of two machines agree."
  type        = string
}

variable "environment" {
  description = "Environment variables of the function. Nothing secret."
  type        = map(string)
  default     = {}
}

variable "permissions" {
  description = "What the function may do beside writing its log, reading the webhook and keeping what it could not deliver; by statement id."
  type = map(object({
    actions   = list(string)
    resources = list(string)
  }))
  default = {}
}

variable "slack_webhook_secret_arn" {
  description = "Secret with the URL of Slack's incoming webhook, read at run time."
  type        = string
}

variable "undelivered_queue" {
  description = "SQS queue for what could not be delivered."
  type = object({
    arn = string
    url = string
  })
}

variable "memory_mb" {
  description = "Memory of the function, MiB."
  type        = number
  default     = 256
}

variable "timeout_seconds" {
  description = "Seconds that one invocation may take."
  type        = number
  default     = 60
}

variable "log_retention_days" {
  description = "Days that the function's log is kept."
  type        = number
  default     = 30
}
