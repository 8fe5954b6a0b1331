mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name              = "storefront-test"
  aws_account_id    = "123456789012"
  app_name          = "storefront"
  env_name          = "test"
  bots_package_path = "versions.tf" # any file: only its hash is read

  notification_emails         = {}
  notifications_slack         = true
  secret_recovery_window_days = 7
  log_retention_days          = 30
}

run "defaults" {
  assert {
    condition = (
      aws_secretsmanager_secret.slack_webhook.name == "storefront-test/slack-webhook"
      && aws_secretsmanager_secret.slack_webhook.recovery_window_in_days == 7
    )
    error_message = "The operator sets the webhook under this name, and can restore it for a week."
  }

  assert {
    condition     = { for urgency, topic in aws_sns_topic.this : urgency => topic.name } == { urgent = "storefront-test-urgent", warning = "storefront-test-warning" }
    error_message = "Two topics, by urgency."
  }

  assert {
    condition     = alltrue([for topic in aws_sns_topic.this : topic.kms_master_key_id == null])
    error_message = "With AWS's own key CloudWatch could not publish."
  }

  assert {
    condition = (
      aws_sqs_queue.undelivered.message_retention_seconds == 1209600 && aws_sqs_queue.undelivered.sqs_managed_sse_enabled
      && output.undelivered_queue.name == "storefront-test-undelivered"
    )
    error_message = "Messages that could not be posted are kept for two weeks, encrypted."
  }

  assert {
    condition     = length(aws_sns_topic_subscription.email) == 0
    error_message = "No e-mail unless somebody asks for it."
  }
}

run "who_may_publish" {
  assert {
    condition = alltrue([
      for urgency, policy in aws_sns_topic_policy.this : toset(flatten([
        for statement in jsondecode(policy.policy).Statement : [
          for service in flatten([statement.Principal.Service]) :
          "${statement.Effect} ${statement.Action} ${statement.Resource} ${service} ${jsonencode(try(statement.Condition, {}))}"
        ]
        ])) == toset([
        "Allow sns:Publish ${output.topic_arns[urgency]} budgets.amazonaws.com {\"StringEquals\":{\"aws:SourceAccount\":\"123456789012\"}}",
        "Allow sns:Publish ${output.topic_arns[urgency]} cloudwatch.amazonaws.com {\"StringEquals\":{\"aws:SourceAccount\":\"123456789012\"}}",
        "Allow sns:Publish ${output.topic_arns[urgency]} costalerts.amazonaws.com {\"StringEquals\":{\"aws:SourceAccount\":\"123456789012\"}}",
        "Allow sns:Publish ${output.topic_arns[urgency]} events.amazonaws.com {}",
      ])
    ]) && length(aws_sns_topic_policy.this) == 2
    error_message = "Services of this account only; EventBridge without a condition, because AWS supports none."
  }

  assert {
    condition = [for statement in jsondecode(aws_sqs_queue.undelivered.policy).Statement : statement] == [{
      Sid       = "TopicsOfThisModule"
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Resource  = "arn:aws:sqs:ap-northeast-2:123456789012:storefront-test-undelivered"
      Principal = { Service = "sns.amazonaws.com" }
      Condition = { ArnEquals = { "aws:SourceArn" = [output.topic_arns.urgent, output.topic_arns.warning] } }
    }]
    error_message = "Only these topics may send undelivered messages to the queue."
  }
}

run "the_alarm_bot_reads_both_topics" {
  assert {
    condition = (
      { for urgency, permission in aws_lambda_permission.topic : urgency => "${permission.principal} ${permission.source_arn} ${permission.source_account} ${permission.function_name}" }
      == { for urgency, arn in output.topic_arns : urgency => "sns.amazonaws.com ${arn} 123456789012 storefront-test-alarm-bot" }
    )
    error_message = "Each topic, and nobody else, may invoke the alarm-bot."
  }

  assert {
    condition = alltrue([
      for urgency, subscription in aws_sns_topic_subscription.alarm_bot :
      subscription.topic_arn == output.topic_arns[urgency] && subscription.protocol == "lambda"
      && jsondecode(subscription.redrive_policy).deadLetterTargetArn == output.undelivered_queue.arn
    ]) && length(aws_sns_topic_subscription.alarm_bot) == 2
    error_message = "Both topics deliver to the alarm-bot, and to the queue if that fails."
  }

  assert {
    condition     = output.alarm_bot_function_name == "storefront-test-alarm-bot"
    error_message = "The alarm-bot's name."
  }
}

run "e_mail_by_urgency" {
  variables {
    notification_emails = { urgent = ["on-call@example.com"], warning = ["on-call@example.com", "team@example.com"] }
  }

  assert {
    condition = toset([
      for subscription in aws_sns_topic_subscription.email : "${subscription.protocol} ${subscription.endpoint} ${subscription.topic_arn}"
      ]) == toset([
      "email on-call@example.com ${output.topic_arns.urgent}",
      "email on-call@example.com ${output.topic_arns.warning}",
      "email team@example.com ${output.topic_arns.warning}",
    ])
    error_message = "Each address is notified by its urgency."
  }
}

run "values_of_a_wrong_form_are_refused" {
  command = plan

  variables {
    name                        = "Storefront"
    aws_account_id              = "1234"
    notification_emails         = { urgent = ["on-call"] }
    secret_recovery_window_days = 3
  }

  expect_failures = [var.name, var.aws_account_id, var.notification_emails, var.secret_recovery_window_days]
}
