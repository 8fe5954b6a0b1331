locals {
  urgencies = toset(["urgent", "warning"])

  undelivered_queue = "${var.name}-undelivered"

  emails = merge([
    for urgency in local.urgencies : { for address in var.notification_emails[urgency] : "${urgency} ${address}" => { urgency = urgency, address = address } }
  ]...)
}

# Slack's incoming webhook, for the playbooks and the bots. Whoever has the URL can post, so it is a secret. The operator
# sets its value: it is in no variable, plan or state (README).
resource "aws_secretsmanager_secret" "slack_webhook" {
  #checkov:skip=CKV_AWS_149:AWS's own key encrypts it; a key of its own would add a way to lose the pages, and who may read is the roles' to say.
  #checkov:skip=CKV2_AWS_57:Slack, not AWS, makes the value: nothing here could rotate it.

  name                    = "${var.name}/slack-webhook"
  description             = "Slack's incoming webhook for releases, alarms and bots: the URL, put there by the operator."
  recovery_window_in_days = var.secret_recovery_window_days
}

# Two urgencies: `urgent` wakes a person, `warning` is read in the morning.
# Not encrypted by KMS, on purpose: with AWS's own key the services cannot publish and report no error (its policy cannot
# be changed), and a key of our own adds a policy and a bill, either of which can lose pages. A message is an alarm's
# name, numbers and a link; it is not stored, and travels over TLS.
# https://repost.aws/knowledge-center/cloudwatch-receive-sns-for-alarm-trigger
resource "aws_sns_topic" "this" {
  #checkov:skip=CKV_AWS_26:See above: KMS adds a way to lose pages and hides nothing secret.

  for_each = local.urgencies

  name = "${var.name}-${each.key}"
}

# AWS's services may publish, for this account only. IAM already permits the account's own principals.
resource "aws_sns_topic_policy" "this" {
  for_each = local.urgencies

  arn = aws_sns_topic.this[each.key].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "ServicesOfThisAccount"
        Effect    = "Allow"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this[each.key].arn
        Principal = { Service = ["budgets.amazonaws.com", "cloudwatch.amazonaws.com", "costalerts.amazonaws.com"] }
        Condition = { StringEquals = { "aws:SourceAccount" = var.aws_account_id } }
      },
      # EventBridge has no condition: AWS supports none for it in a topic's policy. With one, nothing would arrive.
      # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
      {
        Sid       = "EventBridge"
        Effect    = "Allow"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this[each.key].arn
        Principal = { Service = "events.amazonaws.com" }
      },
    ]
  })
}

# A second channel, in case Slack fails. AWS asks each address to confirm once; until then nothing is sent to it.
resource "aws_sns_topic_subscription" "email" {
  for_each = local.emails

  topic_arn = aws_sns_topic.this[each.value.urgency].arn
  protocol  = "email"
  endpoint  = each.value.address
}

# Keeps messages that a bot could not post, events on which it failed, and messages that SNS could not deliver to it. The
# policy is an argument of the queue: as a resource of its own it would take another 25 s, the provider's wait for a queue.
resource "aws_sqs_queue" "undelivered" {
  name                      = local.undelivered_queue
  message_retention_seconds = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled   = true

  # SNS redrives to it; the bots and Lambda write with the bots' own roles.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TopicsOfThisModule"
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Resource  = "arn:aws:sqs:${split(":", aws_sns_topic.this["urgent"].arn)[3]}:${var.aws_account_id}:${local.undelivered_queue}"
      Principal = { Service = "sns.amazonaws.com" }
      Condition = { ArnEquals = { "aws:SourceArn" = [for urgency in sort(local.urgencies) : aws_sns_topic.this[urgency].arn] } }
    }]
  })
}
