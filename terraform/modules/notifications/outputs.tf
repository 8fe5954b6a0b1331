output "slack_webhook_secret_arn" {
  description = "Secret with the URL of Slack's incoming webhook; without a value nothing is sent."
  value       = aws_secretsmanager_secret.slack_webhook.arn
}

output "topic_arns" {
  description = "SNS topics by urgency: `urgent` and `warning`."
  value       = { for urgency, topic in aws_sns_topic.this : urgency => topic.arn }

  # Budgets and anomaly subscriptions try the topic when they are made.
  depends_on = [aws_sns_topic_policy.this]
}

output "undelivered_queue" {
  description = "Queue of messages that could not be posted."
  value = {
    arn  = aws_sqs_queue.undelivered.arn
    name = aws_sqs_queue.undelivered.name
    url  = aws_sqs_queue.undelivered.url
  }
}

output "alarm_bot_function_name" {
  description = "Name of the alarm-bot's function."
  value       = module.alarm_bot.function_name
}
