# Routes from the private subnets to AWS's APIs without the NAT gateway's charge per gigabyte (requirement H4). They
# serve this account only: no data can be carried to or from another account.

locals {
  ours = { StringEquals = { "aws:PrincipalAccount" = var.aws_account_id } }

  ecr_repositories = "arn:aws:ecr:${var.aws_region}:${var.aws_account_id}:repository/*"
  ecr_statements = [
    # The token belongs to the account, not to a repository: AWS supports no other resource here.
    { actions = ["ecr:GetAuthorizationToken"], resource = "*" },
    { actions = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], resource = local.ecr_repositories },
  ]

  # Only what the tasks need.
  allowed = {
    "ecr.api" = local.ecr_statements
    "ecr.dkr" = local.ecr_statements
    logs = [
      { actions = ["logs:CreateLogStream", "logs:PutLogEvents"], resource = "arn:aws:logs:${var.aws_region}:${var.aws_account_id}:log-group:*" },
    ]
    secretsmanager = [
      {
        actions  = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
        resource = "arn:aws:secretsmanager:${var.aws_region}:${var.aws_account_id}:secret:*"
      },
    ]
    # ECS Exec. Session channels have no ARN of their own.
    ssmmessages = [{ actions = ["ssmmessages:*"], resource = "*" }]
  }
}

# Always created: it is free of charge, and image layers come from S3.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${var.aws_region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.route_table_ids

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # ECR keeps layers in a bucket of AWS's own
        # (https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html).
        Sid       = "ImageLayers"
        Effect    = "Allow"
        Principal = "*"
        Action    = "s3:GetObject"
        Resource  = "arn:aws:s3:::prod-${var.aws_region}-starport-layer-bucket/*"
      },
      {
        Sid       = "OurBuckets"
        Effect    = "Allow"
        Principal = "*"
        Action    = "s3:*"
        Resource  = "*"
        Condition = { StringEquals = { "aws:PrincipalAccount" = var.aws_account_id, "aws:ResourceAccount" = var.aws_account_id } }
      },
    ]
  })

  tags = { Name = "${var.name}-s3" }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.vpc_endpoints_enabled ? var.vpc_endpoint_services : []

  vpc_id             = var.vpc_id
  service_name       = "com.amazonaws.${var.aws_region}.${each.key}"
  vpc_endpoint_type  = "Interface"
  subnet_ids         = var.subnet_ids
  security_group_ids = [var.security_group_id]
  # The public names resolve to the endpoint, so the tasks need no configuration.
  private_dns_enabled = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for statement in local.allowed[each.key] : {
      Effect    = "Allow"
      Principal = "*"
      Action    = statement.actions
      Resource  = statement.resource
      Condition = local.ours
    }]
  })

  tags = { Name = "${var.name}-${each.key}" }
}
