# The roles of GitHub's workflows, if the workflows of a repository act in this account.
locals {
  # Ours by its tags: in the state, or imported again. A provider that others made stays theirs.
  own_github_provider = local.is_home && var.github_repository != null && try(var.existing_github_provider.own, false)
}

module "github" {
  source = "../modules/github"
  count  = var.github_repository == null ? 0 : 1

  app_name             = var.app_name
  aws_account_id       = var.aws_account_id
  aws_region           = var.aws_region
  github_repository    = var.github_repository
  github_owner_id      = var.github_owner_id
  github_repository_id = var.github_repository_id
  github_names_trusted = var.github_names_trusted
  github_environments  = var.github_environments
  state_bucket         = var.state_bucket
  ecr_repository_name  = module.ecr.repository_name
  github_cost_policy   = var.github_cost_policy
  https_hosted_zone_id = var.https_hosted_zone_id
  app_secret_arns      = var.app_secret_arns
  provider_exists      = !local.is_home || (var.existing_github_provider != null && !local.own_github_provider)
}

import {
  for_each = toset(local.own_github_provider ? [var.existing_github_provider.arn] : [])

  to = module.github[0].aws_iam_openid_connect_provider.this[0]
  id = each.key
}
