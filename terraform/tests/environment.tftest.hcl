mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  app_name       = "storefront"
  env_name       = "test"
  aws_account_id = "123456789012"

  state_bucket      = "storefront-terraform-123456789012-ap-northeast-2"
  bots_package_path = "provider.tf" # any file: only its hash is read

  aws_region          = "ap-northeast-2"
  aws_tags            = {}
  deletion_protection = true
  log_retention_days  = 30
  network_vpc_cidr    = "10.0.0.0/18"
  network_availability_zones = {
    ap-northeast-2a = { public = "10.0.8.0/24", private = "10.0.1.0/24", database = "10.0.4.0/24" }
    ap-northeast-2b = { public = "10.0.9.0/24", private = "10.0.2.0/24", database = "10.0.5.0/24" }
    ap-northeast-2c = { public = "10.0.10.0/24", private = "10.0.3.0/24", database = "10.0.6.0/24" }
  }
  network_nat_gateways                   = "single"
  network_flow_logs                      = false
  vpc_endpoints_enabled                  = false
  vpc_endpoint_services                  = ["ecr.api", "ecr.dkr", "logs", "secretsmanager"]
  network_client_cidrs                   = ["0.0.0.0/0"]
  https_certificate_arn                  = null
  https_hosted_zone_id                   = null
  https_domain_name                      = null
  public_url                             = null
  alb_internal                           = false
  alb_access_logs                        = false
  alb_access_logs_retention_days         = 90
  app_port                               = 9000
  app_health_path                        = "/health"
  app_cpu_architecture                   = "X86_64"
  container_insights                     = "enabled"
  app_health_check_grace_period_seconds  = 60
  app_deployment_maximum_percent         = 200
  deployment_alarms                      = []
  release_test_header                    = { name = "X-Release-Test", value = "1" }
  release_gate_error_percent             = 5
  release_gate_p99_seconds               = 2
  app_execute_command                    = false
  app_secret_arns                        = []
  secret_recovery_window_days            = 7
  app_min_tasks                          = 2
  app_max_tasks                          = 4
  app_scheduled_scaling                  = true
  app_peak_min_tasks                     = 3
  app_peak_max_tasks                     = 4
  app_peak_starts_at                     = "00:00"
  app_peak_ends_at                       = "00:00"
  app_scaling_timezone                   = "Asia/Seoul"
  app_workers                            = 2
  app_pool_size                          = 5
  app_max_overflow                       = 5
  app_database                           = true
  database_name                          = "storefront"
  database_engine_version                = "17"
  database_instance_class                = "db.t4g.small"
  database_allocated_storage_gb          = 20
  database_max_allocated_storage_gb      = 100
  database_max_connections               = 210
  database_slow_query_milliseconds       = 3000
  database_multi_az                      = false
  database_backup_retention_days         = 7
  database_skip_final_snapshot           = false
  database_apply_immediately             = false
  database_free_memory_minimum_mb        = 128
  database_restores                      = {}
  database_serving                       = ""
  rds_proxy_enabled                      = false
  rds_proxy_direct_access                = false
  rds_proxy_max_connections_percent      = 75
  rds_proxy_max_idle_connections_percent = 25
  notification_emails                    = {}
  notifications_slack                    = true
  query_bot_window_seconds               = 3600
  query_bot_redact_literals              = true
  error_rate_minimum_requests            = 20
  permissions_boundary_arn               = null
}

run "defaults" {
  assert {
    condition = (
      output.name_prefix == "storefront-test" && output.cluster_name == "storefront-test" && output.service_name == "storefront-test"
      && output.service_family == "storefront-test" && output.admin_family == "storefront-test-admin"
      && output.container_name == "api" && output.container_port == 9000 && output.cpu_architecture == "X86_64"
      && output.log_group_name == "/ecs/storefront-test" && output.admin_log_group_name == "/ecs/storefront-test-admin"
      && output.region == "ap-northeast-2" && output.account_id == "123456789012"
    )
    error_message = "Names that a release reads."
  }

  assert {
    condition = output.database == {
      host                = "mock.rds.amazonaws.com"
      service_host        = "mock.rds.amazonaws.com"
      port                = 5432
      name                = "storefront"
      master_secret_arn   = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:rds!db-mock"
      max_connections     = 210
      instance_identifier = "storefront-test"
    }
    error_message = "What a release and the alarms read of the database."
  }

  assert {
    condition = (
      output.scalable_target.resource_id == "service/storefront-test/storefront-test"
      && output.scalable_target.service_namespace == "ecs"
      && output.scalable_target.scalable_dimension == "ecs:service:DesiredCount"
      && output.scalable_target.min_capacity == 2 && output.scalable_target.max_capacity == 4
      && output.scalable_target.timezone == "Asia/Seoul"
      && length(output.scalable_target.scheduled_actions) == 6
      && output.scalable_target.scheduled_actions[4] == {
        name         = "storefront-test-peak-first"
        schedule     = "cron(0 0 1 * ? *)"
        min_capacity = 3
        max_capacity = 4
      }
    )
    error_message = "What a release reads of the scalable target."
  }

  assert {
    condition = (
      output.alb_dns_name == "mock.elb.amazonaws.com" && output.public_url == "http://mock.elb.amazonaws.com"
      && length(output.private_subnet_ids) == 3
      && length(output.service_security_group_ids) == 1 && length(output.admin_security_group_ids) == 1
      && output.service_security_group_ids != output.admin_security_group_ids
    )
    error_message = "Where the service is."
  }

  assert {
    condition     = output.test_page["urgent"].alarm == "storefront-test-test-page-urgent" && length(output.test_page) == 2
    error_message = "What a test page triggers."
  }

  assert {
    condition     = output.slack_webhook_secret_arn == "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:mock"
    error_message = "Where the notifications find Slack."
  }

  assert {
    condition = (
      output.notification_topic_arns == { urgent = "arn:aws:sns:ap-northeast-2:123456789012:mock", warning = "arn:aws:sns:ap-northeast-2:123456789012:mock" }
      && output.undelivered_queue_url == "https://sqs.ap-northeast-2.amazonaws.com/123456789012/mock"
    )
    error_message = "Where alarms are published, and where undelivered messages are kept."
  }
}

