output "slack_webhook_secret_arn" {
  description = "Secret with the URL of Slack's incoming webhook; without a value nothing is sent."
  value       = aws_secretsmanager_secret.slack_webhook.arn
}
