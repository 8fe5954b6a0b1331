mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name                     = "storefront-test-query-bot"
  description              = "Tells Slack of slow queries."
  handler                  = "bots.query_bot.handler"
  bots_package_path        = "versions.tf" # any file: only its hash is read
  environment              = { APP_NAME = "storefront", ENVIRONMENT = "test" }
  notifications_slack      = false
  slack_webhook_secret_arn = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:webhook"
  undelivered_queue = {
    arn = "arn:aws:sqs:ap-northeast-2:123456789012:undelivered"
    url = "https://sqs.ap-northeast-2.amazonaws.com/123456789012/undelivered"
  }
  permissions = {
    Deduplicate = {
      actions   = ["dynamodb:UpdateItem"]
      resources = ["arn:aws:dynamodb:ap-northeast-2:123456789012:table/statements"]
    }
  }

  log_retention_days = 30
}

run "defaults" {
  assert {
    condition = (
      aws_lambda_function.this.function_name == "storefront-test-query-bot"
      && aws_lambda_function.this.handler == "bots.query_bot.handler"
      && aws_lambda_function.this.runtime == "python3.13" && aws_lambda_function.this.architectures == tolist(["arm64"])
      && aws_lambda_function.this.memory_size == 256 && aws_lambda_function.this.timeout == 60
      && aws_lambda_function.this.source_code_hash == filebase64sha256("versions.tf")
      && length(aws_lambda_function.this.vpc_config) == 0
    )
    error_message = "A small function, outside the VPC, deployed again only if the zip's bytes differ."
  }

  assert {
    condition = one(aws_lambda_function.this.environment).variables == tomap({
      APP_NAME                 = "storefront"
      ENVIRONMENT              = "test"
      SLACK_IN_USE             = "false"
      SLACK_WEBHOOK_SECRET_ARN = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:webhook"
      UNDELIVERED_QUEUE_URL    = "https://sqs.ap-northeast-2.amazonaws.com/123456789012/undelivered"
    })
    error_message = "The configuration has the ARN of the webhook's secret, not the webhook."
  }

  assert {
    condition = (
      one(aws_lambda_function.this.dead_letter_config).target_arn == "arn:aws:sqs:ap-northeast-2:123456789012:undelivered"
      && aws_lambda_function_event_invoke_config.this.maximum_retry_attempts == 2
    )
    error_message = "An event on which the function fails is tried twice more and then kept."
  }

  assert {
    condition = (
      aws_cloudwatch_log_group.this.name == "/aws/lambda/storefront-test-query-bot"
      && aws_cloudwatch_log_group.this.retention_in_days == 30
    )
    error_message = "The log is not kept for ever."
  }

  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : [
        for pair in setproduct(statement.Action, statement.Resource) : "${statement.Effect} ${pair[0]} ${pair[1]}"
      ]
      ])) == toset([
      "Allow logs:CreateLogStream arn:aws:logs:ap-northeast-2:123456789012:log-group:mock:*",
      "Allow logs:PutLogEvents arn:aws:logs:ap-northeast-2:123456789012:log-group:mock:*",
      "Allow secretsmanager:GetSecretValue arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:webhook",
      "Allow sqs:SendMessage arn:aws:sqs:ap-northeast-2:123456789012:undelivered",
      "Allow dynamodb:UpdateItem arn:aws:dynamodb:ap-northeast-2:123456789012:table/statements",
    ])
    error_message = "The role may write its log, read one secret, write to one queue and use the given permissions."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role.this.assume_role_policy).Statement : "${statement.Effect} ${statement.Action} ${statement.Principal.Service}"] == [
      "Allow sts:AssumeRole lambda.amazonaws.com",
    ]
    error_message = "Only Lambda may take the role."
  }
}

run "values_of_a_wrong_form_are_refused" {
  command = plan

  variables {
    name               = "Query Bot"
    handler            = "query_bot.handler"
    environment        = { URL = "https://hooks.slack.com/services/T/B/x" }
    memory_mb          = 64
    timeout_seconds    = 901
    log_retention_days = 31
  }

  expect_failures = [
    var.name,
    var.handler,
    var.environment,
    var.memory_mb,
    var.timeout_seconds,
    var.log_retention_days,
  ]
}

run "without_a_package_the_refusal_says_so" {
  command = plan

  variables {
    bots_package_path = "absent.zip"
  }

  expect_failures = [var.bots_package_path]
}
