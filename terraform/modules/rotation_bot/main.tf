# Anyone changes a secret that the tasks read → Secrets Manager's own event → rotation-bot → a new deployment.
locals {
  service_arn = "arn:aws:ecs:${var.aws_region}:${var.aws_account_id}:service/${var.cluster_name}/${var.service_name}"
}

module "bot" {
  source = "../bot"

  name                     = "${var.name}-rotation-bot"
  permissions_boundary_arn = var.permissions_boundary_arn
  description              = "Redeploys the service when a secret that its tasks read was changed."
  handler                  = "bots.rotation_bot.handler"
  bots_package_path        = var.bots_package_path
  notifications_slack      = var.notifications_slack
  slack_webhook_secret_arn = var.slack_webhook_secret_arn
  undelivered_queue        = var.undelivered_queue
  # Lambda's maximum: the bot waits for a running deployment, and Lambda invokes it twice more if the time was too short.
  timeout_seconds = 900

  environment = {
    APP_NAME     = var.app_name
    ENVIRONMENT  = var.env_name
    CLUSTER_NAME = var.cluster_name
    SERVICE_NAME = var.service_name
    LOCK_BUCKET  = var.lock.bucket
    LOCK_KEY     = var.lock.key
  }

  permissions = {
    # No iam:PassRole: a new deployment of the same task definition passes no role.
    DeployAnew = {
      actions   = ["ecs:DescribeServices", "ecs:UpdateService"]
      resources = [local.service_arn]
    }
    # AWS supports no resource for it.
    WhichSecretsItReads = {
      actions   = ["ecs:DescribeTaskDefinition"]
      resources = ["*"]
    }
    WhoDeploys = {
      actions   = ["s3:GetObject"]
      resources = ["arn:aws:s3:::${var.lock.bucket}/${var.lock.key}"]
    }
    # Without it S3 answers "forbidden" for a lock that does not exist.
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    WhetherAnybodyDeploys = {
      actions   = ["s3:ListBucket"]
      resources = ["arn:aws:s3:::${var.lock.bucket}"]
    }
  }

  log_retention_days = var.log_retention_days
}

# Secrets Manager itself sends it for each secret, whichever call moved the label; no CloudTrail trail is needed.
# https://docs.aws.amazon.com/secretsmanager/latest/userguide/event-detail-secret-label-updated-secretsmanager.html
resource "aws_cloudwatch_event_rule" "changed" {
  name        = "${var.name}-secret-changed"
  description = "A secret that the tasks of ${var.name} read has another current value."

  event_pattern = jsonencode({
    source      = ["aws.secretsmanager"]
    detail-type = ["Secret Label Updated"]
    resources   = var.secret_arns
    detail      = { labelUpdated = ["AWSCURRENT"] }
  })
}

resource "aws_cloudwatch_event_target" "bot" {
  rule      = aws_cloudwatch_event_rule.changed.name
  target_id = "rotation-bot"
  arn       = module.bot.function_arn

  depends_on = [aws_lambda_permission.events]
}

resource "aws_lambda_permission" "events" {
  statement_id  = "EventBridge"
  action        = "lambda:InvokeFunction"
  function_name = module.bot.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.changed.arn
}
