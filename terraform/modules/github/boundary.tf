# Two permissions boundaries for each environment. One limits every role that a deployment creates: otherwise a deployment
# could create a role with all permissions, and a task that uses it. The other limits the deploy role itself, whatever
# policy is added to it.

locals {
  rotation_bot = {
    for name, prefix in local.prefix : name => { ArnEquals = { "aws:PrincipalArn" = "arn:aws:iam::${var.aws_account_id}:role/${prefix}-rotation-bot" } }
  }
}

resource "aws_iam_policy" "workload_boundary" {
  for_each = local.prefix

  name        = "${var.app_name}-github-boundary-${each.key}"
  description = "Boundary of the roles that deployments of ${each.value} make."

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "RegistryToken", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" },
      {
        Sid      = "PullImage"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = local.repository
      },
      {
        Sid      = "Logs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = [for end in ["", ":*", "-*", "/*"] : "arn:aws:logs:${local.here}:log-group:*/${each.value}${end}"]
      },
      {
        Sid      = "Secrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
        Resource = "arn:aws:secretsmanager:${local.here}:secret:${each.value}/*"
      },
      local.master_secret[each.key],
      {
        Sid      = "FurtherSecrets"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = concat(["arn:aws:secretsmanager:${local.here}:secret:${each.value}/*"], var.app_secret_arns)
      },
      {
        Sid      = "ExecuteCommand"
        Effect   = "Allow"
        Action   = ["ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"]
        Resource = "*"
      },
      {
        Sid    = "Bots"
        Effect = "Allow"
        Action = ["dynamodb:GetItem", "dynamodb:PutItem", "sqs:SendMessage"]
        Resource = [
          "arn:aws:dynamodb:${local.here}:table/${each.value}-*",
          "arn:aws:sqs:${local.here}:${each.value}-*",
        ]
      },
      # ECS shifts the traffic with the role load-balancer.
      {
        Sid       = "Traffic"
        Effect    = "Allow"
        Action    = ["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:Describe*", "elasticloadbalancing:ModifyListener", "elasticloadbalancing:ModifyRule", "elasticloadbalancing:RegisterTargets"]
        Resource  = "*"
        Condition = { ArnEquals = { "aws:PrincipalArn" = "arn:aws:iam::${var.aws_account_id}:role/${each.value}-load-balancer" } }
      },
      # Only the rotation-bot deploys; tasks do not.
      {
        Sid       = "DeployAnew"
        Effect    = "Allow"
        Action    = ["ecs:DescribeServices", "ecs:UpdateService"]
        Resource  = "arn:aws:ecs:${local.here}:service/${each.value}/*"
        Condition = local.rotation_bot[each.key]
      },
      { Sid = "WhichSecretsItReads", Effect = "Allow", Action = "ecs:DescribeTaskDefinition", Resource = "*", Condition = local.rotation_bot[each.key] },
      { Sid = "WhoDeploys", Effect = "Allow", Action = "s3:GetObject", Resource = "${local.bucket}/locks/${each.key}.json", Condition = local.rotation_bot[each.key] },
      { Sid = "WhetherAnybodyDeploys", Effect = "Allow", Action = "s3:ListBucket", Resource = local.bucket, Condition = local.rotation_bot[each.key] },
    ]
  })
}

resource "aws_iam_policy" "deploy_boundary" {
  for_each = local.prefix

  name        = "${var.app_name}-github-deploy-boundary-${each.key}"
  description = "Boundary of the role with which GitHub deploys ${each.value}."

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid    = "Services"
          Effect = "Allow"
          Action = [
            for service in ["acm", "application-autoscaling", "arc-zonal-shift", "cloudwatch", "dynamodb", "ec2", "ecr", "ecs", "elasticloadbalancing", "events", "lambda", "logs", "rds", "route53", "s3", "secretsmanager", "sns", "sqs"] : "${service}:*"
          ]
          Resource = "*"
        },
        local.inspector,
        { Sid = "Keys", Effect = "Allow", Action = "kms:DescribeKey", Resource = "*" },
      ],
      local.deploy_identity[each.key],
      [
        {
          # An explicit denial besides the list above, which contains no other IAM permission either.
          Sid    = "NotItsOwnRights"
          Effect = "Deny"
          Action = [
            "iam:Add*", "iam:Attach*", "iam:Create*", "iam:Delete*", "iam:Detach*", "iam:Put*", "iam:Remove*", "iam:Set*", "iam:Tag*",
            "iam:Untag*", "iam:Update*", "sts:AssumeRole",
          ]
          NotResource = "arn:aws:iam::${var.aws_account_id}:role/${each.value}-*"
        },
        { Sid = "TheBoundaryStays", Effect = "Deny", Action = "iam:DeleteRolePermissionsBoundary", Resource = "*" },
      ],
    )
  })
}