run "https_by_zone_and_name" {
  variables {
    https_hosted_zone_id = "Z0123456789ABCDEFGHIJ"
    https_domain_name    = "storefront.example.com"
  }

  assert {
    condition     = output.public_url == "https://storefront.example.com"
    error_message = "With a zone and a name, clients call the name by https."
  }
}

run "https_by_certificate_and_name" {
  variables {
    https_certificate_arn = "arn:aws:acm:ap-northeast-2:123456789012:certificate/given"
    https_domain_name     = "storefront.example.com"
  }

  assert {
    condition     = output.public_url == "https://storefront.example.com"
    error_message = "With a certificate and a name, clients call the name by https."
  }
}

run "public_url_wins_where_given" {
  variables {
    public_url = "http://127.0.0.1:8080"
  }

  assert {
    condition     = output.public_url == "http://127.0.0.1:8080"
    error_message = "A given public_url is the address."
  }
}

# Parameter group, budget (below) and alarm have one number.
run "one_number_of_connections" {
  variables {
    database_max_connections = 400
  }

  assert {
    condition     = output.database.max_connections == 400 && module.monitoring.database_connections_threshold == 320
    error_message = "Requirement F2: the alarm goes off at 80 % of database_max_connections."
  }
}

run "port_that_needs_root_is_refused" {
  command = plan

  variables {
    app_port = 80
  }

  expect_failures = [var.app_port]
}

# The resources that are left out: tests/terraform/test_no_database.py.
run "without_a_database_nothing_of_it_is_an_output" {
  variables {
    app_database = false
    # None of these has an effect then: the pool budget, the proxy, restored databases.
    app_pool_size     = 500
    rds_proxy_enabled = true
    database_restores = { "20261124-101500" = { time = "2026-11-24T10:15:00Z" } }
    database_serving  = "20261124-101500"
  }

  assert {
    condition = (
      output.database == null && output.database_instances == null
      && output.app_database_secret_arn == null && output.app_database_clone_secret_arn == null
      && output.admin_family == null && output.admin_log_group_name == null && output.admin_security_group_ids == null
      && output.admin_execution_role_arn == null && output.admin_task_role_arn == null
    )
    error_message = "A release reads neither a database nor an admin task."
  }

  assert {
    condition     = output.service_family == "storefront-test" && output.log_group_name == "/ecs/storefront-test" && output.execution_role_arn != null
    error_message = "The service is the same."
  }
}

run "deployment_alarm_that_nobody_made_is_refused" {
  command = plan

  variables {
    deployment_alarms = ["database-cpu"]
  }

  expect_failures = [var.deployment_alarms]
}

# 4 tasks × 200 % × 2 workers × (5 + 5) + 5 = 165 connections; 80 % of 207 is 165.6, of 206 is 164.8.
run "pool_budget_that_just_fits_is_planned" {
  command = plan

  variables {
    database_max_connections = 207
  }
}

run "pool_budget_that_just_exceeds_is_refused" {
  command = plan

  variables {
    database_max_connections = 206
  }

  expect_failures = [var.database_max_connections]
}

# Of 5 tasks at 150 %, ECS runs 7: 7 × 2 × 10 + 5 = 145; 80 % of 182 is 145.6.
run "pool_budget_counts_whole_tasks" {
  command = plan

  variables {
    app_max_tasks                  = 5
    app_peak_max_tasks             = 5
    app_deployment_maximum_percent = 150
    database_max_connections       = 182
  }
}

run "with_the_proxy_the_service_finds_it_there" {
  variables {
    rds_proxy_enabled     = true
    vpc_endpoints_enabled = true
  }

  assert {
    condition     = output.database.service_host == "mock.proxy.rds.amazonaws.com" && output.database.host == "mock.rds.amazonaws.com"
    error_message = "The service goes to the proxy, admin tasks to the instance."
  }
}

