# The alarm-bot posts to Slack what is published to a topic.
module "alarm_bot" {
  source = "../bot"

  name                     = "${var.name}-alarm-bot"
  permissions_boundary_arn = var.permissions_boundary_arn
  description              = "Tells Slack what is published to the topics, alarms above all."
  handler                  = "bots.alarm_bot.handler"
  bots_package_path        = var.bots_package_path
  notifications_slack      = var.notifications_slack
  slack_webhook_secret_arn = aws_secretsmanager_secret.slack_webhook.arn
  undelivered_queue = {
    arn = aws_sqs_queue.undelivered.arn
    url = aws_sqs_queue.undelivered.url
  }
  environment = {
    APP_NAME         = var.app_name
    ENVIRONMENT      = var.env_name
    URGENT_TOPIC_ARN = aws_sns_topic.this["urgent"].arn
  }
  log_retention_days = var.log_retention_days
}

resource "aws_lambda_permission" "topic" {
  for_each = local.urgencies

  statement_id   = "sns-${each.key}"
  action         = "lambda:InvokeFunction"
  function_name  = module.alarm_bot.function_name
  principal      = "sns.amazonaws.com"
  source_arn     = aws_sns_topic.this[each.key].arn
  source_account = var.aws_account_id
}

resource "aws_sns_topic_subscription" "alarm_bot" {
  for_each = local.urgencies

  topic_arn      = aws_sns_topic.this[each.key].arn
  protocol       = "lambda"
  endpoint       = module.alarm_bot.function_arn
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.undelivered.arn })

  depends_on = [aws_lambda_permission.topic]
}
