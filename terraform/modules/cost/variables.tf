variable "name" {
  description = "First part of the names, and the anomaly monitor's: `<app>-account`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name)) && length(var.name) <= 50
    error_message = "name must be lower-case letters, digits and hyphens, at most 50, for example \"storefront-account\"; it is \"${var.name}\"."
  }
}

variable "topic_arn" {
  description = "SNS topic that is notified. Its policy lets budgets.amazonaws.com and costalerts.amazonaws.com publish."
  type        = string
}

variable "budget_monthly_usd" {
  description = "Monthly budget of the account, USD. Null: no budget."
  type        = number

  validation {
    condition     = var.budget_monthly_usd == null || try(var.budget_monthly_usd > 0, false)
    error_message = "budget_monthly_usd must be more than 0, or null for no budget, for example 400."
  }
}

variable "budget_threshold_percent" {
  description = "Percent of the budget above which the topic is notified, spent or forecast (requirement H5)."
  type        = number
  default     = 130

  validation {
    condition     = var.budget_threshold_percent > 0
    error_message = "budget_threshold_percent must be more than 0, for example 130."
  }
}

variable "anomaly_enabled" {
  description = "Whether AWS Cost Anomaly Detection reports unusual costs of a service to the topic. It is free of charge."
  type        = bool
}

variable "cost_anomaly_minimum_usd" {
  description = "Smallest impact of an anomaly that is reported to the topic, USD."
  type        = number

  validation {
    condition     = var.cost_anomaly_minimum_usd >= 0
    error_message = "cost_anomaly_minimum_usd must be 0 or more, for example 20."
  }
}

variable "existing_anomaly_monitor" {
  description = "Cost anomaly monitor of services that the account already has. Null: none."
  type = object({
    arn  = string
    name = string
  })
}
