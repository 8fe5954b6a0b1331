mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name                     = "storefront-account"
  app_name                 = "storefront"
  detection_resource_types = ["AWS::S3::Bucket", "AWS::EC2::SecurityGroup"]
  detection_required_tags  = ["Application", "ManagedBy"]
  role_arn                 = "arn:aws:iam::123456789012:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"
  config_delivery_bucket   = "storefront-config-123456789012-ap-northeast-2"
  bots_package_path        = "main.tf" # any file
  slack_webhook_secret_arn = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:mock"
  undelivered_queue = {
    arn = "arn:aws:sqs:ap-northeast-2:123456789012:mock"
    url = "https://sqs.ap-northeast-2.amazonaws.com/123456789012/mock"
  }

  existing_config_recorder         = null
  existing_config_delivery_channel = null
  log_retention_days               = 30
}

run "a_new_account_gets_a_recorder_of_the_chosen_types" {
  assert {
    condition = (
      aws_config_configuration_recorder.this[0].name == "storefront-account"
      && aws_config_configuration_recorder.this[0].role_arn == var.role_arn
      && !aws_config_configuration_recorder.this[0].recording_group[0].all_supported
      && aws_config_configuration_recorder.this[0].recording_group[0].resource_types == toset(["AWS::S3::Bucket", "AWS::EC2::SecurityGroup"])
      && aws_config_configuration_recorder.this[0].recording_group[0].recording_strategy[0].use_only == "INCLUSION_BY_RESOURCE_TYPES"
      && aws_config_configuration_recorder.this[0].recording_mode[0].recording_frequency == "CONTINUOUS"
    )
    error_message = "The recorder records the chosen types and no others, at once, with the service-linked role."
  }

  assert {
    condition = (
      aws_config_delivery_channel.this[0].s3_bucket_name == "storefront-config-123456789012-ap-northeast-2"
      && aws_config_configuration_recorder_status.this[0].is_enabled
      && aws_config_configuration_recorder_status.this[0].name == "storefront-account"
    )
    error_message = "The recorder runs, and delivers into the bucket that is given."
  }

  assert {
    condition = (
      jsondecode(aws_cloudwatch_event_rule.created.event_pattern).source == ["aws.config"]
      && jsondecode(aws_cloudwatch_event_rule.created.event_pattern).detail["$or"][0].configurationItemDiff.changeType == ["CREATE"]
      && jsondecode(aws_cloudwatch_event_rule.created.event_pattern).detail["$or"][0].configurationItem.resourceType == ["AWS::S3::Bucket", "AWS::EC2::SecurityGroup"]
      && jsondecode(aws_cloudwatch_event_rule.created.event_pattern).detail["$or"][1] == {
        messageType              = ["OversizedConfigurationItemChangeNotification"]
        configurationItemSummary = { resourceType = ["AWS::S3::Bucket", "AWS::EC2::SecurityGroup"], changeType = ["CREATE"] }
      }
    )
    error_message = "Only creations of the chosen types reach the bot, also those whose item is too large for a notification."
  }

  assert {
    condition = (
      aws_lambda_permission.events.principal == "events.amazonaws.com"
      && aws_lambda_permission.events.source_arn == aws_cloudwatch_event_rule.created.arn
      && aws_lambda_permission.events.function_name == "storefront-account-detection-bot"
      && aws_cloudwatch_event_target.bot.arn == module.bot.function_arn
    )
    error_message = "This rule alone may call the bot."
  }

  assert {
    condition = (
      aws_dynamodb_table.told.hash_key == "fingerprint" && aws_dynamodb_table.told.billing_mode == "PAY_PER_REQUEST"
      && aws_dynamodb_table.told.ttl[0].attribute_name == "expires_at" && aws_dynamodb_table.told.ttl[0].enabled
      && output.recorder_name == "storefront-account"
    )
    error_message = "Posted events are remembered for a while, and the bot gets the recorder's name."
  }
}

run "a_recorder_that_others_made_is_used_as_it_is" {
  variables {
    existing_config_recorder         = "default"
    existing_config_delivery_channel = "default"
    config_delivery_bucket           = null
  }

  assert {
    condition = (
      length(aws_config_configuration_recorder.this) == 0 && length(aws_config_delivery_channel.this) == 0
      && length(aws_config_configuration_recorder_status.this) == 0 && output.recorder_name == "default"
    )
    error_message = "Nothing of others is created, changed or stopped; the bot uses their recorder."
  }
}

run "a_channel_without_a_recorder_is_used_too" {
  command = plan

  variables {
    existing_config_delivery_channel = "default"
  }

  assert {
    condition = (
      length(aws_config_configuration_recorder.this) == 1 && length(aws_config_delivery_channel.this) == 0
      && length(aws_config_configuration_recorder_status.this) == 1
    )
    error_message = "There is at most one channel: the recorder delivers through the existing one."
  }
}

run "our_own_is_known_again" {
  command = plan

  variables {
    existing_config_recorder         = "storefront-account"
    existing_config_delivery_channel = "storefront-account"
  }

  assert {
    condition     = length(aws_config_configuration_recorder.this) == 1 && length(aws_config_delivery_channel.this) == 1
    error_message = "A second apply must not treat our own recorder as one of others."
  }
}

run "values_of_a_wrong_form_are_refused" {
  command = plan

  variables {
    name                     = "Storefront"
    detection_resource_types = ["S3 bucket"]
    detection_required_tags  = ["Application,ManagedBy"]
  }

  expect_failures = [var.name, var.detection_resource_types, var.detection_required_tags]
}

run "no_type_at_all_is_refused" {
  command = plan

  variables {
    detection_resource_types = []
  }

  expect_failures = [var.detection_resource_types]
}
