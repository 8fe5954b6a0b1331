# PostgreSQL's log → subscription filter → query-bot → Slack (requirement F3).
module "bot" {
  source = "../bot"

  name                     = "${var.name}-query-bot"
  permissions_boundary_arn = var.permissions_boundary_arn
  description              = "Tells Slack of queries of ${var.database_slow_query_milliseconds} ms and more."
  handler                  = "bots.query_bot.handler"
  bots_package_path        = var.bots_package_path
  notifications_slack      = var.notifications_slack
  slack_webhook_secret_arn = var.slack_webhook_secret_arn
  undelivered_queue        = var.undelivered_queue
  environment = {
    APP_NAME                     = var.app_name
    ENVIRONMENT                  = var.env_name
    DEDUPLICATION_TABLE          = aws_dynamodb_table.statements.name
    DEDUPLICATION_WINDOW_SECONDS = tostring(var.query_bot_window_seconds)
    SLOW_QUERY_MILLISECONDS      = tostring(var.database_slow_query_milliseconds)
    REDACT_LITERALS              = tostring(var.query_bot_redact_literals)
  }
  permissions = {
    RememberStatements = {
      actions   = ["dynamodb:GetItem", "dynamodb:PutItem"]
      resources = [aws_dynamodb_table.statements.arn]
    }
  }
  log_retention_days = var.log_retention_days
}

# The statements that were posted to Slack, for the window's length; DynamoDB deletes them by their TTL.
resource "aws_dynamodb_table" "statements" {
  #checkov:skip=CKV_AWS_28:Fingerprints and counts of minutes: when they are lost, one message is sent twice.
  #checkov:skip=CKV_AWS_119:No statement is in it, only its fingerprint; AWS encrypts it with its own key.

  name         = "${var.name}-slow-queries"
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

resource "aws_lambda_permission" "logs" {
  statement_id   = "logs"
  action         = "lambda:InvokeFunction"
  function_name  = module.bot.function_name
  principal      = "logs.amazonaws.com"
  source_arn     = "${var.log_group.arn}:*"
  source_account = var.aws_account_id
}

# One term: PostgreSQL writes it into the line of each statement that took log_min_duration_statement or longer, and
# into no other. The bot parses statement, duration and user.
resource "aws_cloudwatch_log_subscription_filter" "slow_queries" {
  name            = "slow-queries"
  log_group_name  = var.log_group.name
  filter_pattern  = "\"duration:\""
  destination_arn = module.bot.function_arn

  # CloudWatch Logs calls the function when the filter is made.
  depends_on = [aws_lambda_permission.logs]
}
