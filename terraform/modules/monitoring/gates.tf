# The gates of a release that is not rolling: ECS undoes it when one goes off. A pair for each target group, because a canary
# with a tenth of the requests hides in the service's own numbers. They page nobody: the release says what happened.

locals {
  gates = merge([
    for key, group in var.target_groups : {
      "${key}-5xx" = { group = group, meaning = "At least ${var.release_gate_error_percent} % of a minute's answers of the target group ${key} were 5xx, in a minute with ${var.error_rate_minimum_requests} requests or more." }
      "${key}-p99" = { group = group, meaning = "One in a hundred answers of the target group ${key} took longer than ${var.release_gate_p99_seconds} s, for a minute." }
    }
  ]...)
}

resource "aws_cloudwatch_metric_alarm" "gate" {
  for_each = local.gates

  alarm_name        = "${var.name}-gate-${each.key}"
  alarm_description = <<-EOT
    ${each.value.meaning}
    Runbook: docs/releases.md#gates
    Next: make status ENV=${var.env_name}
  EOT

  comparison_operator = endswith(each.key, "-5xx") ? "GreaterThanOrEqualToThreshold" : "GreaterThanThreshold"
  threshold           = endswith(each.key, "-5xx") ? var.release_gate_error_percent : var.release_gate_p99_seconds
  evaluation_periods  = 1
  datapoints_to_alarm = 1
  treat_missing_data  = "notBreaching"

  namespace          = endswith(each.key, "-p99") ? "AWS/ApplicationELB" : null
  metric_name        = endswith(each.key, "-p99") ? "TargetResponseTime" : null
  dimensions         = endswith(each.key, "-p99") ? merge(local.http_dimensions, { TargetGroup = each.value.group }) : null
  extended_statistic = endswith(each.key, "-p99") ? "p99" : null
  period             = endswith(each.key, "-p99") ? 60 : null
  # With few requests, one slow answer is the 99th percentile.
  evaluate_low_sample_count_percentiles = endswith(each.key, "-p99") ? "ignore" : null

  dynamic "metric_query" {
    for_each = endswith(each.key, "-5xx") ? {
      rate     = "IF(requests >= ${var.error_rate_minimum_requests}, 100 * FILL(target_5xx, 0) / requests, 0)"
      requests = "SUM([FILL(target_2xx, 0), FILL(target_3xx, 0), FILL(target_4xx, 0), FILL(target_5xx, 0)])"
    } : {}

    content {
      id          = metric_query.key
      label       = metric_query.key == "rate" ? "Answers with 5xx, percent of the requests" : "Requests"
      expression  = metric_query.value
      return_data = metric_query.key == "rate"
    }
  }

  dynamic "metric_query" {
    for_each = endswith(each.key, "-5xx") ? { for id, metric in local.http_metrics : id => metric if startswith(id, "target_") } : {}

    content {
      id = metric_query.key

      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.name
        dimensions  = merge(metric_query.value.dimensions, { TargetGroup = each.value.group })
        stat        = metric_query.value.statistic
        period      = 60
      }
    }
  }
}
