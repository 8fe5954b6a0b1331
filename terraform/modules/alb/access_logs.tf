locals {
  # Bucket names are global, so the account and the region are in it.
  access_logs_bucket = "${var.name}-alb-logs-${var.aws_account_id}-${var.aws_region}"
}

resource "aws_s3_bucket" "access_logs" {
  #checkov:skip=CKV_AWS_18:The logs of the logs' bucket would be its own.
  #checkov:skip=CKV_AWS_21:Each object is written once by the load balancer, and expires.
  #checkov:skip=CKV_AWS_144:Access logs are worth less than a second copy of them.
  #checkov:skip=CKV_AWS_145:A load balancer writes its logs with S3's own key only.
  #checkov:skip=CKV2_AWS_62:Nobody waits for an access log.
  count = var.alb_access_logs ? 1 : 0

  bucket        = local.access_logs_bucket
  force_destroy = !var.deletion_protection

  lifecycle {
    precondition {
      condition     = length(local.access_logs_bucket) <= 63
      error_message = "The bucket of the access logs would be named ${local.access_logs_bucket}, ${length(local.access_logs_bucket)} characters of at most 63: shorten the application's or the environment's name, for example \"storefront\" and \"staging\"."
    }
  }
}

resource "aws_s3_bucket_public_access_block" "access_logs" {
  count = var.alb_access_logs ? 1 : 0

  bucket                  = aws_s3_bucket.access_logs[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# SSE-S3 is the only encryption that the delivery of access logs supports.
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
resource "aws_s3_bucket_server_side_encryption_configuration" "access_logs" {
  count = var.alb_access_logs ? 1 : 0

  bucket = aws_s3_bucket.access_logs[0].id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "access_logs" {
  count = var.alb_access_logs ? 1 : 0

  bucket = aws_s3_bucket.access_logs[0].id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    # Requirement H4. S3 bills at least 30 days of the cheaper class, so logs that are kept for less than 60 days are not moved.
    dynamic "transition" {
      for_each = var.alb_access_logs_retention_days >= 60 ? [30] : []

      content {
        days          = transition.value
        storage_class = "STANDARD_IA"
      }
    }

    expiration {
      days = var.alb_access_logs_retention_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_policy" "access_logs" {
  count = var.alb_access_logs ? 1 : 0

  bucket = aws_s3_bucket.access_logs[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "LoadBalancerWrites"
        Effect    = "Allow"
        Principal = { Service = "logdelivery.elasticloadbalancing.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.access_logs[0].arn}/AWSLogs/${var.aws_account_id}/*"
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.access_logs[0].arn, "${aws_s3_bucket.access_logs[0].arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.access_logs]
}
