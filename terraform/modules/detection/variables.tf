variable "name" {
  description = "First part of the names, and the recorder's: `<app>-account`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name)) && length(var.name) <= 50
    error_message = "name must be lower-case letters, digits and hyphens, at most 50, for example \"storefront-account\"; it is \"${var.name}\"."
  }
}

variable "app_name" {
  description = "Name of the application in Slack messages."
  type        = string
}

variable "detection_resource_types" {
  description = "Resource types whose creation is reported, as AWS Config names them. Each recorded item costs 0.003 USD: leave out short-lived resources such as network interfaces."
  type        = list(string)

  validation {
    condition     = length(var.detection_resource_types) > 0 && alltrue([for type in var.detection_resource_types : can(regex("^AWS::[A-Za-z0-9]+::[A-Za-z0-9]+$", type))])
    error_message = "detection_resource_types must be one or more types of AWS Config, for example [\"AWS::S3::Bucket\"]; it is ${jsonencode(var.detection_resource_types)}."
  }
}

variable "detection_required_tags" {
  description = "Tag keys that a new resource should have; missing ones are reported."
  type        = list(string)

  validation {
    condition     = alltrue([for key in var.detection_required_tags : can(regex("^[^,]{1,128}$", key))])
    error_message = "detection_required_tags must be keys of tags without a comma, for example [\"Application\"]; it is ${jsonencode(var.detection_required_tags)}."
  }
}

variable "role_arn" {
  description = "Role of the recorder: the service-linked role of AWS Config."
  type        = string
}

variable "existing_config_recorder" {
  description = "Name of the recorder that the account already has in this region. Null: none."
  type        = string
}

variable "existing_config_delivery_channel" {
  description = "Name of the delivery channel that the account already has in this region. Null: none."
  type        = string
}

variable "config_delivery_bucket" {
  description = "Bucket to which AWS Config delivers; its policy allows that."
  type        = string
}

variable "bots_package_path" {
  description = "The zip of app/bots/, relative to the root, so that plans on two machines agree."
  type        = string
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

variable "log_retention_days" {
  description = "Days that the bot's log is kept."
  type        = number
}
