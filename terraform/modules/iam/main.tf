# Roles, each with only what it needs. ECS uses the execution role before the container runs (pull, secrets, log
# stream); the code inside uses the task role.
#
#            execution role                                      task role
#   service  pull, its log group, the app's secrets              nothing (ECS Exec when enabled)
#   admin    pull, its log group, the master secrets             read and write the app's database secrets
#
# Without a database there are only the service's. ECS itself shifts the traffic with one more, load-balancer.

locals {
  # Only a task of this account and region may take a role (the "confused deputy" guard).
  # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.aws_account_id }
        ArnLike      = { "aws:SourceArn" = "arn:aws:ecs:${var.aws_region}:${var.aws_account_id}:*" }
      }
    }]
  })

  executions = {
    for key, execution in {
      execution = {
        description   = "ECS starts tasks of the service ${var.name} with it."
        log_group_arn = var.service_log_group_arn
        secret_arns   = concat(var.app_database_secret_arns, var.app_secret_arns)
      }
      admin-execution = {
        description   = "ECS starts admin tasks of ${var.name} with it."
        log_group_arn = var.admin_log_group_arn
        secret_arns   = var.master_secret_arns
      }
    } : key => execution if key == "execution" || var.app_database
  }
}

resource "aws_iam_role" "execution" {
  for_each = local.executions

  name                 = "${var.name}-${each.key}"
  permissions_boundary = var.permissions_boundary_arn
  description          = each.value.description
  assume_role_policy   = local.assume_role_policy
}

resource "aws_iam_role_policy" "execution" {
  for_each = local.executions

  name = "start-tasks"
  role = aws_iam_role.execution[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        # The token belongs to the account, not to a repository: AWS supports no other resource here.
        Sid      = "RegistryToken"
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*"
      },
      {
        Sid      = "PullImage"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = var.ecr_repository_arn
      },
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${each.value.log_group_arn}:*"
      },
      ], [
      for arns in [each.value.secret_arns] : {
        Sid      = "InjectSecrets"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = arns
      } if length(arns) > 0 # IAM takes no empty list
    ])
  })
}

resource "aws_iam_role" "task" {
  name                 = "${var.name}-task"
  permissions_boundary = var.permissions_boundary_arn
  description          = "The application of ${var.name} acts with it."
  assume_role_policy   = local.assume_role_policy
}

resource "aws_iam_role_policy" "task_execute_command" {
  count = var.app_execute_command ? 1 : 0

  name = "execute-command"
  role = aws_iam_role.task.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      # Session channels have no ARN: AWS supports no other resource here.
      Sid    = "ExecuteCommand"
      Effect = "Allow"
      Action = [
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
      ]
      Resource = "*"
    }]
  })
}

resource "aws_iam_role" "admin_task" {
  count = var.app_database ? 1 : 0

  name                 = "${var.name}-admin-task"
  permissions_boundary = var.permissions_boundary_arn
  description          = "Admin tasks of ${var.name} act with it."
  assume_role_policy   = local.assume_role_policy
}

moved {
  from = aws_iam_role.admin_task
  to   = aws_iam_role.admin_task[0]
}

resource "aws_iam_role_policy" "admin_task" {
  count = var.app_database ? 1 : 0

  name = "app-database-secret"
  role = aws_iam_role.admin_task[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "AppDatabaseSecret"
      Effect   = "Allow"
      Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
      Resource = var.app_database_secret_arns
    }]
  })
}

moved {
  from = aws_iam_role_policy.admin_task
  to   = aws_iam_role_policy.admin_task[0]
}

# What AWS's AmazonECSInfrastructureRolePolicyForLoadBalancers permits, for this load balancer only.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/AmazonECSInfrastructureRolePolicyForLoadBalancers.html
resource "aws_iam_role" "load_balancer" {
  name                 = "${var.name}-load-balancer"
  permissions_boundary = var.permissions_boundary_arn
  description          = "ECS shifts the traffic of ${var.name} with it."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "load_balancer" {
  name = "shift-traffic"
  role = aws_iam_role.load_balancer.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # AWS supports no resource for these.
        Sid    = "Read"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeRules",
          "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth",
        ]
        Resource = "*"
      },
      {
        Sid    = "Shift"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:ModifyListener", "elasticloadbalancing:ModifyRule",
          "elasticloadbalancing:RegisterTargets",
        ]
        Resource = [
          for kind in ["listener/app/${var.name}", "listener-rule/app/${var.name}", "targetgroup/${var.name}-*"] :
          "arn:aws:elasticloadbalancing:${var.aws_region}:${var.aws_account_id}:${kind}/*"
        ]
      },
    ]
  })
}
