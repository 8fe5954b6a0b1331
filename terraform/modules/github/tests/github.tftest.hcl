mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  app_name             = "storefront"
  aws_account_id       = "123456789012"
  aws_region           = "ap-northeast-2"
  github_repository    = "example/storefront"
  github_owner_id      = 123456
  github_repository_id = 456789
  github_environments  = ["staging", "production"]
  state_bucket         = "storefront-terraform-123456789012-ap-northeast-2"
  ecr_repository_name  = "storefront"
  github_cost_policy   = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"

  github_names_trusted = false
  https_hosted_zone_id = null
  app_secret_arns      = []
  provider_exists      = false
}

run "both_environments" {
  command = plan

  assert {
    condition = toset(keys(aws_iam_role.this)) == toset([
      "build", "cost", "deploy-production", "deploy-staging", "plan-production", "plan-staging", "rollback-production", "rollback-staging",
    ])
    error_message = "One role for each workflow and environment."
  }

  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
  assert {
    condition     = alltrue([for policy in concat(values(aws_iam_policy.this), values(aws_iam_policy.workload_boundary), values(aws_iam_policy.deploy_boundary)) : length(policy.policy) <= 6144])
    error_message = "IAM allows 6,144 characters for a managed policy."
  }

  assert {
    condition     = alltrue([for role in values(aws_iam_role.this) : length(role.name) <= 64 && length(jsondecode(role.assume_role_policy).Statement) == 1])
    error_message = "A role's name has 64 characters at most, and one statement says who takes it."
  }
}

run "names_only" {
  command = plan

  variables {
    github_owner_id      = null
    github_repository_id = null
  }
}

run "between_the_forms" {
  command = plan

  variables {
    github_names_trusted = true
  }
}

run "an_account_of_production_alone" {
  command = plan

  variables {
    github_environments  = ["production"]
    provider_exists      = true
    https_hosted_zone_id = "Z0EXAMPLE"
  }

  assert {
    condition     = toset(keys(aws_iam_role.this)) == toset(["cost", "deploy-production", "plan-production", "rollback-production"]) && length(aws_iam_openid_connect_provider.this) == 0
    error_message = "Without the main environment neither build nor a pull request has a role; a provider of others is used."
  }
}

run "one_id_is_not_enough" {
  command = plan

  variables {
    github_repository_id = null
  }

  expect_failures = [var.github_repository_id]
}

run "wrong_values_are_refused" {
  command = plan

  variables {
    github_repository   = "example/*"
    github_environments = ["staging", "staging-two"]
  }

  expect_failures = [var.github_repository, var.github_environments]
}

run "the_cost_report_needs_its_policy" {
  command = plan

  variables {
    github_cost_policy = null
  }

  expect_failures = [var.github_cost_policy]
}
