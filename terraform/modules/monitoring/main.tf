# Alarms by concern (http, service, database, bots), all created here, so that each has a topic by its urgency, an OK
# notification, and a description in one format: a sentence, then `Runbook:` and `Next:`, which the alarm-bot shows.

locals {
  alarms = merge(local.http_alarms, local.service_alarms, local.database_alarms, local.bot_alarms)

  comparison = {
    ">=" = "GreaterThanOrEqualToThreshold"
    ">"  = "GreaterThanThreshold"
    "<=" = "LessThanOrEqualToThreshold"
    "<"  = "LessThanThreshold"
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = <<-EOT
    ${each.value.meaning}
    Runbook: ${try(each.value.runbook, "docs/monitoring.md#${try(each.value.section, each.key)}")}
    Next: ${each.value.next} ENV=${var.env_name}
  EOT

  alarm_actions = [var.topic_arns[each.value.urgency]]
  ok_actions    = [var.topic_arns[each.value.urgency]]

  comparison_operator = local.comparison[each.value.operator]
  threshold           = each.value.threshold
  # M of N: `datapoints` of the last `periods`.
  datapoints_to_alarm = each.value.datapoints
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.missing

  # One metric …
  namespace   = try(each.value.metric.namespace, null)
  metric_name = try(each.value.metric.name, null)
  dimensions  = try(each.value.metric.dimensions, null)
  statistic   = try(each.value.metric.statistic, null)
  period      = try(each.value.metric.period, null)

  # … or the first of these expressions, over the metrics.
  dynamic "metric_query" {
    for_each = try(each.value.expressions, [])

    content {
      id          = metric_query.value.id
      expression  = metric_query.value.expression
      label       = metric_query.value.label
      return_data = metric_query.key == 0
    }
  }

  dynamic "metric_query" {
    for_each = try(each.value.metrics, {})

    content {
      id = metric_query.key

      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.name
        dimensions  = metric_query.value.dimensions
        stat        = metric_query.value.statistic
        period      = 60
      }
    }
  }
}

# For tests only: `make test-page` sets their state, and the page is delivered like any other.
resource "aws_cloudwatch_metric_alarm" "test_page" {
  for_each = var.topic_arns

  alarm_name        = "${var.name}-test-page-${each.key}"
  alarm_description = <<-EOT
    TEST: nothing is wrong. Somebody ran `make test-page` to see that this page arrives.
    Runbook: docs/monitoring.md#test-page
    Next: make status ENV=${var.env_name}
  EOT

  alarm_actions = [each.value]
  ok_actions    = [each.value]

  # No such metric exists: CloudWatch itself only resets the alarm to OK.
  namespace           = "${var.name}/test-page"
  metric_name         = each.key
  statistic           = "Sum"
  period              = 60
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  datapoints_to_alarm = 1
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
}
