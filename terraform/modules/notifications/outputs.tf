output "slack_webhook_secret_arn" {
  description = "Secret with the URL of Slack's incoming webhook; without a value nothing is sent."
  value       = aws_secretsmanager_secret.slack_webhook.arn
}

output "topic_arns" {
  description = "SNS topics by urgency: `urgent` and `warning`."
  value       = { for urgency, topic in aws_sns_topic.this : urgency => topic.arn }
}

output "undelivered_queue" {
  description = "Queue of what a bot could not post."
  value = {
    arn = aws_sqs_queue.undelivered.arn
    url = aws_sqs_queue.undelivered.url
  }
}
