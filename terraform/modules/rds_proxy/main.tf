# The service connects to the proxy, the proxy to the database (requirement G3): many short sessions share few connections,
# which outlive the tasks. Admin tasks connect to the database directly: the proxy knows only the application's users.

resource "aws_iam_role" "this" {
  name                 = "${var.name}-rds-proxy"
  permissions_boundary = var.permissions_boundary_arn
  description          = "The RDS Proxy of ${var.name} reads the application's credentials with it."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "rds.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = var.aws_account_id } }
    }]
  })
}

# AWS's key for Secrets Manager encrypts the secret: whoever may read a secret may decrypt it.
resource "aws_iam_role_policy" "this" {
  name = "app-database-secret"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "AppDatabaseSecret"
      Effect   = "Allow"
      Action   = "secretsmanager:GetSecretValue"
      Resource = var.app_database_secret_arns
    }]
  })
}

# RDS would create it by itself, and keep its events for ever.
resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:Encrypted with AWS's key; the proxy logs no statement.
  #checkov:skip=CKV_AWS_338:The retention is the inventory's choice (log_retention_days).
  name              = "/aws/rds/proxy/${var.name}"
  retention_in_days = var.log_retention_days
}

resource "aws_db_proxy" "this" {
  name                   = var.name
  engine_family          = "POSTGRESQL"
  role_arn               = aws_iam_role.this.arn
  vpc_subnet_ids         = var.subnet_ids
  vpc_security_group_ids = [var.security_group_id]
  require_tls            = true
  # It would log every statement, with customers' data.
  debug_logging = false
  # Longer than the application keeps a connection (30 minutes), so that the proxy never closes a connection that the
  # application is about to use.
  idle_client_timeout = 3600

  # Both users at any time: it reads no former value of a secret, and disconnects users that it no longer knows.
  # https://github.com/aws-samples/aws-secrets-manager-rotation-lambdas/issues/108
  dynamic "auth" {
    for_each = var.app_database_secret_arns

    content {
      description               = "A database user of the application."
      auth_scheme               = "SECRETS"
      secret_arn                = auth.value
      client_password_auth_type = "POSTGRES_SCRAM_SHA_256"
      iam_auth                  = "DISABLED"
    }
  }

  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy.this]
}

resource "aws_db_proxy_default_target_group" "this" {
  db_proxy_name = aws_db_proxy.this.name

  connection_pool_config {
    max_connections_percent      = var.rds_proxy_max_connections_percent
    max_idle_connections_percent = var.rds_proxy_max_idle_connections_percent
    # As long as a request waits for a connection of the application's own pool; the default is two minutes, in which the
    # load balancer gives up.
    connection_borrow_timeout = 5
  }
}

resource "aws_db_proxy_target" "this" {
  db_proxy_name          = aws_db_proxy.this.name
  target_group_name      = aws_db_proxy_default_target_group.this.name
  db_instance_identifier = var.instance_identifier
}
