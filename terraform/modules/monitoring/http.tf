# The responses that clients get. The load balancer's request count leaves out requests without a target, in a total
# outage all of them. So requests are counted by their responses: those of the targets and its own. A count of zero is
# not reported, hence FILL; SUM adds the metrics that have data.

locals {
  http_dimensions = { LoadBalancer = var.load_balancer }

  http_metrics = {
    for id, name in {
      target_2xx = "HTTPCode_Target_2XX_Count"
      target_3xx = "HTTPCode_Target_3XX_Count"
      target_4xx = "HTTPCode_Target_4XX_Count"
      target_5xx = "HTTPCode_Target_5XX_Count"
      elb_4xx    = "HTTPCode_ELB_4XX_Count"
      elb_5xx    = "HTTPCode_ELB_5XX_Count"
    } : id => { namespace = "AWS/ApplicationELB", name = name, dimensions = local.http_dimensions, statistic = "Sum" }
  }

  http_requests = {
    id         = "requests"
    label      = "Requests"
    expression = "SUM([FILL(target_2xx, 0), FILL(target_3xx, 0), FILL(target_4xx, 0), FILL(target_5xx, 0), FILL(elb_4xx, 0), FILL(elb_5xx, 0)])"
  }

  # Each target group reports its own hosts. The tasks are in one of them, during a release perhaps in both; SUM adds those
  # that report.
  host_metrics = {
    for pair in setproduct(["HealthyHostCount", "UnHealthyHostCount"], keys(var.target_groups)) : join("_", [lower(pair[0]), pair[1]]) => {
      namespace  = "AWS/ApplicationELB"
      name       = pair[0]
      dimensions = merge(local.http_dimensions, { TargetGroup = var.target_groups[pair[1]] })
      statistic  = pair[0] == "HealthyHostCount" ? "Maximum" : "Average"
    }
  }

  # CloudWatch gets a minute's numbers a little late, and until then FILL counts them as 0: hence M of N.
  http_alarms = {
    # Requirement F4.
    error-rate = {
      urgency    = "urgent"
      meaning    = "At least 5 % of the requests were answered with 4xx or 5xx, in three minutes of five that had ${var.error_rate_minimum_requests} requests or more each."
      next       = "make incident"
      operator   = ">="
      threshold  = 5
      datapoints = 3
      periods    = 5
      missing    = "notBreaching"
      metrics    = local.http_metrics
      expressions = [
        {
          id         = "rate"
          label      = "Errors, percent of the requests"
          expression = "IF(requests >= ${var.error_rate_minimum_requests}, 100 * errors / requests, 0)"
        },
        {
          id         = "errors"
          label      = "Answers with 4xx or 5xx"
          expression = "SUM([FILL(target_4xx, 0), FILL(target_5xx, 0), FILL(elb_4xx, 0), FILL(elb_5xx, 0)])"
        },
        local.http_requests,
      ]
    }

    # Always our fault, so a lower threshold applies; five, so that a single error wakes nobody.
    errors-5xx = {
      urgency    = "urgent"
      meaning    = "At least 1 % of the requests, and five or more a minute, were answered with 5xx, in two minutes of three: the service or the database fails, not its clients."
      next       = "make incident"
      operator   = ">="
      threshold  = 1
      datapoints = 2
      periods    = 3
      missing    = "notBreaching"
      metrics    = local.http_metrics
      expressions = [
        {
          id         = "rate"
          label      = "Answers with 5xx, percent of the requests"
          expression = "IF(errors >= 5, 100 * errors / requests, 0)"
        },
        {
          id         = "errors"
          label      = "Answers with 5xx"
          expression = "SUM([FILL(target_5xx, 0), FILL(elb_5xx, 0)])"
        },
        local.http_requests,
      ]
    }

    # Reported only while targets are registered; a service without tasks is the alarm `tasks-missing`.
    no-healthy-targets = {
      urgency    = "urgent"
      meaning    = "No task passes the load balancer's health check, for two minutes: nobody is served, or the load balancer sends requests to tasks that fail."
      next       = "make incident"
      operator   = "<"
      threshold  = 1
      datapoints = 2
      periods    = 2
      missing    = "notBreaching"
      metrics    = { for id, metric in local.host_metrics : id => metric if metric.name == "HealthyHostCount" }
      expressions = [{
        id         = "healthy"
        label      = "Healthy targets"
        expression = "SUM([${join(", ", [for key in keys(var.target_groups) : "healthyhostcount_${key}"])}])"
      }]
    }

    # Each node of the load balancer reports the hosts that it sees, and the average is taken over the nodes. With the minimum,
    # one node that sees none would hide the alarm; with the maximum, a starting task, unhealthy for less than half a minute,
    # would set it off.
    # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
    unhealthy-targets = {
      urgency    = "warning"
      meaning    = "One task or more failed the load balancer's health check for three minutes on end; the others serve."
      next       = "make incident"
      operator   = ">="
      threshold  = 0.5
      datapoints = 3
      periods    = 3
      missing    = "notBreaching"
      metrics    = { for id, metric in local.host_metrics : id => metric if metric.name == "UnHealthyHostCount" }
      expressions = [{
        id         = "unhealthy"
        label      = "Unhealthy targets"
        expression = "SUM([${join(", ", [for key in keys(var.target_groups) : "unhealthyhostcount_${key}"])}])"
      }]
    }
  }
}
