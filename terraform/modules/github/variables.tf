variable "app_name" {
  description = "Name of the application: the first part of the roles' names."
  type        = string
}

variable "aws_account_id" {
  description = "AWS account of the roles, 12 digits."
  type        = string
}

variable "aws_region" {
  description = "Region in which the workflows work, for example `ap-northeast-2`."
  type        = string
}

variable "github_repository" {
  description = "GitHub repository whose workflows take the roles, as `owner/name`, in GitHub's own spelling."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9](-?[A-Za-z0-9])*/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "github_repository must be owner/name, with no wildcard, for example \"example/storefront\"; it is \"${var.github_repository}\"."
  }
}

variable "github_owner_id" {
  description = "Numeric ID of the repository's owner. Null: GitHub's tokens contain only the names (a repository older than 2026-07-15)."
  type        = number
}

variable "github_repository_id" {
  description = "Numeric ID of the repository. Null: as `github_owner_id`."
  type        = number

  validation {
    condition     = (var.github_owner_id == null) == (var.github_repository_id == null)
    error_message = "github_owner_id and github_repository_id belong together: give both, for example 123456 and 456789, or neither."
  }
}

variable "github_names_trusted" {
  description = "Whether tokens with only the names are trusted besides those with the IDs, while GitHub changes from one to the other."
  type        = bool
}

variable "github_environments" {
  description = "Environments that this account has; each gets its own roles, for example `[\"staging\", \"production\"]`."
  type        = set(string)

  validation {
    condition = length(var.github_environments) > 0 && alltrue([
      for name in var.github_environments : can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", name)) && !contains(["account", "github", "cost"], split("-", name)[0])
      && alltrue([for other in var.github_environments : !startswith(other, "${name}-")])
    ])
    error_message = "github_environments must be one or more names of lower-case letters, digits and single hyphens, none beginning with account, github or cost, and none beginning with another's name and a hyphen (rights are given by the prefix), for example [\"staging\", \"production\"]."
  }
}

variable "main_environment" {
  description = "The environment that a pull request plans. The workflow build pushes images to its account."
  type        = string
  default     = "staging"
}

variable "cost_environment" {
  description = "The environment whose account the workflow cost reports on."
  type        = string
  default     = "production"
}

variable "github_cost_policy" {
  description = "IAM policy of the cost report, as JSON: `roles/cost_report/files/policy.json`. Null only if `cost_environment` is not one of `github_environments`."
  type        = string

  validation {
    condition     = !contains(var.github_environments, var.cost_environment) || can(jsondecode(var.github_cost_policy).Statement)
    error_message = "github_cost_policy must be a policy as JSON, for example the text of roles/cost_report/files/policy.json, since github_environments names ${var.cost_environment}."
  }
}

variable "state_bucket" {
  description = "Bucket of Terraform's states, the locks and the ledgers."
  type        = string
}

variable "ecr_repository_name" {
  description = "Image repository to which the workflow build pushes."
  type        = string
}

variable "https_hosted_zone_id" {
  description = "Route 53 hosted zone whose records deployments may change. Null: none."
  type        = string
}

variable "app_secret_arns" {
  description = "Further secrets that the environments' tasks may read, besides their own."
  type        = list(string)
}

variable "provider_exists" {
  description = "Whether others already made GitHub's OIDC provider in this account; it is then used as it is."
  type        = bool
}
