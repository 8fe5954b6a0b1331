# The roles of GitHub's workflows, where there is a repository whose workflows act here.
locals {
  # Ours by its tags: it is in the state already, or comes back to it. Another's stays theirs.
  own_github_provider = local.is_home && var.github_repository != null && try(var.existing_github_provider.own, false)
}

module "github" {
  source = "../modules/github"
  count  = var.github_repository == null ? 0 : 1

  app_name             = var.app_name
  account_id           = var.account_id
  region               = var.region
  repository           = var.github_repository
  owner_id             = var.github_owner_id
  repository_id        = var.github_repository_id
  names_trusted        = var.github_names_trusted
  environments         = var.github_environments
  state_bucket         = var.state_bucket
  ecr_repository_name  = module.ecr.repository_name
  cost_policy          = var.github_cost_policy
  hosted_zone_id       = var.github_hosted_zone_id
  workload_secret_arns = var.github_workload_secret_arns
  provider_exists      = !local.is_home || (var.existing_github_provider != null && !local.own_github_provider)
}

import {
  for_each = toset(local.own_github_provider ? [var.existing_github_provider.arn] : [])

  to = module.github[0].aws_iam_openid_connect_provider.this[0]
  id = each.key
}
