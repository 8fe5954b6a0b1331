output "ecr_repository_url" {
  description = "Address of the image repository, without a tag."
  value       = module.ecr.repository_url
}

output "ecr_repository_name" {
  description = "Name of the image repository."
  value       = module.ecr.repository_name
}

output "ecr_repository_arn" {
  description = "ARN of the image repository."
  value       = module.ecr.repository_arn
}

output "slack_webhook_secret_arn" {
  description = "Secret with the URL of Slack's incoming webhook for account events; without a value nothing is sent."
  value       = module.notifications.slack_webhook_secret_arn
}

output "config_recorder_name" {
  description = "The AWS Config recorder whose items the detection-bot receives; null without detection."
  value       = one(module.detection[*].recorder_name)
}

output "undelivered_queue_url" {
  description = "Queue of messages that a bot of the account could not post to Slack."
  value       = module.notifications.undelivered_queue.url
}

output "github_variables" {
  description = "Variables to set at GitHub: of the repository (`environment` is null) and of its environments."
  value       = flatten(module.github[*].variables)
}
