# Where the playbooks find Slack. The URL alone is the right to post, so it is a secret, and its value is the operator's:
# it is in no variable, plan or state (README).
resource "aws_secretsmanager_secret" "slack_webhook" {
  name                    = "${var.name}/slack-webhook"
  description             = "Slack's incoming webhook for the releases' notifications: the URL, put there by the operator."
  recovery_window_in_days = var.secret_recovery_window_days
}

# Two urgencies: a person is woken by the one, and reads the other in the morning.
resource "aws_sns_topic" "this" {
  for_each = toset(["urgent", "warning"])

  name = "${var.name}-${each.key}"
}

# What a bot could not post is kept here.
resource "aws_sqs_queue" "undelivered" {
  name                      = "${var.name}-undelivered"
  message_retention_seconds = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled   = true
}
