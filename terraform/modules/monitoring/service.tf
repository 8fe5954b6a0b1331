# Tasks and deployments.

locals {
  service_dimensions = { ClusterName = var.name, ServiceName = var.name }

  service_alarms = var.container_insights == "disabled" ? {} : {
    # The minimum changes with the schedule and the number of tasks with the load; the desired count reflects both. It is 0
    # only before the first release. Ten minutes, so that a scale-out has time to start its tasks.
    tasks-missing = {
      urgency    = "urgent"
      meaning    = "Fewer tasks run than the service should have (its desired count, ${var.app_min_tasks} at least), for ten minutes: tasks do not start, or do not stay."
      next       = "make incident"
      operator   = ">="
      threshold  = 1
      datapoints = 10
      periods    = 10
      # Container Insights sometimes reports late, which changes no alarm's state.
      missing = "ignore"
      metrics = {
        for id, name in { desired = "DesiredTaskCount", running = "RunningTaskCount" } :
        id => { namespace = "ECS/ContainerInsights", name = name, dimensions = local.service_dimensions, statistic = id == "desired" ? "Minimum" : "Maximum" }
      }
      expressions = [{
        id         = "shortfall"
        label      = "Tasks missing"
        expression = "IF(desired > 0, IF(desired >= ${var.app_min_tasks}, desired, ${var.app_min_tasks}) - running, 0)"
      }]
    }
  }

  # ECS's events of a deployment, whether a release, a rollback, the circuit breaker or a person started it.
  deployment_events = {
    started   = "SERVICE_DEPLOYMENT_IN_PROGRESS"
    completed = "SERVICE_DEPLOYMENT_COMPLETED"
    failed    = "SERVICE_DEPLOYMENT_FAILED"
  }
}

# A rule for each, because EventBridge counts by rule (AWS/Events TriggeredRules): the dashboard's marks of deployments.
resource "aws_cloudwatch_event_rule" "deployment" {
  for_each = local.deployment_events

  name        = "${var.name}-deployment-${each.key}"
  description = "A deployment of ${var.name} ${each.key}."

  event_pattern = jsonencode({
    source      = ["aws.ecs"]
    detail-type = ["ECS Deployment State Change"]
    resources   = ["arn:aws:ecs:${var.aws_region}:${var.aws_account_id}:service/${var.name}/${var.name}"]
    detail      = { eventName = [each.value] }
  })
}

resource "aws_cloudwatch_event_target" "deployment_log" {
  for_each = aws_cloudwatch_event_rule.deployment

  rule      = each.value.name
  target_id = "log"
  arn       = aws_cloudwatch_log_group.deployments.arn
}

# The event unchanged: the alarm-bot parses it, and a person reads its `detail.reason`.
resource "aws_cloudwatch_event_target" "deployment_failed" {
  rule      = aws_cloudwatch_event_rule.deployment["failed"].name
  target_id = "page"
  arn       = var.topic_arns.urgent
}

# The console of EventBridge lists only log groups below this path.
resource "aws_cloudwatch_log_group" "deployments" {
  #checkov:skip=CKV_AWS_158:Encrypted with AWS's key; it holds ECS's events.
  name              = "/aws/events/${var.name}/deployments"
  retention_in_days = var.log_retention_days
}

# An account may have ten of these in a region: one for each environment. EventBridge's CreateLogStream carries no rule: a
# condition on the rule's ARN would deny it, and the log would stay empty.
# https://github.com/hashicorp/terraform-provider-aws/issues/26628
resource "aws_cloudwatch_log_resource_policy" "deployment_log" {
  policy_name = "${var.name}-deployments"

  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "MakeStreams"
        Effect    = "Allow"
        Action    = "logs:CreateLogStream"
        Resource  = "${aws_cloudwatch_log_group.deployments.arn}:*"
        Principal = { Service = ["events.amazonaws.com", "delivery.logs.amazonaws.com"] }
      },
      {
        Sid       = "WriteDeployments"
        Effect    = "Allow"
        Action    = "logs:PutLogEvents"
        Resource  = "${aws_cloudwatch_log_group.deployments.arn}:*"
        Principal = { Service = ["events.amazonaws.com", "delivery.logs.amazonaws.com"] }
        Condition = { ArnEquals = { "aws:SourceArn" = [for rule in aws_cloudwatch_event_rule.deployment : rule.arn] } }
      },
    ]
  })
}
