mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name                = "storefront-test"
  aws_account_id      = "123456789012"
  subnet_ids          = ["subnet-a", "subnet-b", "subnet-c"]
  security_group_id   = "sg-0123456789abcdef0"
  instance_identifier = "storefront-test"
  app_database_secret_arns = [
    "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront-test/database/app-AbCdEf",
    "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront-test/database/app-clone-AbCdEf",
  ]

  rds_proxy_max_connections_percent      = 75
  rds_proxy_max_idle_connections_percent = 25
  log_retention_days                     = 30
  permissions_boundary_arn               = null
}

run "defaults" {
  assert {
    condition = (
      aws_db_proxy.this.name == "storefront-test" && aws_db_proxy.this.engine_family == "POSTGRESQL"
      && aws_db_proxy.this.require_tls && !aws_db_proxy.this.debug_logging
      && toset(aws_db_proxy.this.vpc_subnet_ids) == toset(["subnet-a", "subnet-b", "subnet-c"])
      && toset(aws_db_proxy.this.vpc_security_group_ids) == toset(["sg-0123456789abcdef0"])
    )
    error_message = "The proxy is PostgreSQL's, takes TLS only, logs no statement, and has one security group."
  }

  assert {
    condition = (
      alltrue([for auth in aws_db_proxy.this.auth : auth.auth_scheme == "SECRETS" && auth.iam_auth == "DISABLED"])
      && alltrue([for auth in aws_db_proxy.this.auth : auth.client_password_auth_type == "POSTGRES_SCRAM_SHA_256"])
      && toset([for auth in aws_db_proxy.this.auth : auth.secret_arn]) == toset(var.app_database_secret_arns)
    )
    error_message = "The proxy knows the application's two users at any time, by SCRAM, and nobody else."
  }

  # The application recycles a connection after DATABASE_POOL_RECYCLE_SECONDS, 1800.
  assert {
    condition     = aws_db_proxy.this.idle_client_timeout > 1800
    error_message = "The proxy must not close a connection that the application still keeps."
  }

  assert {
    condition = (
      aws_db_proxy_default_target_group.this.connection_pool_config[0].max_connections_percent == 75
      && aws_db_proxy_default_target_group.this.connection_pool_config[0].max_idle_connections_percent == 25
      && aws_db_proxy_default_target_group.this.connection_pool_config[0].connection_borrow_timeout == 5
      && aws_db_proxy_target.this.db_instance_identifier == "storefront-test"
      && aws_db_proxy_target.this.db_proxy_name == "storefront-test"
    )
    error_message = "The target is the instance, with the limits of the pool."
  }

  assert {
    condition = jsonencode(jsondecode(aws_iam_role_policy.this.policy).Statement) == jsonencode([{
      Sid      = "AppDatabaseSecret"
      Effect   = "Allow"
      Action   = "secretsmanager:GetSecretValue"
      Resource = var.app_database_secret_arns
    }])
    error_message = "The proxy reads the application's secrets, and nothing else."
  }

  assert {
    condition = (
      jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal.Service == "rds.amazonaws.com"
      && jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    )
    error_message = "Only RDS may take the role, for this account."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/rds/proxy/storefront-test" && aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "The proxy's log is kept for a while, not for ever."
  }

  assert {
    condition     = output.host == "mock.proxy.rds.amazonaws.com"
    error_message = "The service's host is the proxy's endpoint."
  }
}

run "values_of_a_wrong_form_are_refused" {
  command = plan

  variables {
    subnet_ids                        = ["subnet-a"]
    rds_proxy_max_connections_percent = 101
  }

  expect_failures = [var.subnet_ids, var.rds_proxy_max_connections_percent]
}

run "more_idle_connections_than_connections_are_refused" {
  command = plan

  variables {
    rds_proxy_max_connections_percent      = 20
    rds_proxy_max_idle_connections_percent = 21
  }

  expect_failures = [var.rds_proxy_max_idle_connections_percent]
}
