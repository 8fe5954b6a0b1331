# The alarms' behaviour is tested by replay, on the whole environment: tests/terraform/test_monitoring.py.

mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name           = "storefront-test"
  env_name       = "test"
  aws_account_id = "123456789012"
  aws_region     = "ap-northeast-2"
  topic_arns = {
    urgent  = "arn:aws:sns:ap-northeast-2:123456789012:urgent"
    warning = "arn:aws:sns:ap-northeast-2:123456789012:warning"
  }
  load_balancer                 = "app/test/0123456789abcdef"
  target_groups                 = { api = "targetgroup/test/0123456789abcdef", alt = "targetgroup/other/0123456789abcdef" }
  release_gate_error_percent    = 5
  release_gate_p99_seconds      = 2
  app_min_tasks                 = 2
  database_identifier           = "storefront-test"
  database_max_connections      = 210
  database_allocated_storage_gb = 20
  database_log_group_name       = "/aws/rds/instance/storefront-test/postgresql"
  undelivered_queue_name        = "storefront-test-undelivered"

  error_rate_minimum_requests      = 20
  container_insights               = "enabled"
  database_free_memory_minimum_mb  = 128
  database_slow_query_milliseconds = 3000
  bot_function_names               = []
  log_retention_days               = 30
}

run "each_target_group_has_its_gates" {
  assert {
    condition     = output.gate_alarm_names == sort([for end in ["alt-5xx", "alt-p99", "api-5xx", "api-p99"] : "${var.name}-gate-${end}"])
    error_message = "A release that is not rolling has two gates for each target group."
  }

  assert {
    condition = alltrue([
      for key, alarm in aws_cloudwatch_metric_alarm.gate :
      length(coalesce(alarm.alarm_actions, [])) == 0 && alarm.treat_missing_data == "notBreaching"
      && alarm.datapoints_to_alarm == 1 && alarm.evaluation_periods == 1
    ])
    error_message = "A gate reacts within a minute and pages nobody."
  }

  assert {
    condition = alltrue([
      for key, alarm in aws_cloudwatch_metric_alarm.gate : alltrue([
        for query in alarm.metric_query : one(query.metric).dimensions.TargetGroup == var.target_groups[split("-", key)[0]] if length(query.metric) > 0
      ])
    ])
    error_message = "A gate measures its own target group only."
  }

  assert {
    condition = alltrue([
      for key in ["no-healthy-targets", "unhealthy-targets"] :
      toset([for query in aws_cloudwatch_metric_alarm.this[key].metric_query : one(query.metric).dimensions.TargetGroup if length(query.metric) > 0]) == toset(values(var.target_groups))
    ])
    error_message = "The service's alarms on its targets follow both target groups."
  }
}

run "connections_alarm_is_80_percent_of_the_one_number" {
  assert {
    condition = (
      output.database_connections_threshold == 168
      && aws_cloudwatch_metric_alarm.this["database-connections"].threshold == 168
      && strcontains(aws_cloudwatch_metric_alarm.this["database-connections"].alarm_description, "168 connections or more, 80 % of the 210")
    )
    error_message = "Requirement F2: 80 % of database_max_connections, in connections."
  }
}

run "names_begin_with_the_environment" {
  assert {
    condition     = alltrue([for key, name in output.alarm_names : name == "storefront-test-${key}"])
    error_message = "`make status` finds the alarms by their prefix."
  }

  assert {
    condition     = output.test_page_alarm_names == { urgent = "storefront-test-test-page-urgent", warning = "storefront-test-test-page-warning" }
    error_message = "`make test-page` finds its alarms by urgency."
  }

  assert {
    condition     = strcontains(output.dashboard_url, "region=ap-northeast-2#dashboards/dashboard/storefront-test")
    error_message = "The dashboard has the environment's name."
  }
}

run "each_bot_has_an_alarm_on_its_errors" {
  variables {
    bot_function_names = ["storefront-test-query-bot"]
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["query-bot-errors"].dimensions == tomap({ FunctionName = "storefront-test-query-bot" })
      && strcontains(aws_cloudwatch_metric_alarm.this["query-bot-errors"].alarm_description, "docs/monitoring.md#bot-errors")
      && aws_cloudwatch_metric_alarm.this["query-bot-errors"].alarm_actions == toset([var.topic_arns.warning])
    )
    error_message = "A bot that fails is a warning, by e-mail too."
  }
}

run "without_container_insights_no_task_is_counted" {
  variables {
    container_insights = "disabled"
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.this), "tasks-missing")
    error_message = "An alarm on a metric without data would never change its state."
  }
}

run "without_a_database_nothing_watches_it" {
  variables {
    database_identifier     = null
    database_log_group_name = null
  }

  assert {
    condition = (
      output.database_connections_threshold == null
      && length([for key, _ in aws_cloudwatch_metric_alarm.this : key if startswith(key, "database-")]) == 0
      && contains(keys(aws_cloudwatch_metric_alarm.this), "error-rate")
    )
    error_message = "No alarm on a database that does not exist, and all others."
  }

  assert {
    condition = (
      !strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "AWS/RDS")
      && !strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "Slow")
      && strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "RunningTaskCount")
    )
    error_message = "The dashboard has the rows of the service only."
  }
}

run "a_floor_that_is_none_is_refused" {
  command = plan

  variables {
    error_rate_minimum_requests     = 1
    database_free_memory_minimum_mb = 0
    name                            = "Storefront"
  }

  expect_failures = [var.error_rate_minimum_requests, var.database_free_memory_minimum_mb, var.name]
}
