variable "app_name" {
  description = "Name of the application."
  type        = string

  validation {
    condition     = can(regex("^[a-z](-?[a-z0-9])*$", var.app_name))
    error_message = "app_name must be lower-case letters, digits and single hyphens, and begin with a letter, for example \"settlement\"; it is \"${var.app_name}\"."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "ap-northeast-2"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the code of an AWS region, for example \"ap-northeast-2\"; it is \"${var.region}\"."
  }
}

variable "account_id" {
  description = "AWS account. Credentials of any other account are refused."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits, in quotes, for example \"123456789012\"; it is \"${var.account_id}\"."
  }
}

variable "tags" {
  description = "Further tags of every resource."
  type        = map(string)
  default     = {}
}

variable "ecr_repository_name" {
  description = "Name of the image repository. Null: `app_name`."
  type        = string
  default     = null
}

variable "ecr_untagged_retention_days" {
  description = "Days after which an image without a tag is deleted."
  type        = number
  default     = 14
}

variable "ecr_force_delete" {
  description = "Whether the repository may be deleted with images in it."
  type        = bool
  default     = false
}
