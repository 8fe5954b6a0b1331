mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  cluster_name = "settlement-test"
  service_name = "settlement-test"
  min_tasks    = 2
  max_tasks    = 6
}

run "defaults" {
  command = plan

  assert {
    condition = (
      aws_appautoscaling_target.this.resource_id == "service/settlement-test/settlement-test"
      && aws_appautoscaling_target.this.min_capacity == 0 && aws_appautoscaling_target.this.max_capacity == 6
    )
    error_message = "The target is made with a minimum of 0: registering one starts tasks at once."
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
      resource_id        = "service/settlement-test/settlement-test"
      service_namespace  = "ecs"
      scalable_dimension = "ecs:service:DesiredCount"
      min_capacity       = 2
      max_capacity       = 6
    }
    error_message = "The limits that a release sets are the given ones."
  }
}

run "values_outside_their_range_are_refused" {
  command = plan

  variables {
    min_tasks          = 0
    cpu_target_percent = 100
  }

  expect_failures = [var.min_tasks, var.cpu_target_percent]
}

run "maximum_below_minimum_is_refused" {
  command = plan

  variables {
    max_tasks = 1
  }

  expect_failures = [var.max_tasks]
}
