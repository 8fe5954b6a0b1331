mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name                  = "storefront-test"
  aws_account_id        = "123456789012"
  aws_region            = "ap-northeast-2"
  ecr_repository_arn    = "arn:aws:ecr:ap-northeast-2:123456789012:repository/storefront"
  service_log_group_arn = "arn:aws:logs:ap-northeast-2:123456789012:log-group:/ecs/storefront-test"
  admin_log_group_arn   = "arn:aws:logs:ap-northeast-2:123456789012:log-group:/ecs/storefront-test-admin"
  app_database_secret_arns = [
    "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront-test/database/app-AbCdEf",
    "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront-test/database/app-clone-AbCdEf",
  ]
  master_secret_arns = ["arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:rds!db-0-AbCdEf"]

  app_database             = true
  app_secret_arns          = []
  app_execute_command      = false
  permissions_boundary_arn = null
}

# Each policy as the set of "<action> <resource>" that it allows.
run "each_role_may_only_what_it_needs" {
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.execution["execution"].policy).Statement : [
        for pair in setproduct(flatten([statement.Action]), flatten([statement.Resource])) : "${statement.Effect} ${pair[0]} ${pair[1]}"
      ]
      ])) == toset([
      "Allow ecr:GetAuthorizationToken *",
      "Allow ecr:BatchCheckLayerAvailability arn:aws:ecr:ap-northeast-2:123456789012:repository/storefront",
      "Allow ecr:BatchGetImage arn:aws:ecr:ap-northeast-2:123456789012:repository/storefront",
      "Allow ecr:GetDownloadUrlForLayer arn:aws:ecr:ap-northeast-2:123456789012:repository/storefront",
      "Allow logs:CreateLogStream arn:aws:logs:ap-northeast-2:123456789012:log-group:/ecs/storefront-test:*",
      "Allow logs:PutLogEvents arn:aws:logs:ap-northeast-2:123456789012:log-group:/ecs/storefront-test:*",
      "Allow secretsmanager:GetSecretValue arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront-test/database/app-AbCdEf",
      "Allow secretsmanager:GetSecretValue arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront-test/database/app-clone-AbCdEf",
    ])
    error_message = "The service's execution role: pull, its log group, the application's database secrets, and nothing else."
  }

  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.execution["admin-execution"].policy).Statement : [
        for pair in setproduct(flatten([statement.Action]), flatten([statement.Resource])) : "${statement.Effect} ${pair[0]} ${pair[1]}"
      ]
      ])) == toset([
      "Allow ecr:GetAuthorizationToken *",
      "Allow ecr:BatchCheckLayerAvailability arn:aws:ecr:ap-northeast-2:123456789012:repository/storefront",
      "Allow ecr:BatchGetImage arn:aws:ecr:ap-northeast-2:123456789012:repository/storefront",
      "Allow ecr:GetDownloadUrlForLayer arn:aws:ecr:ap-northeast-2:123456789012:repository/storefront",
      "Allow logs:CreateLogStream arn:aws:logs:ap-northeast-2:123456789012:log-group:/ecs/storefront-test-admin:*",
      "Allow logs:PutLogEvents arn:aws:logs:ap-northeast-2:123456789012:log-group:/ecs/storefront-test-admin:*",
      "Allow secretsmanager:GetSecretValue arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:rds!db-0-AbCdEf",
    ])
    error_message = "The admin tasks' execution role: pull, their log group, the master secret, and nothing else."
  }

  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.admin_task[0].policy).Statement : [
        for pair in setproduct(flatten([statement.Action]), flatten([statement.Resource])) : "${statement.Effect} ${pair[0]} ${pair[1]}"
      ]
      ])) == toset([
      "Allow secretsmanager:DescribeSecret arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront-test/database/app-AbCdEf",
      "Allow secretsmanager:DescribeSecret arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront-test/database/app-clone-AbCdEf",
      "Allow secretsmanager:GetSecretValue arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront-test/database/app-AbCdEf",
      "Allow secretsmanager:GetSecretValue arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront-test/database/app-clone-AbCdEf",
      "Allow secretsmanager:PutSecretValue arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront-test/database/app-AbCdEf",
      "Allow secretsmanager:PutSecretValue arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront-test/database/app-clone-AbCdEf",
    ])
    error_message = "The admin tasks' role: the application's database secrets, and nothing else."
  }

  assert {
    condition     = length(aws_iam_role_policy.task_execute_command) == 0
    error_message = "The application's own role may do nothing unless ECS Exec is enabled."
  }

  assert {
    condition = alltrue([
      for role in concat(values(aws_iam_role.execution), [aws_iam_role.task, aws_iam_role.admin_task[0]]) :
      jsondecode(role.assume_role_policy).Statement == [{
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "ecs-tasks.amazonaws.com" }
        Condition = {
          StringEquals = { "aws:SourceAccount" = "123456789012" }
          ArnLike      = { "aws:SourceArn" = "arn:aws:ecs:ap-northeast-2:123456789012:*" }
        }
      }]
    ])
    error_message = "Only ECS tasks of this account and region may take a role."
  }

  assert {
    condition = toset([
      for role in concat(values(aws_iam_role.execution), [aws_iam_role.task, aws_iam_role.admin_task[0]]) : role.name
    ]) == toset(["storefront-test-execution", "storefront-test-admin-execution", "storefront-test-task", "storefront-test-admin-task"])
    error_message = "The roles' names are outputs, for callers that may pass them."
  }
}

