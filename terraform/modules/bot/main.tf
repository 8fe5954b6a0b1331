# One Lambda function of app/bots/, with the rights that it needs and no other. It posts to Slack; what it cannot post
# goes to the queue, and so does an event on which it failed.
resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function" "this" {
  function_name    = var.name
  description      = var.description
  role             = aws_iam_role.this.arn
  handler          = var.handler
  runtime          = "python3.13"
  architectures    = ["arm64"]
  memory_size      = var.memory_mb
  timeout          = var.timeout_seconds
  filename         = var.package_path
  source_code_hash = filebase64sha256(var.package_path)

  environment {
    variables = merge(var.environment, {
      SLACK_WEBHOOK_SECRET_ARN = var.slack_webhook_secret_arn
      UNDELIVERED_QUEUE_URL    = var.undelivered_queue.url
    })
  }

  dead_letter_config {
    target_arn = var.undelivered_queue.arn
  }

  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy.this]
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "this" {
  name               = var.name
  description        = "Lambda function ${var.name}."
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }

  statement {
    sid       = "ReadWebhook"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.slack_webhook_secret_arn]
  }

  statement {
    sid       = "KeepUndelivered"
    actions   = ["sqs:SendMessage"]
    resources = [var.undelivered_queue.arn]
  }

  dynamic "statement" {
    for_each = var.permissions

    content {
      sid       = statement.key
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }
}

resource "aws_iam_role_policy" "this" {
  name   = "bot"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.this.json
}
