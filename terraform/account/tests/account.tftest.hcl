mock_provider "aws" {
  source = "../tests/mocks"
}

variables {
  app_name       = "storefront"
  aws_account_id = "123456789012"

  bots_package_path      = "provider.tf" # any file: only its hash is read
  config_delivery_bucket = "storefront-config-123456789012-ap-northeast-2"

  aws_region                  = "ap-northeast-2"
  account_home_region         = null
  aws_tags                    = {}
  ecr_untagged_retention_days = 14
  secret_recovery_window_days = 7
  log_retention_days          = 30
  notification_emails         = {}
  detection_enabled           = true
  detection_resource_types = [
    "AWS::EC2::Instance",
    "AWS::EC2::NatGateway",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::VPC",
    "AWS::ECS::Cluster",
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "AWS::Lambda::Function",
    "AWS::RDS::DBInstance",
    "AWS::S3::Bucket",
  ]
  detection_required_tags  = ["Application", "ManagedBy"]
  budget_monthly_usd       = null
  cost_anomaly_enabled     = true
  cost_anomaly_minimum_usd = 20
  github_repository        = null
  github_owner_id          = null
  github_repository_id     = null
  github_names_trusted     = false
  github_environments      = []
  github_cost_policy       = null
  https_hosted_zone_id     = null
  app_secret_arns          = []
  state_bucket             = null
}

run "defaults" {
  assert {
    condition = output.ecr_repository_name == "storefront" && toset(keys(aws_iam_service_linked_role.this)) == toset([
      "config.amazonaws.com", "ecs.amazonaws.com", "ecs.application-autoscaling.amazonaws.com", "elasticloadbalancing.amazonaws.com", "rds.amazonaws.com",
    ])
    error_message = "The account has one repository, named like the application, and the service-linked roles of the services in use."
  }
}

run "the_account_is_watched_by_default" {
  assert {
    condition = (
      output.config_recorder_name == "storefront-account"
      && output.slack_webhook_secret_arn == "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:mock"
      && length(module.cost.anomaly_monitor_arn) > 0
    )
    error_message = "New resources and unusual costs are reported through the account's own webhook."
  }
}

run "nothing_is_watched" {
  variables {
    detection_enabled      = false
    config_delivery_bucket = null
    cost_anomaly_enabled   = false
  }

  assert {
    condition     = output.config_recorder_name == null && length(module.detection) == 0 && module.cost.anomaly_monitor_arn == null
    error_message = "Each part can be left out."
  }
}

run "what_others_made_is_used" {
  variables {
    budget_monthly_usd               = 400
    config_delivery_bucket           = null
    existing_config_recorder         = "default"
    existing_config_delivery_channel = "default"
    existing_anomaly_monitor = {
      arn  = "arn:aws:ce::123456789012:anomalymonitor/default"
      name = "Default-Services-Monitor"
    }
  }

  assert {
    condition = (
      output.config_recorder_name == "default"
      && module.cost.anomaly_monitor_arn == "arn:aws:ce::123456789012:anomalymonitor/default"
      && !local.own_recorder && !local.own_delivery_channel && !local.own_anomaly_monitor
    )
    error_message = "The account's one recorder and one monitor of services are used as they are, and never imported."
  }
}

run "a_recorder_of_our_own_needs_a_bucket" {
  command = plan

  variables {
    config_delivery_bucket = null
  }

  expect_failures = [var.config_delivery_bucket]
}

# (A mocked provider cannot import, so the import itself is tested on the local environment.)
run "existing_roles_are_found_by_their_service" {
  command = plan

  override_data {
    target = data.aws_iam_roles.service_linked
    values = {
      arns = ["arn:aws:iam::123456789012:role/aws-service-role/support.amazonaws.com/AWSServiceRoleForSupport"]
    }
  }

  assert {
    condition     = length(local.existing_service_linked_roles) == 0
    error_message = "Roles of other services are not imported."
  }
}

run "a_second_region_of_the_account" {
  command = plan

  variables {
    aws_region             = "ap-northeast-1"
    account_home_region    = "ap-northeast-2"
    config_delivery_bucket = "storefront-config-123456789012-ap-northeast-1"
    budget_monthly_usd     = 400
    github_repository      = "example/storefront"
    github_environments    = ["tokyo"]
    state_bucket           = "storefront-terraform-123456789012-ap-northeast-1"
    existing_anomaly_monitor = {
      arn  = "arn:aws:ce::123456789012:anomalymonitor/home"
      name = "storefront-account"
    }
    existing_github_provider = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com", own = true }
  }

  assert {
    condition = (
      length(aws_iam_service_linked_role.this) == 0
      && module.cost.anomaly_monitor_arn == null
      && !local.own_anomaly_monitor && !local.own_github_provider
    )
    error_message = "Resources that exist once per account are neither created nor imported outside its home region."
  }

  assert {
    condition = (
      output.config_recorder_name == "storefront-account-ap-northeast-1"
      && output.ecr_repository_name == "storefront"
      && [for variable in output.github_variables : variable.value if variable.name == "AWS_DEPLOY_ROLE"] == ["arn:aws:iam::123456789012:role/storefront-github-deploy-tokyo"]
    )
    error_message = "A second region has its own registry, its own detection of new resources, and the roles of its environments."
  }
}

run "github_is_given_nothing_by_default" {
  assert {
    condition     = length(module.github) == 0 && length(output.github_variables) == 0
    error_message = "Without a repository there is neither a provider nor a role."
  }
}

run "githubs_provider_of_others_is_used" {
  command = plan

  variables {
    github_repository        = "example/storefront"
    github_owner_id          = 123456
    github_repository_id     = 456789
    github_environments      = ["staging"]
    state_bucket             = "storefront-terraform-123456789012-ap-northeast-2"
    existing_github_provider = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com", own = false }
  }

  assert {
    condition     = !local.own_github_provider && length(output.github_variables) == 5
    error_message = "A provider of others is not imported; build, plan (of pull requests and of drift), deploy and rollback have a variable each."
  }
}

run "github_needs_an_environment" {
  command = plan

  variables {
    github_repository = "example/storefront"
    state_bucket      = "storefront-terraform-123456789012-ap-northeast-2"
  }

  expect_failures = [var.github_repository]
}

run "values_of_a_wrong_form_are_refused" {
  command = plan

  variables {
    app_name       = "Storefront"
    aws_region     = "Seoul"
    aws_account_id = "12345"
  }

  expect_failures = [var.app_name, var.aws_region, var.aws_account_id]
}
