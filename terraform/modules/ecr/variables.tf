variable "name" {
  description = "Name of the repository, for example `storefront`."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 256
    error_message = "name must be 2 to 256 lower-case letters and digits, with single . _ / - between them, for example \"storefront\"."
  }
}

variable "ecr_untagged_retention_days" {
  description = "Days after which an image without a tag is deleted. No rule deletes tagged images, because a rule that counts them could delete the running image."
  type        = number

  validation {
    condition     = var.ecr_untagged_retention_days >= 1 && floor(var.ecr_untagged_retention_days) == var.ecr_untagged_retention_days
    error_message = "ecr_untagged_retention_days must be a whole number of days, 1 or more, for example 14."
  }
}

variable "ecr_force_delete" {
  description = "Whether the repository may be deleted with images in it."
  type        = bool
}
