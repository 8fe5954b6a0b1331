# The gates of a release that is not rolling: ECS undoes it when one goes off. A pair for each target group, because a canary
# with a tenth of the requests hides in the service's own numbers. They page nobody: the release says what happened.

locals {
  gates = merge([
    for key, group in var.target_groups : {
      "${key}-5xx" = {
        group      = group
        meaning    = "At least ${var.release_gate_error_percent} % of the answers of the target group ${key} were 5xx, in a minute with ${var.error_rate_minimum_requests} requests or more."
        label      = "Answers with 5xx, percent of the requests"
        expression = "IF(requests >= ${var.error_rate_minimum_requests}, 100 * FILL(target_5xx, 0) / requests, 0)"
        operator   = ">="
        threshold  = var.release_gate_error_percent
        metrics    = local.answers
      }
      # Among fewer than 100 requests, the slowest one would be the 99th percentile.
      "${key}-p99" = {
        group      = group
        meaning    = "One in a hundred answers of the target group ${key} took longer than ${var.release_gate_p99_seconds} s, in a minute with 100 requests or more."
        label      = "Response time, 99th percentile"
        expression = "IF(requests >= 100, time, 0)"
        operator   = ">"
        threshold  = var.release_gate_p99_seconds
        metrics    = merge(local.answers, { time = { name = "TargetResponseTime", statistic = "p99" } })
      }
    }
  ]...)

  answers = { for id, metric in local.http_metrics : id => { name = metric.name, statistic = metric.statistic } if startswith(id, "target_") }
}

resource "aws_cloudwatch_metric_alarm" "gate" {
  for_each = local.gates

  alarm_name        = "${var.name}-gate-${each.key}"
  alarm_description = <<-EOT
    ${each.value.meaning}
    Runbook: docs/releases.md#gates
    Next: make status ENV=${var.env_name}
  EOT

  comparison_operator = local.comparison[each.value.operator]
  threshold           = each.value.threshold
  evaluation_periods  = 1
  datapoints_to_alarm = 1
  treat_missing_data  = "notBreaching"

  metric_query {
    id          = "gate"
    label       = each.value.label
    expression  = each.value.expression
    return_data = true
  }

  metric_query {
    id          = "requests"
    label       = "Requests"
    expression  = "SUM([${join(", ", [for id in keys(local.answers) : "FILL(${id}, 0)"])}])"
    return_data = false
  }

  dynamic "metric_query" {
    for_each = each.value.metrics

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/ApplicationELB"
        metric_name = metric_query.value.name
        dimensions  = merge(local.http_dimensions, { TargetGroup = each.value.group })
        stat        = metric_query.value.statistic
        period      = 60
      }
    }
  }
}
