mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  cluster_name  = "storefront-test"
  service_name  = "storefront-test"
  app_min_tasks = 2
  app_max_tasks = 6

  app_scheduled_scaling = false
  app_peak_min_tasks    = null
  app_peak_max_tasks    = null
  app_peak_starts_at    = "00:00"
  app_peak_ends_at      = "00:00"
  app_scaling_timezone  = "Asia/Seoul"
}

run "defaults" {
  command = plan

  assert {
    condition = (
      aws_appautoscaling_target.this.resource_id == "service/storefront-test/storefront-test"
      && aws_appautoscaling_target.this.min_capacity == 0 && aws_appautoscaling_target.this.max_capacity == 6
    )
    error_message = "The target is created with a minimum of 0: registering a higher one starts tasks at once."
  }

  assert {
    condition     = aws_appautoscaling_target.this.suspended_state[0].scheduled_scaling_suspended
    error_message = "The schedule is suspended until a release succeeded: it would start the placeholder."
  }

  assert {
    condition = (
      aws_appautoscaling_policy.cpu.policy_type == "TargetTrackingScaling"
      && aws_appautoscaling_policy.cpu.target_tracking_scaling_policy_configuration[0].target_value == 60
      && aws_appautoscaling_policy.cpu.target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].predefined_metric_type == "ECSServiceAverageCPUUtilization"
      && aws_appautoscaling_policy.cpu.target_tracking_scaling_policy_configuration[0].scale_out_cooldown == 60
      && aws_appautoscaling_policy.cpu.target_tracking_scaling_policy_configuration[0].scale_in_cooldown == 300
    )
    error_message = "Target tracking holds the average CPU at 60 % (requirement B1)."
  }

  assert {
    condition = output.scalable_target == {
      resource_id        = "service/storefront-test/storefront-test"
      service_namespace  = "ecs"
      scalable_dimension = "ecs:service:DesiredCount"
      min_capacity       = 2
      max_capacity       = 6
      timezone           = "Asia/Seoul"
      scheduled_actions  = []
    }
    error_message = "Without a schedule there is no action, and the limits that a release sets are the given ones."
  }
}

# What these expressions mean in each year is checked by tests/terraform/test_schedule.py, over the plan of this run.
run "schedule" {
  command = plan

  variables {
    app_scheduled_scaling = true
    app_peak_min_tasks    = 4
    app_peak_max_tasks    = 12
  }

  assert {
    condition = [for action in output.scalable_target.scheduled_actions : "${action.name} ${action.min_capacity}-${action.max_capacity}"] == [
      "storefront-test-peak-31-days 4-12",
      "storefront-test-peak-30-days 4-12",
      "storefront-test-peak-february-28-days 4-12",
      "storefront-test-peak-february-29-days 4-12",
      "storefront-test-peak-first 4-12",
      "storefront-test-peak-over 2-6",
    ]
    error_message = "Up by five actions, down by one."
  }

  assert {
    condition = (
      aws_appautoscaling_scheduled_action.months_of_31_days[0].schedule == "cron(0 0 28 1,3,5,7,8,10,12 ? *)"
      && aws_appautoscaling_scheduled_action.months_of_30_days[0].schedule == "cron(0 0 27 4,6,9,11 ? *)"
      && startswith(aws_appautoscaling_scheduled_action.february_of_28_days[0].schedule, "cron(0 0 25 2 ? 2025,2026,2027,2029,")
      && startswith(aws_appautoscaling_scheduled_action.february_of_29_days[0].schedule, "cron(0 0 26 2 ? 2028,2032,")
      && aws_appautoscaling_scheduled_action.first_again[0].schedule == "cron(0 0 1 * ? *)"
      && aws_appautoscaling_scheduled_action.down[0].schedule == "cron(0 0 2 * ? *)"
    )
    error_message = "Three days before the end, by the months' lengths; the 1st; the 2nd (requirement B2)."
  }

  assert {
    condition     = alltrue([for action in local.scheduled_actions : action.timezone == "Asia/Seoul" && length(action.schedule) <= 1600])
    error_message = "In Seoul's time zone, and no longer than AWS allows."
  }
}

run "schedule_of_another_place" {
  command = plan

  variables {
    app_scheduled_scaling = true
    app_peak_min_tasks    = 3
    app_peak_max_tasks    = 6
    app_peak_starts_at    = "18:05"
    app_peak_ends_at      = "08:30"
    app_scaling_timezone  = "America/New_York"
  }

  assert {
    condition = (
      aws_appautoscaling_scheduled_action.first_again[0].schedule == "cron(5 18 1 * ? *)"
      && aws_appautoscaling_scheduled_action.down[0].schedule == "cron(30 8 2 * ? *)"
      && aws_appautoscaling_scheduled_action.down[0].timezone == "America/New_York"
    )
    error_message = "Times and time zone are the given ones; the maximum may stay."
  }
}

run "peak_below_the_usual_minimum_is_refused" {
  command = plan

  variables {
    app_scheduled_scaling = true
    app_peak_min_tasks    = 1
    app_peak_max_tasks    = 6
  }

  expect_failures = [var.app_peak_min_tasks]
}

run "peak_below_the_usual_maximum_is_refused" {
  command = plan

  variables {
    app_scheduled_scaling = true
    app_peak_min_tasks    = 4
    app_peak_max_tasks    = 5
  }

  expect_failures = [var.app_peak_max_tasks]
}

run "peak_maximum_below_its_minimum_is_refused" {
  command = plan

  variables {
    app_scheduled_scaling = true
    app_peak_min_tasks    = 8
    app_peak_max_tasks    = 7
  }

  expect_failures = [var.app_peak_max_tasks]
}

run "schedule_without_sizes_is_refused" {
  command = plan

  variables {
    app_scheduled_scaling = true
  }

  expect_failures = [var.app_peak_min_tasks]
}

run "times_of_a_wrong_form_are_refused" {
  command = plan

  variables {
    app_peak_starts_at   = "24:00"
    app_peak_ends_at     = "570" # what YAML makes of 9:30 without quotes
    app_scaling_timezone = "Seoul"
  }

  expect_failures = [var.app_peak_starts_at, var.app_peak_ends_at, var.app_scaling_timezone]
}

run "values_outside_their_range_are_refused" {
  command = plan

  variables {
    app_min_tasks      = 0
    cpu_target_percent = 100
  }

  expect_failures = [var.app_min_tasks, var.cpu_target_percent]
}

run "maximum_below_minimum_is_refused" {
  command = plan

  variables {
    app_max_tasks = 1
  }

  expect_failures = [var.app_max_tasks]
}
