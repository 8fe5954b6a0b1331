# One Lambda function of app/bots/, with only the permissions that it needs. It posts to Slack. A message that it cannot
# post goes to the queue, and so does an event on which it failed.
resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:The log holds no secret and no statement; AWS encrypts it with its own key.
  #checkov:skip=CKV_AWS_338:How long logs are kept is the inventory's to say.
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
}

# Not in the VPC (it calls only AWS and Slack, and must report a broken VPC), without reserved concurrency (a small
# account has none to reserve), and without an encryption key of its own (no variable is secret).
resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50:A trace of one call to Slack shows nothing that its log line does not.
  #checkov:skip=CKV_AWS_115:A new account has 10 concurrent executions, of which none can be reserved; Slack's limit is met by retries and the queue.
  #checkov:skip=CKV_AWS_117:It needs nothing in the VPC, and must tell of one that is broken.
  #checkov:skip=CKV_AWS_173:The variables are names, limits and ARNs; AWS encrypts them with its own key.
  #checkov:skip=CKV_AWS_272:The zip is built from this repository by whoever applies; its hash is in the plan.

  function_name    = var.name
  description      = var.description
  role             = aws_iam_role.this.arn
  handler          = var.handler
  runtime          = "python3.13"
  architectures    = ["arm64"]
  memory_size      = var.memory_mb
  timeout          = var.timeout_seconds
  filename         = var.bots_package_path
  source_code_hash = filebase64sha256(var.bots_package_path)

  environment {
    variables = merge(var.environment, {
      SLACK_IN_USE             = tostring(var.notifications_slack)
      SLACK_WEBHOOK_SECRET_ARN = var.slack_webhook_secret_arn
      UNDELIVERED_QUEUE_URL    = var.undelivered_queue.url
    })
  }

  dead_letter_config {
    target_arn = var.undelivered_queue.arn
  }

  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy.this]
}

# AWS's own default, stated here because delivery depends on it: all three callers (Logs, SNS, EventBridge) invoke
# asynchronously, so a failed invocation is tried twice more, then its event goes to the queue.
resource "aws_lambda_function_event_invoke_config" "this" {
  function_name                = aws_lambda_function.this.function_name
  maximum_retry_attempts       = 2
  maximum_event_age_in_seconds = 6 * 60 * 60
}

resource "aws_iam_role" "this" {
  name                 = var.name
  permissions_boundary = var.permissions_boundary_arn
  description          = "Lambda function ${var.name}."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "bot"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "WriteLogs"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
        },
        {
          Sid      = "ReadWebhook"
          Effect   = "Allow"
          Action   = ["secretsmanager:GetSecretValue"]
          Resource = [var.slack_webhook_secret_arn]
        },
        {
          Sid      = "KeepUndelivered"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = [var.undelivered_queue.arn]
        },
      ],
      [
        for sid, permission in var.permissions : {
          Sid      = sid
          Effect   = "Allow"
          Action   = permission.actions
          Resource = permission.resources
        }
      ],
    )
  })
}
