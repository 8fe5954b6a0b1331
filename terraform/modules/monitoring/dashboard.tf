# The dashboard: three rows of current metrics, and two of the database if there is one. CloudWatch's grid is 24 wide.
# Structure: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html

locals {
  # Vertical annotations have fixed times, which a template cannot contain. EventBridge's own count of each rule marks the
  # minute of the event on the right axis of each graph, without a call by the deployment and without a custom metric.
  deployment_marks = [
    for event, mark in {
      started   = { label = "Deployment started", color = "#1f77b4" }
      completed = { label = "Deployment completed", color = "#2ca02c" }
      failed    = { label = "Deployment failed", color = "#d62728" }
    } :
    ["AWS/Events", "TriggeredRules", "RuleName", aws_cloudwatch_event_rule.deployment[event].name, { label = mark.label, color = mark.color, stat = "Sum", yAxis = "right" }]
  ]

  http_hidden = [
    for id, metric in local.http_metrics :
    [metric.namespace, metric.name, "LoadBalancer", var.load_balancer, { id = id, stat = "Sum", visible = false }]
  ]

  dashboard_defaults = { region = var.aws_region, view = "timeSeries", period = 60, stacked = false }
  deployments_axis   = { right = { label = "Deployments", showUnits = false, min = 0, max = 2 } }

  dashboard_rows = concat(local.service_rows, [for row in local.database_rows : row if local.has_database])

  service_rows = [
    [
      {
        type = "alarm", width = 24, height = 3
        properties = {
          title  = "Alarms"
          alarms = [for key in sort(keys(aws_cloudwatch_metric_alarm.this)) : aws_cloudwatch_metric_alarm.this[key].arn]
        }
      },
    ],
    [
      {
        type = "metric", width = 8, height = 7
        properties = merge(local.dashboard_defaults, {
          title = "Traffic (requests a minute, by their answer)"
          yAxis = merge(local.deployments_axis, { left = { min = 0, showUnits = false } })
          metrics = concat(
            [for id, metric in local.http_metrics : [metric.namespace, metric.name, "LoadBalancer", var.load_balancer, { stat = "Sum", label = id }]],
            local.deployment_marks,
          )
        })
      },
      {
        type = "metric", width = 8, height = 7
        properties = merge(local.dashboard_defaults, {
          title = "Errors (percent of the requests)"
          yAxis = merge(local.deployments_axis, { left = { min = 0, showUnits = false } })
          metrics = concat(
            [
              [{ expression = "100 * SUM([FILL(target_4xx, 0), FILL(target_5xx, 0), FILL(elb_4xx, 0), FILL(elb_5xx, 0)]) / requests", label = "4xx and 5xx", id = "all_errors" }],
              [{ expression = "100 * SUM([FILL(target_5xx, 0), FILL(elb_5xx, 0)]) / requests", label = "5xx", id = "server_errors" }],
              [{ expression = local.http_requests.expression, label = local.http_requests.label, id = local.http_requests.id, visible = false }],
            ],
            local.http_hidden,
            local.deployment_marks,
          )
          annotations = { horizontal = [{ label = "Alarm error-rate", value = local.http_alarms.error-rate.threshold }] }
        })
      },
      {
        type = "metric", width = 8, height = 7
        properties = merge(local.dashboard_defaults, {
          title = "Latency (of the targets)"
          yAxis = merge(local.deployments_axis, { left = { min = 0 } })
          metrics = concat(
            [for percentile in ["p50", "p90", "p99"] : ["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", var.load_balancer, { stat = percentile, label = percentile }]],
            local.deployment_marks,
          )
        })
      },
    ],
    [
      {
        type = "metric", width = 8, height = 7
        properties = merge(local.dashboard_defaults, {
          title = "Tasks"
          yAxis = merge(local.deployments_axis, { left = { min = 0, showUnits = false } })
          metrics = concat(
            [for name in ["DesiredTaskCount", "RunningTaskCount", "PendingTaskCount"] : ["ECS/ContainerInsights", name, "ClusterName", var.name, "ServiceName", var.name, { stat = "Average", label = name }]],
            [for pair in setproduct(["HealthyHostCount", "UnHealthyHostCount"], keys(var.target_groups)) : ["AWS/ApplicationELB", pair[0], "LoadBalancer", var.load_balancer, "TargetGroup", var.target_groups[pair[1]], { stat = "Average", label = "${pair[0]} (${pair[1]})" }]],
            local.deployment_marks,
          )
        })
      },
      {
        type = "metric", width = 8, height = 7
        properties = merge(local.dashboard_defaults, {
          title = "CPU and memory of the service (percent)"
          yAxis = { left = { min = 0, max = 100, showUnits = false } }
          metrics = [
            ["AWS/ECS", "CPUUtilization", "ClusterName", var.name, "ServiceName", var.name, { stat = "Average", label = "CPU, average" }],
            ["AWS/ECS", "CPUUtilization", "ClusterName", var.name, "ServiceName", var.name, { stat = "Maximum", label = "CPU, highest task" }],
            ["AWS/ECS", "MemoryUtilization", "ClusterName", var.name, "ServiceName", var.name, { stat = "Maximum", label = "Memory, highest task" }],
          ]
          annotations = { horizontal = [{ label = "Auto scaling's target", value = var.cpu_target_percent }] }
        })
      },
      {
        type = "log", width = 8, height = 7
        properties = {
          title  = "Deployments"
          region = var.aws_region
          view   = "table"
          query  = "SOURCE '${aws_cloudwatch_log_group.deployments.name}' | fields @timestamp, detail.eventName, detail.reason, detail.deploymentId | sort @timestamp desc | limit 50"
        }
      },
    ],
  ]

  slow_queries = "SOURCE '${coalesce(var.database_log_group_name, "none")}' | filter @message like /duration: [0-9.]+ ms/ | parse @message /duration: (?<ms>[0-9.]+) ms/"

  database_rows = [
    [
      {
        type = "metric", width = 8, height = 7
        properties = merge(local.dashboard_defaults, {
          title   = "Database connections"
          yAxis   = { left = { min = 0, showUnits = false } }
          metrics = [["AWS/RDS", "DatabaseConnections", "DBInstanceIdentifier", var.database_identifier, { stat = "Maximum", label = "Connections" }]]
          annotations = { horizontal = [
            { label = "max_connections", value = var.database_max_connections, color = "#d62728" },
            { label = "Alarm database-connections", value = local.database_connections_threshold, color = "#ff7f0e" },
          ] }
        })
      },
      {
        type = "metric", width = 8, height = 7
        properties = merge(local.dashboard_defaults, {
          title = "Database CPU (percent), free memory and storage"
          yAxis = { left = { min = 0, max = 100, showUnits = false }, right = { min = 0 } }
          metrics = [
            ["AWS/RDS", "CPUUtilization", "DBInstanceIdentifier", var.database_identifier, { stat = "Average", label = "CPU" }],
            ["AWS/RDS", "FreeableMemory", "DBInstanceIdentifier", var.database_identifier, { stat = "Average", label = "Free memory", yAxis = "right" }],
            ["AWS/RDS", "FreeStorageSpace", "DBInstanceIdentifier", var.database_identifier, { stat = "Minimum", label = "Free storage", yAxis = "right" }],
          ]
          annotations = { horizontal = [{ label = "Alarm database-cpu", value = local.database_alarm_definitions.database-cpu.threshold }] }
        })
      },
      {
        type = "log", width = 8, height = 7
        properties = {
          title  = "Slow queries (${var.database_slow_query_milliseconds} ms or more, in five minutes)"
          region = var.aws_region
          view   = "bar"
          query  = "${local.slow_queries} | stats count(*) as queries, max(ms) as slowest_ms by bin(5m)"
        }
      },
    ],
    [
      {
        type = "log", width = 24, height = 7
        properties = {
          title  = "Slowest queries"
          region = var.aws_region
          view   = "table"
          query  = "${local.slow_queries} | sort ms desc | display @timestamp, ms, @message | limit 20"
        }
      },
    ],
  ]

  # Each widget after those to its left, each row below the one before it.
  dashboard_widgets = flatten([
    for y, row in local.dashboard_rows : [
      for x, widget in row : merge(widget, {
        x = sum(concat([0], [for left in slice(row, 0, x) : left.width]))
        y = sum(concat([0], [for above in slice(local.dashboard_rows, 0, y) : above[0].height]))
      })
    ]
  ])
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  # Each graph has the same range, so that the release marks line up.
  dashboard_body = jsonencode({
    start          = "-PT6H"
    periodOverride = "inherit"
    widgets        = local.dashboard_widgets
  })
}
