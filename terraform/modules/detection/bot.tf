# From a resource's creation to Slack. The bot drops repeated events and resources that are older than the recorder.
module "bot" {
  source = "../bot"

  name                     = "${var.name}-detection-bot"
  description              = "Posts each new resource to Slack: what, where, by whom, and which tags are missing."
  handler                  = "bots.detection_bot.handler"
  bots_package_path        = var.bots_package_path
  notifications_slack      = true # of the account: an environment has its own setting
  slack_webhook_secret_arn = var.slack_webhook_secret_arn
  undelivered_queue        = var.undelivered_queue
  log_retention_days       = var.log_retention_days

  environment = {
    APP_NAME            = var.app_name
    ENVIRONMENT         = "account"
    REQUIRED_TAGS       = join(",", var.detection_required_tags)
    RECORDER_NAME       = local.recorder_name
    DEDUPLICATION_TABLE = aws_dynamodb_table.told.name
  }

  permissions = {
    RememberWhatWasTold = {
      actions   = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      resources = [aws_dynamodb_table.told.arn]
    }
    # AWS supports no resource for either action.
    AskSinceWhenAndByWhom = {
      actions   = ["cloudtrail:LookupEvents", "config:DescribeConfigurationRecorderStatus"]
      resources = ["*"]
    }
  }
}

# EventBridge delivers at least once; with this table the bot posts each event once.
resource "aws_dynamodb_table" "told" {
  #checkov:skip=CKV_AWS_28:Fingerprints of what was told: when they are lost, one message is sent twice.
  #checkov:skip=CKV_AWS_119:Only fingerprints are in it; AWS encrypts it with its own key.

  name         = "${var.name}-detection-bot"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "fingerprint"

  attribute {
    name = "fingerprint"
    type = "S"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }
}

# Updates and deletions are not delivered. An item that is larger than a notification may be arrives as a summary:
# https://docs.aws.amazon.com/config/latest/developerguide/oversized-notification-example.html
resource "aws_cloudwatch_event_rule" "created" {
  name        = "${var.name}-resource-created"
  description = "A resource of a chosen type was created, as AWS Config recorded it."

  event_pattern = jsonencode({
    source      = ["aws.config"]
    detail-type = ["Config Configuration Item Change"]
    detail = {
      "$or" = [
        {
          messageType           = ["ConfigurationItemChangeNotification"]
          configurationItem     = { resourceType = var.detection_resource_types }
          configurationItemDiff = { changeType = ["CREATE"] }
        },
        {
          messageType              = ["OversizedConfigurationItemChangeNotification"]
          configurationItemSummary = { resourceType = var.detection_resource_types, changeType = ["CREATE"] }
        },
      ]
    }
  })
}

resource "aws_cloudwatch_event_target" "bot" {
  rule      = aws_cloudwatch_event_rule.created.name
  target_id = "detection-bot"
  arn       = module.bot.function_arn

  depends_on = [aws_lambda_permission.events]
}

resource "aws_lambda_permission" "events" {
  statement_id  = "EventBridge"
  action        = "lambda:InvokeFunction"
  function_name = module.bot.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.created.arn
}