# 75 % of 206 are 154 connections, and 5; the tasks could ask for 165, which 206 does not have.
run "behind_the_proxy_its_limit_is_the_budget" {
  command = plan

  variables {
    rds_proxy_enabled        = true
    database_max_connections = 206
  }
}

# 78 % of 210 are 163, and 5: exactly the 168 that are 80 %.
run "proxy_beyond_the_budget_is_refused" {
  command = plan

  variables {
    rds_proxy_enabled                 = true
    rds_proxy_max_connections_percent = 79
  }

  expect_failures = [var.database_max_connections]
}

run "tasks_that_pass_the_proxy_by_count_all_the_same" {
  command = plan

  variables {
    rds_proxy_enabled        = true
    rds_proxy_direct_access  = true
    database_max_connections = 206
  }

  expect_failures = [var.database_max_connections]
}

# The month's end counts: 6 tasks × 200 % × 2 × 10 + 5 = 245; 80 % of 307 is 245.6, of 306 is 244.8.
run "pool_budget_that_just_fits_the_months_end_is_planned" {
  command = plan

  variables {
    app_peak_max_tasks       = 6
    database_max_connections = 307
  }
}

run "pool_budget_that_the_months_end_just_exceeds_is_refused" {
  command = plan

  variables {
    app_peak_max_tasks       = 6
    database_max_connections = 306
  }

  expect_failures = [var.database_max_connections]
}

run "without_a_schedule_its_sizes_do_not_count" {
  command = plan

  variables {
    app_scheduled_scaling = false
    app_peak_max_tasks    = 6
  }

  assert {
    condition     = output.scalable_target.scheduled_actions == []
    error_message = "No schedule, no action."
  }
}

# What an inventory may change: the application's name, the number of zones, the ranges.
run "another_name_in_two_zones" {
  variables {
    app_name         = "billing"
    network_vpc_cidr = "10.4.0.0/20"
    network_availability_zones = {
      ap-northeast-2a = { public = "10.4.0.0/24", private = "10.4.4.0/24", database = "10.4.8.0/24" }
      ap-northeast-2c = { public = "10.4.1.0/24", private = "10.4.5.0/24", database = "10.4.9.0/24" }
    }
    vpc_endpoints_enabled = true
  }

  assert {
    condition = (
      output.name_prefix == "billing-test" && output.service_name == "billing-test"
      && output.log_group_name == "/ecs/billing-test" && length(output.private_subnet_ids) == 2
    )
    error_message = "The name in every name, and a subnet in each zone."
  }
}

run "four_zones" {
  variables {
    network_availability_zones = {
      ap-northeast-2a = { public = "10.0.8.0/24", private = "10.0.1.0/24", database = "10.0.4.0/24" }
      ap-northeast-2b = { public = "10.0.9.0/24", private = "10.0.2.0/24", database = "10.0.5.0/24" }
      ap-northeast-2c = { public = "10.0.10.0/24", private = "10.0.3.0/24", database = "10.0.6.0/24" }
      ap-northeast-2d = { public = "10.0.11.0/24", private = "10.0.12.0/24", database = "10.0.13.0/24" }
    }
  }

  assert {
    condition     = length(output.private_subnet_ids) == 4
    error_message = "A subnet in each zone."
  }
}

run "zone_that_the_account_lacks_is_refused" {
  command = plan

  variables {
    network_availability_zones = {
      ap-northeast-2a = { public = "10.0.8.0/24", private = "10.0.1.0/24", database = "10.0.4.0/24" }
      ap-northeast-2b = { public = "10.0.9.0/24", private = "10.0.2.0/24", database = "10.0.5.0/24" }
      ap-northeast-2z = { public = "10.0.10.0/24", private = "10.0.3.0/24", database = "10.0.6.0/24" }
    }
  }

  expect_failures = [data.aws_availability_zones.available]
}

run "values_of_a_wrong_form_are_refused" {
  command = plan

  variables {
    app_name         = "Storefront"
    aws_region       = "Seoul"
    aws_account_id   = "12345"
    public_url       = "storefront.example.com/"
    app_workers      = 0
    app_pool_size    = 0
    app_max_overflow = -1
  }

  expect_failures = [
    var.app_name,
    var.aws_region,
    var.aws_account_id,
    var.public_url,
    var.app_workers,
    var.app_pool_size,
    var.app_max_overflow,
  ]
}

run "values_that_depend_on_others_are_refused" {
  command = plan

  variables {
    env_name = "Test_1"
    network_availability_zones = {
      ap-northeast-2a = { public = "10.0.8.0/24", private = "10.0.1.0/24", database = "10.0.4.0/24" }
    }
  }

  expect_failures = [var.env_name, var.network_availability_zones]
}

run "name_that_is_too_long_is_refused" {
  command = plan

  variables {
    env_name = "production-of-asia"
  }

  expect_failures = [var.env_name]
}

run "certificate_without_a_name_is_refused" {
  command = plan

  variables {
    https_certificate_arn = "arn:aws:acm:ap-northeast-2:123456789012:certificate/given"
  }

  expect_failures = [var.https_certificate_arn]
}
