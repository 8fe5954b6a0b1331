mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name                             = "storefront-test"
  aws_account_id                   = "123456789012"
  app_name                         = "storefront"
  env_name                         = "test"
  bots_package_path                = "versions.tf" # any file: only its hash is read
  database_slow_query_milliseconds = 3000
  log_group = {
    arn  = "arn:aws:logs:ap-northeast-2:123456789012:log-group:/aws/rds/instance/storefront-test/postgresql"
    name = "/aws/rds/instance/storefront-test/postgresql"
  }
  notifications_slack      = true
  slack_webhook_secret_arn = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:webhook"
  undelivered_queue = {
    arn = "arn:aws:sqs:ap-northeast-2:123456789012:undelivered"
    url = "https://sqs.ap-northeast-2.amazonaws.com/123456789012/undelivered"
  }

  query_bot_window_seconds  = 3600
  query_bot_redact_literals = true
  log_retention_days        = 30
  permissions_boundary_arn  = null
}

run "defaults" {
  assert {
    condition = (
      aws_dynamodb_table.statements.name == "storefront-test-slow-queries" && aws_dynamodb_table.statements.billing_mode == "PAY_PER_REQUEST"
      && aws_dynamodb_table.statements.hash_key == "fingerprint" && one(aws_dynamodb_table.statements.attribute).type == "S"
      && one(aws_dynamodb_table.statements.ttl).attribute_name == "expires_at" && one(aws_dynamodb_table.statements.ttl).enabled
    )
    error_message = "An on-demand table whose items expire."
  }

  assert {
    condition = (
      aws_cloudwatch_log_subscription_filter.slow_queries.log_group_name == "/aws/rds/instance/storefront-test/postgresql"
      && aws_cloudwatch_log_subscription_filter.slow_queries.filter_pattern == "\"duration:\""
    )
    error_message = "Lines with a duration go to the bot."
  }

  assert {
    condition     = output.function_name == "storefront-test-query-bot" && output.table_name == "storefront-test-slow-queries"
    error_message = "Names that an operator looks for."
  }
}

run "who_may_invoke" {
  assert {
    condition = (
      aws_lambda_permission.logs.function_name == "storefront-test-query-bot"
      && aws_lambda_permission.logs.action == "lambda:InvokeFunction" && aws_lambda_permission.logs.principal == "logs.amazonaws.com"
      && aws_lambda_permission.logs.source_arn == "arn:aws:logs:ap-northeast-2:123456789012:log-group:/aws/rds/instance/storefront-test/postgresql:*"
      && aws_lambda_permission.logs.source_account == "123456789012"
    )
    error_message = "Only the database's log group of this account may invoke the bot."
  }
}

run "values_of_a_wrong_form_are_refused" {
  command = plan

  variables {
    name                             = "Storefront"
    aws_account_id                   = "1234"
    database_slow_query_milliseconds = 0
    query_bot_window_seconds         = 0
  }

  expect_failures = [var.name, var.aws_account_id, var.database_slow_query_milliseconds, var.query_bot_window_seconds]
}
