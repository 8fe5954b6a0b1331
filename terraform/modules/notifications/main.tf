# Where the playbooks find Slack. The URL alone is the right to post, so it is a secret, and its value is the operator's:
# it is in no variable, plan or state (README).
resource "aws_secretsmanager_secret" "slack_webhook" {
  name                    = "${var.name}/slack-webhook"
  description             = "Slack's incoming webhook for the releases' notifications: the URL, put there by the operator."
  recovery_window_in_days = var.secret_recovery_window_days
}
