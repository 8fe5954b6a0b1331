mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name              = "storefront-test"
  subnet_ids        = ["subnet-a", "subnet-b", "subnet-c"]
  security_group_id = "sg-0123456789abcdef0"
  target_group_arn  = "arn:aws:elasticloadbalancing:ap-northeast-2:123456789012:targetgroup/test/0123456789abcdef"

  container_insights                    = "enabled"
  container_name                        = "api"
  app_port                              = 8000
  app_cpu_architecture                  = "X86_64"
  app_database                          = true
  app_health_check_grace_period_seconds = 60
  app_deployment_maximum_percent        = 200
  app_execute_command                   = false
  log_retention_days                    = 30
  secret_recovery_window_days           = 7
}

run "defaults" {
  assert {
    condition = (
      aws_ecs_service.this.launch_type == "FARGATE"
      && aws_ecs_service.this.desired_count == 0
      && aws_ecs_service.this.task_definition == aws_ecs_task_definition.placeholder.arn
      && aws_ecs_service.this.wait_for_steady_state != true
    )
    error_message = "The service starts on Fargate, with no task, on the placeholder."
  }

  assert {
    condition = (
      aws_ecs_service.this.deployment_minimum_healthy_percent == 100
      && aws_ecs_service.this.deployment_maximum_percent == 200
      && aws_ecs_service.this.deployment_circuit_breaker[0].enable
      && aws_ecs_service.this.deployment_circuit_breaker[0].rollback
      && aws_ecs_service.this.health_check_grace_period_seconds == 60
      && length(aws_ecs_service.this.alarms) == 0
    )
    error_message = "Rolling update 100/200 with a circuit breaker that rolls back (requirement B3)."
  }

  assert {
    condition = (
      aws_ecs_service.this.network_configuration[0].assign_public_ip == false
      && aws_ecs_service.this.network_configuration[0].subnets == toset(["subnet-a", "subnet-b", "subnet-c"])
      && aws_ecs_service.this.network_configuration[0].security_groups == toset(["sg-0123456789abcdef0"])
      && one(aws_ecs_service.this.load_balancer).container_port == 8000
      && one(aws_ecs_service.this.load_balancer).container_name == "api"
      && aws_ecs_service.this.enable_execute_command == false
    )
    error_message = "Tasks run in the private subnets, behind the target group, closed to ECS Exec."
  }

  assert {
    condition = (
      aws_ecs_task_definition.placeholder.family == "storefront-test-placeholder"
      && aws_ecs_task_definition.placeholder.network_mode == "awsvpc"
      && aws_ecs_task_definition.placeholder.task_role_arn == null
      && jsondecode(aws_ecs_task_definition.placeholder.container_definitions)[0].name == "api"
      && jsondecode(aws_ecs_task_definition.placeholder.container_definitions)[0].portMappings[0].containerPort == 8000
    )
    error_message = "The placeholder has a family of its own, no role, and the service's container and port."
  }

  assert {
    condition     = { for setting in aws_ecs_cluster.this.setting : setting.name => setting.value } == { containerInsights = "enabled" }
    error_message = "Container Insights is on."
  }

  assert {
    condition = (
      aws_cloudwatch_log_group.service.name == "/ecs/storefront-test" && aws_cloudwatch_log_group.service.retention_in_days == 30
      && aws_cloudwatch_log_group.admin[0].name == "/ecs/storefront-test-admin" && aws_cloudwatch_log_group.admin[0].retention_in_days == 30
      && aws_secretsmanager_secret.app_database[0].recovery_window_in_days == 7
      && aws_secretsmanager_secret.app_database[0].name_prefix == "storefront-test/database/app-"
      && aws_secretsmanager_secret.app_database_clone[0].recovery_window_in_days == 7
      && aws_secretsmanager_secret.app_database_clone[0].name_prefix == "storefront-test/database/app-clone-"
    )
    error_message = "Log groups and the secrets of the application's two database users."
  }
}

run "options" {
  command = plan

  variables {
    app_execute_command                   = true
    app_cpu_architecture                  = "ARM64"
    app_deployment_maximum_percent        = 150
    app_health_check_grace_period_seconds = 120
    secret_recovery_window_days           = 0
  }

  assert {
    condition = (
      aws_ecs_service.this.enable_execute_command
      && aws_ecs_service.this.deployment_maximum_percent == 150
      && aws_ecs_service.this.health_check_grace_period_seconds == 120
      && aws_ecs_task_definition.placeholder.runtime_platform[0].cpu_architecture == "ARM64"
      && aws_secretsmanager_secret.app_database[0].recovery_window_in_days == 0
      && aws_secretsmanager_secret.app_database_clone[0].recovery_window_in_days == 0
    )
    error_message = "Each option must reach its resource."
  }
}

run "without_a_database_there_is_no_admin_task_and_no_secret" {
  variables {
    app_database = false
  }

  assert {
    condition = (
      output.admin_log_group == null && output.app_database_secret_arns == []
      && length(aws_secretsmanager_secret.app_database) == 0 && length(aws_secretsmanager_secret.app_database_clone) == 0
      && aws_ecs_service.this.name == "storefront-test"
    )
    error_message = "The cluster and the service only."
  }
}

run "values_outside_closed_sets_are_refused" {
  command = plan

  variables {
    container_insights                    = "on"
    app_cpu_architecture                  = "amd64"
    app_health_check_grace_period_seconds = -1
    app_deployment_maximum_percent        = 100
    log_retention_days                    = 31
    secret_recovery_window_days           = 3
  }

  expect_failures = [
    var.container_insights,
    var.app_cpu_architecture,
    var.app_health_check_grace_period_seconds,
    var.app_deployment_maximum_percent,
    var.log_retention_days,
    var.secret_recovery_window_days,
  ]
}
