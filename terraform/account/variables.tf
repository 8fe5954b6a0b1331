variable "app_name" {
  description = "Name of the application."
  type        = string

  validation {
    condition     = can(regex("^[a-z](-?[a-z0-9])*$", var.app_name))
    error_message = "app_name must be lower-case letters, digits and single hyphens, and begin with a letter, for example \"settlement\"; it is \"${var.app_name}\"."
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
  description = "Region of the account in which is made what exists once per account: service-linked roles, GitHub's OIDC provider, budget, cost anomalies. Null: `aws_region`."
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
  description = "Addresses that are told by e-mail, beside Slack, of what concerns the account. Each must agree once, by the link that AWS sends."
  type = object({
    urgent  = optional(set(string), [])
    warning = optional(set(string), [])
  })
}

variable "bots_package_path" {
  description = "The zip of app/bots/ that the role bots_package makes, relative to this folder, so that plans of two machines agree."
  type        = string
  default     = "../../.local/bots.zip"
}

variable "detection_enabled" {
  description = "Whether AWS Config records new resources and Slack is told of them (requirement H4)."
  type        = bool
}

variable "detection_resource_types" {
  description = "Types whose creation is told, as AWS Config names them. Each item that is recorded costs 0.003 USD."
  type        = list(string)
}

variable "detection_required_tags" {
  description = "Keys of the tags that a new resource should have; those that it lacks are told."
  type        = list(string)
}

variable "config_delivery_bucket" {
  description = "Bucket into which AWS Config delivers. Null: there is none, and detection must be off or use another's recorder."
  type        = string

  validation {
    condition     = var.config_delivery_bucket != null || !var.detection_enabled || (var.existing_config_recorder != null && var.existing_config_recorder != local.name)
    error_message = "config_delivery_bucket must name a bucket while detection_enabled is true and the account has no other recorder, for example \"settlement-config-123456789012-ap-northeast-2\"."
  }
}

variable "existing_config_recorder" {
  description = "Name of the AWS Config recorder that the account and region have, as bootstrap finds it. Null: none."
  type        = string
  default     = null
}

variable "existing_config_delivery_channel" {
  description = "Name of the AWS Config delivery channel that the account and region have, as bootstrap finds it. Null: none."
  type        = string
  default     = null
}

variable "budget_monthly_usd" {
  description = "What the account may cost in a month, USD; Slack is told at 130 %, spent or forecast (requirement H5). Null: no budget."
  type        = number
}

variable "cost_anomaly_enabled" {
  description = "Whether Slack is told of unusual costs of a service."
  type        = bool
}

variable "cost_anomaly_minimum_usd" {
  description = "Impact of an anomaly from which Slack is told, USD."
  type        = number
}

variable "existing_anomaly_monitor" {
  description = "The cost anomaly monitor of services that the account has, as bootstrap finds it. Null: none."
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
  description = "Number of the repository's owner. Null: GitHub's tokens hold the names only."
  type        = number
}

variable "github_repository_id" {
  description = "Number of the repository. Null: as `github_owner_id`."
  type        = number
}

variable "github_names_trusted" {
  description = "Whether tokens with the names only are trusted beside those with the numbers."
  type        = bool
}

variable "github_environments" {
  description = "Environments that this account has in this region; each is given its roles."
  type        = set(string)
}

variable "github_cost_policy" {
  description = "What the cost report may call, as JSON."
  type        = string
}

variable "https_hosted_zone_id" {
  description = "Hosted zone in which deployments keep the public name. Null: none."
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
  description = "GitHub's OIDC provider that the account has, as bootstrap finds it, and whether it is ours. Null: none."
  type = object({
    arn = string
    own = bool
  })
  default = null
}
