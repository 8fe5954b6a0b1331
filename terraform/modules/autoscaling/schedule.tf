# Up three days before the end of each month, up again on the 1st, down on the 2nd (requirement B2).
#
# An action sets both limits, and nothing reverts it but the next one
# (https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-policy-overview.html). "Days before the
# last" is no cron syntax that AWS documents, so the months are listed by their lengths, and February by years
# (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html). The one on the 1st sets
# the same limits again: it reverts a manual change in between.

locals {
  peak_starts = "${tonumber(split(":", var.app_peak_starts_at)[1])} ${tonumber(split(":", var.app_peak_starts_at)[0])}"
  peak_ends   = "${tonumber(split(":", var.app_peak_ends_at)[1])} ${tonumber(split(":", var.app_peak_ends_at)[0])}"

  # Every year of this century, so that it needs no renewal; the lists are far below the 1,600 characters of a schedule.
  years        = range(2025, 2100)
  leap_years   = [for year in local.years : year if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)]
  common_years = [for year in local.years : year if !contains(local.leap_years, year)]

  scheduled_actions = concat(
    aws_appautoscaling_scheduled_action.months_of_31_days,
    aws_appautoscaling_scheduled_action.months_of_30_days,
    aws_appautoscaling_scheduled_action.february_of_28_days,
    aws_appautoscaling_scheduled_action.february_of_29_days,
    aws_appautoscaling_scheduled_action.first_again,
    aws_appautoscaling_scheduled_action.down,
  )
}

# Each depends on the one before: AWS refuses a change of a target while another is pending, and the provider does not
# try again (https://github.com/hashicorp/terraform-provider-aws/issues/17915).

resource "aws_appautoscaling_scheduled_action" "months_of_31_days" {
  count = var.app_scheduled_scaling ? 1 : 0

  name               = "${var.service_name}-peak-31-days"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  resource_id        = aws_appautoscaling_target.this.resource_id
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  schedule           = "cron(${local.peak_starts} 28 1,3,5,7,8,10,12 ? *)"
  timezone           = var.app_scaling_timezone

  scalable_target_action {
    min_capacity = var.app_peak_min_tasks
    max_capacity = var.app_peak_max_tasks
  }

  depends_on = [aws_appautoscaling_policy.cpu]
}

resource "aws_appautoscaling_scheduled_action" "months_of_30_days" {
  count = var.app_scheduled_scaling ? 1 : 0

  name               = "${var.service_name}-peak-30-days"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  resource_id        = aws_appautoscaling_target.this.resource_id
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  schedule           = "cron(${local.peak_starts} 27 4,6,9,11 ? *)"
  timezone           = var.app_scaling_timezone

  scalable_target_action {
    min_capacity = var.app_peak_min_tasks
    max_capacity = var.app_peak_max_tasks
  }

  depends_on = [aws_appautoscaling_scheduled_action.months_of_31_days]
}

resource "aws_appautoscaling_scheduled_action" "february_of_28_days" {
  count = var.app_scheduled_scaling ? 1 : 0

  name               = "${var.service_name}-peak-february-28-days"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  resource_id        = aws_appautoscaling_target.this.resource_id
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  schedule           = "cron(${local.peak_starts} 25 2 ? ${join(",", local.common_years)})"
  timezone           = var.app_scaling_timezone

  scalable_target_action {
    min_capacity = var.app_peak_min_tasks
    max_capacity = var.app_peak_max_tasks
  }

  depends_on = [aws_appautoscaling_scheduled_action.months_of_30_days]
}

resource "aws_appautoscaling_scheduled_action" "february_of_29_days" {
  count = var.app_scheduled_scaling ? 1 : 0

  name               = "${var.service_name}-peak-february-29-days"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  resource_id        = aws_appautoscaling_target.this.resource_id
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  schedule           = "cron(${local.peak_starts} 26 2 ? ${join(",", local.leap_years)})"
  timezone           = var.app_scaling_timezone

  scalable_target_action {
    min_capacity = var.app_peak_min_tasks
    max_capacity = var.app_peak_max_tasks
  }

  depends_on = [aws_appautoscaling_scheduled_action.february_of_28_days]
}

resource "aws_appautoscaling_scheduled_action" "first_again" {
  count = var.app_scheduled_scaling ? 1 : 0

  name               = "${var.service_name}-peak-first"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  resource_id        = aws_appautoscaling_target.this.resource_id
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  schedule           = "cron(${local.peak_starts} 1 * ? *)"
  timezone           = var.app_scaling_timezone

  scalable_target_action {
    min_capacity = var.app_peak_min_tasks
    max_capacity = var.app_peak_max_tasks
  }

  depends_on = [aws_appautoscaling_scheduled_action.february_of_29_days]
}

resource "aws_appautoscaling_scheduled_action" "down" {
  count = var.app_scheduled_scaling ? 1 : 0

  name               = "${var.service_name}-peak-over"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  resource_id        = aws_appautoscaling_target.this.resource_id
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  schedule           = "cron(${local.peak_ends} 2 * ? *)"
  timezone           = var.app_scaling_timezone

  scalable_target_action {
    min_capacity = var.app_min_tasks
    max_capacity = var.app_max_tasks
  }

  depends_on = [aws_appautoscaling_scheduled_action.first_again]
}
