# Terraform owns the cluster and the service; the release owns the revisions of the task definition, how ECS replaces them
# (the load balancer's rules, the alarms), and Application Auto Scaling the number of tasks. So the service ignores these
# after its creation.

resource "aws_ecs_cluster" "this" {
  #checkov:skip=CKV_AWS_65:The inventory's choice (container_insights), on by default.
  name = var.name

  setting {
    name  = "containerInsights"
    value = var.container_insights
  }
}

resource "aws_ecs_service" "this" {
  name            = var.name
  cluster         = aws_ecs_cluster.this.arn
  task_definition = aws_ecs_task_definition.placeholder.arn
  launch_type     = "FARGATE"
  desired_count   = 0

  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = var.app_deployment_maximum_percent
  health_check_grace_period_seconds  = var.app_health_check_grace_period_seconds
  availability_zone_rebalancing      = "ENABLED"
  enable_execute_command             = var.app_execute_command
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [var.security_group_id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = var.target_group_arn
    container_name   = var.container_name
    container_port   = var.app_port
  }

  lifecycle {
    ignore_changes = [task_definition, desired_count, load_balancer, alarms]
  }
}

# The service must name a task definition when it is created, before any image exists. This one is never run
# (the service starts with no task) and has a family of its own, so that no release or pruning touches it.
resource "aws_ecs_task_definition" "placeholder" {
  #checkov:skip=CKV_AWS_336:Never run.
  family                   = "${var.name}-placeholder"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.app_cpu_architecture
  }

  container_definitions = jsonencode([{
    name      = var.container_name
    image     = "scratch"
    essential = true

    portMappings = [{
      containerPort = var.app_port
      hostPort      = var.app_port
      protocol      = "tcp"
    }]
  }])
}

resource "aws_cloudwatch_log_group" "service" {
  #checkov:skip=CKV_AWS_158:Encrypted with AWS's key; no log holds a secret.
  #checkov:skip=CKV_AWS_338:The retention is the inventory's choice (log_retention_days).
  name              = "/ecs/${var.name}"
  retention_in_days = var.log_retention_days
}

resource "aws_cloudwatch_log_group" "admin" {
  #checkov:skip=CKV_AWS_158:Encrypted with AWS's key; no log holds a secret.
  #checkov:skip=CKV_AWS_338:The retention is the inventory's choice (log_retention_days).
  count = var.app_database ? 1 : 0

  name              = "/ecs/${var.name}-admin"
  retention_in_days = var.log_retention_days
}

moved {
  from = aws_cloudwatch_log_group.admin
  to   = aws_cloudwatch_log_group.admin[0]
}

# Credentials of the application's two database users, one secret each: the service uses one while the password of the
# other is renewed. Two secrets, because an RDS Proxy knows only the users whose credentials are in its secrets now. The
# admin task writes the values, so no password is in a state. The names are prefixes because a deleted secret blocks its
# name for its recovery window.
resource "aws_secretsmanager_secret" "app_database" {
  #checkov:skip=CKV_AWS_149:Encrypted with AWS's key; access is limited by the roles' policies, and no other account reads it.
  #checkov:skip=CKV2_AWS_57:Rotated by a playbook together with the database's user, not by a function.
  count = var.app_database ? 1 : 0

  name_prefix             = "${var.name}/database/app-"
  description             = "Database user of the application: JSON with username and password, written by the admin task."
  recovery_window_in_days = var.secret_recovery_window_days
}

moved {
  from = aws_secretsmanager_secret.app_database
  to   = aws_secretsmanager_secret.app_database[0]
}

resource "aws_secretsmanager_secret" "app_database_clone" {
  #checkov:skip=CKV_AWS_149:As the first.
  #checkov:skip=CKV2_AWS_57:As the first.
  count = var.app_database ? 1 : 0

  name_prefix             = "${var.name}/database/app-clone-"
  description             = "Second database user of the application, which takes turns with the first: written by the admin task."
  recovery_window_in_days = var.secret_recovery_window_days
}

moved {
  from = aws_secretsmanager_secret.app_database_clone
  to   = aws_secretsmanager_secret.app_database_clone[0]
}
