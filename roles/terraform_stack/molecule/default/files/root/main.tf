# Built-in resources only, so that no provider needs to be downloaded; the role works the same.
terraform {
  required_version = ">= 1.11"

  backend "s3" {
    use_lockfile   = true
    use_path_style = true
  }
}

variable "name" {
  description = "Another name is another resource."
  type        = string
}

variable "size" {
  description = "Changes in place."
  type        = number
}

variable "note" {
  description = "Not among the role's variables: only a shell or a stray file would set it."
  type        = string
  default     = null
}

resource "terraform_data" "database" {
  input            = var.size
  triggers_replace = var.name
}

output "database" {
  description = "What was made."
  value       = { name = terraform_data.database.triggers_replace, size = terraform_data.database.output, note = var.note }
}
