variable "app_name" {
  description = "Name of the application."
  type        = string

  validation {
    condition     = can(regex("^[a-z](-?[a-z0-9])*$", var.app_name))
    error_message = "app_name must be lower-case letters, digits and single hyphens, and begin with a letter, for example \"storefront\"; it is \"${var.app_name}\"."
  }
}

variable "aws_region" {
  description = "AWS region."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.aws_region))
    error_message = "aws_region must be the code of an AWS region, for example \"ap-northeast-2\"; it is \"${var.aws_region}\"."
  }
}

variable "account_home_region" {
  description = "Home region of the account, which holds the resources that exist once per account: service-linked roles, GitHub's OIDC provider, budget, cost anomalies. Null: `aws_region`."
  type        = string

  validation {
    condition     = var.account_home_region == null || can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.account_home_region))
    error_message = "account_home_region must be the code of an AWS region, for example \"ap-northeast-2\"; it is \"${coalesce(var.account_home_region, "null")}\"."
  }
}

variable "aws_account_id" {
  description = "AWS account. Credentials of any other account are refused."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.aws_account_id))
    error_message = "aws_account_id must be 12 digits, in quotes, for example \"123456789012\"; it is \"${var.aws_account_id}\"."
  }
}

variable "aws_tags" {
  description = "Further tags of every resource."
  type        = map(string)
}

variable "ecr_repository_name" {
  description = "Name of the image repository. Null: `app_name`."
  type        = string
  default     = null
}

variable "ecr_untagged_retention_days" {
  description = "Days after which an image without a tag is deleted."
  type        = number
}

variable "ecr_force_delete" {
  description = "Whether the repository may be deleted with images in it."
  type        = bool
  default     = false
}

variable "secret_recovery_window_days" {
  description = "Days in which a deleted secret can be restored; 0 deletes it at once."
  type        = number
}

variable "log_retention_days" {
  description = "Days that the bots' logs are kept."
  type        = number
}

variable "notification_emails" {
  description = "E-mail addresses that are notified of account events besides Slack, by urgency. Each must confirm once, with the link that AWS sends."
  type = object({
    urgent  = optional(set(string), [])
    warning = optional(set(string), [])
  })
}

variable "bots_package_path" {
  description = "The zip of app/bots/ that the role bots_package builds, relative to this folder, so that plans on two machines agree."
  type        = string
  default     = "../../.local/bots.zip"
}

variable "detection_enabled" {
  description = "Whether AWS Config records new resources, which are then reported to Slack (requirement H4)."
  type        = bool
}

variable "detection_resource_types" {
  description = "Resource types whose creation is reported, as AWS Config names them. Each recorded item costs 0.003 USD."
  type        = list(string)
}

variable "detection_required_tags" {
  description = "Tag keys that a new resource should have; missing ones are reported."
  type        = list(string)
}

variable "config_delivery_bucket" {
  description = "Bucket to which AWS Config delivers. Null: none; detection must then be off or use a recorder that others made."
  type        = string

  validation {
    condition     = var.config_delivery_bucket != null || !var.detection_enabled || (var.existing_config_recorder != null && var.existing_config_recorder != local.name)
    error_message = "config_delivery_bucket must name a bucket while detection_enabled is true and the account has no other recorder, for example \"storefront-config-123456789012-ap-northeast-2\"."
  }
}

variable "existing_config_recorder" {
  description = "Name of the AWS Config recorder that the account already has in this region; bootstrap looks it up. Null: none."
  type        = string
  default     = null
}

variable "existing_config_delivery_channel" {
  description = "Name of the AWS Config delivery channel that the account already has in this region; bootstrap looks it up. Null: none."
  type        = string
  default     = null
}

variable "budget_monthly_usd" {
  description = "Monthly budget of the account, USD; Slack is notified at 130 %, spent or forecast (requirement H5). Null: no budget."
  type        = number
}

variable "cost_anomaly_enabled" {
  description = "Whether unusual costs of a service are reported to Slack."
  type        = bool
}

variable "cost_anomaly_minimum_usd" {
  description = "Smallest impact of an anomaly that is reported to Slack, USD."
  type        = number
}

variable "existing_anomaly_monitor" {
  description = "Cost anomaly monitor of services that the account already has; bootstrap looks it up. Null: none."
  type = object({
    arn  = string
    name = string
  })
  default = null
}

variable "github_repository" {
  description = "GitHub repository whose workflows act in this account, as `owner/name`. Null: none."
  type        = string

  validation {
    condition     = var.github_repository == null || (length(var.github_environments) > 0 && var.state_bucket != null)
    error_message = "github_repository needs github_environments and state_bucket: say which environments the account has, for example [\"staging\"], and where their states are."
  }
}

variable "github_owner_id" {
  description = "Numeric ID of the repository's owner. Null: GitHub's tokens contain only the names."
  type        = number
}

variable "github_repository_id" {
  description = "Numeric ID of the repository. Null: as `github_owner_id`."
  type        = number
}

variable "github_names_trusted" {
  description = "Whether tokens with only the names are trusted besides those with the IDs."
  type        = bool
}

variable "github_environments" {
  description = "Environments that this account has in this region; each gets its own roles."
  type        = set(string)
}

variable "github_cost_policy" {
  description = "IAM policy of the cost report, as JSON."
  type        = string
}

variable "https_hosted_zone_id" {
  description = "Route 53 hosted zone whose records deployments may change. Null: none."
  type        = string
}

variable "app_secret_arns" {
  description = "Further secrets that the environments' tasks may read."
  type        = list(string)
}

variable "state_bucket" {
  description = "Bucket of Terraform's states. Null only without `github_repository`."
  type        = string
}

variable "existing_github_provider" {
  description = "GitHub's OIDC provider that the account already has, and whether it is ours; bootstrap looks it up. Null: none."
  type = object({
    arn = string
    own = bool
  })
  default = null
}
