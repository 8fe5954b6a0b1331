variable "name" {
  description = "Name of the repository, for example `settlement`."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 256
    error_message = "name must be 2 to 256 lower-case letters and digits, with single . _ / - between them, for example \"settlement\"."
  }
}

variable "untagged_retention_days" {
  description = "Days after which an image without a tag is deleted. Tagged images are never deleted by a rule: one that counts could delete the image that runs."
  type        = number
  default     = 14

  validation {
    condition     = var.untagged_retention_days >= 1 && floor(var.untagged_retention_days) == var.untagged_retention_days
    error_message = "untagged_retention_days must be a whole number of days, 1 or more, for example 14."
  }
}

variable "force_delete" {
  description = "Whether the repository may be deleted with images in it."
  type        = bool
  default     = false
}