run "options" {
  command = plan

  variables {
    app_execute_command = true
    app_secret_arns     = ["arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront/slack-AbCdEf"]
  }

  assert {
    condition = (
      jsondecode(aws_iam_role_policy.task_execute_command[0].policy).Statement[0].Resource == "*"
      && alltrue([for action in jsondecode(aws_iam_role_policy.task_execute_command[0].policy).Statement[0].Action : startswith(action, "ssmmessages:")])
    )
    error_message = "ECS Exec needs the session channels, which have no ARN, and nothing else."
  }

  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_role_policy.execution["execution"].policy).Statement :
      contains(flatten([statement.Resource]), "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront/slack-AbCdEf")
    ])
    error_message = "The service's execution role must read the further secrets."
  }
}

run "without_a_database_there_are_the_service_s_roles_only" {
  variables {
    app_database             = false
    admin_log_group_arn      = null
    app_database_secret_arns = []
    master_secret_arns       = []
  }

  assert {
    condition = (
      keys(aws_iam_role.execution) == ["execution"] && length(aws_iam_role.admin_task) == 0 && length(aws_iam_role_policy.admin_task) == 0
      && output.admin_execution_role_arn == null && output.admin_task_role_arn == null
    )
    error_message = "No admin task, no role for it."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.execution["execution"].policy).Statement : statement.Sid] == ["RegistryToken", "PullImage", "WriteLogs"]
    error_message = "IAM refuses a statement without a resource."
  }
}

run "without_a_database_its_own_secrets_are_injected" {
  command = plan

  variables {
    app_database             = false
    admin_log_group_arn      = null
    app_database_secret_arns = []
    master_secret_arns       = []
    app_secret_arns          = ["arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront/slack-AbCdEf"]
  }

  assert {
    condition     = tolist(jsondecode(aws_iam_role_policy.execution["execution"].policy).Statement[3].Resource) == var.app_secret_arns
    error_message = "The execution role reads the secrets of the inventory."
  }
}

run "values_of_a_wrong_form_are_refused" {
  command = plan

  variables {
    name            = "storefront_test"
    app_secret_arns = ["arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront/*"]
  }

  expect_failures = [var.name, var.app_secret_arns]
}

run "roles_carry_the_boundary_where_there_is_one" {
  variables {
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/storefront-github-boundary-test"
  }

  assert {
    condition = alltrue([
      for role in [aws_iam_role.execution["execution"], aws_iam_role.execution["admin-execution"], aws_iam_role.task, aws_iam_role.admin_task[0]] :
      role.permissions_boundary == var.permissions_boundary_arn
    ])
    error_message = "GitHub's deploy role may make a role with the boundary only."
  }
}
