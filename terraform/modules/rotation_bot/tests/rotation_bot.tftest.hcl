mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name              = "storefront-test"
  aws_account_id    = "123456789012"
  aws_region        = "ap-northeast-2"
  app_name          = "storefront"
  env_name          = "test"
  bots_package_path = "versions.tf" # any file: only its hash is read
  cluster_name      = "storefront-test"
  service_name      = "storefront-test"
  secret_arns = [
    "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront-test/database/app-AbCdEf",
    "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront-test/database/app-clone-AbCdEf",
  ]
  lock                     = { bucket = "states", key = "locks/test.json" }
  notifications_slack      = true
  slack_webhook_secret_arn = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:webhook"
  undelivered_queue = {
    arn = "arn:aws:sqs:ap-northeast-2:123456789012:undelivered"
    url = "https://sqs.ap-northeast-2.amazonaws.com/123456789012/undelivered"
  }

  log_retention_days       = 30
  permissions_boundary_arn = null
}

run "which_events" {
  assert {
    condition = aws_cloudwatch_event_rule.changed.event_pattern == jsonencode({
      source      = ["aws.secretsmanager"]
      detail-type = ["Secret Label Updated"]
      resources   = var.secret_arns
      detail      = { labelUpdated = ["AWSCURRENT"] }
    })
    error_message = "A new current value of one of these secrets, and no other event."
  }

  assert {
    condition     = output.function_name == "storefront-test-rotation-bot" && aws_cloudwatch_event_target.bot.rule == "storefront-test-secret-changed"
    error_message = "The rule's target is the bot."
  }
}

run "who_may_invoke" {
  assert {
    condition = (
      aws_lambda_permission.events.function_name == "storefront-test-rotation-bot"
      && aws_lambda_permission.events.action == "lambda:InvokeFunction" && aws_lambda_permission.events.principal == "events.amazonaws.com"
      && aws_lambda_permission.events.source_arn == aws_cloudwatch_event_rule.changed.arn
    )
    error_message = "Only the rule may invoke the bot."
  }
}

run "without_secrets_it_would_be_about_all" {
  command = plan

  variables {
    secret_arns = []
  }

  expect_failures = [var.secret_arns]
}
