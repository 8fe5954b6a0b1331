mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name = "settlement-test"
}

run "defaults" {
  command = plan

  assert {
    condition = (
      aws_secretsmanager_secret.slack_webhook.name == "settlement-test/slack-webhook"
      && aws_secretsmanager_secret.slack_webhook.recovery_window_in_days == 7
    )
    error_message = "The operator puts the webhook under this very name, and can bring it back for a week."
  }
}

run "values_of_a_wrong_form_are_refused" {
  command = plan

  variables {
    name                        = "Settlement"
    secret_recovery_window_days = 3
  }

  expect_failures = [var.name, var.secret_recovery_window_days]
}
