# The account's costs of a month, reported if they are, or are forecast to be, well over the budget (requirement H5).
resource "aws_budgets_budget" "monthly" {
  count = var.budget_monthly_usd == null ? 0 : 1

  name         = "${var.name}-monthly"
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = format("%.2f", var.budget_monthly_usd)
  limit_unit   = "USD"

  # Usage before credits and refunds, which by default make the month look cheaper than it is.
  # https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_CostTypes.html
  cost_types {
    include_credit = false
    include_refund = false
  }

  dynamic "notification" {
    for_each = toset(["ACTUAL", "FORECASTED"])

    content {
      notification_type         = notification.key
      comparison_operator       = "GREATER_THAN"
      threshold                 = var.budget_threshold_percent
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [var.topic_arn]
    }
  }
}

# AWS allows one monitor of services per account and creates one in most accounts. A monitor of others is used as it is.
locals {
  own_monitor = var.existing_anomaly_monitor == null || try(var.existing_anomaly_monitor.name == var.name, false)
  monitor_arn = local.own_monitor ? one(aws_ce_anomaly_monitor.services[*].arn) : var.existing_anomaly_monitor.arn
}

resource "aws_ce_anomaly_monitor" "services" {
  count = var.anomaly_enabled && local.own_monitor ? 1 : 0

  name              = var.name
  monitor_type      = "DIMENSIONAL"
  monitor_dimension = "SERVICE"
}

resource "aws_ce_anomaly_subscription" "this" {
  count = var.anomaly_enabled ? 1 : 0

  name             = var.name
  frequency        = "IMMEDIATE" # the only one that goes to a topic
  monitor_arn_list = [local.monitor_arn]

  subscriber {
    type    = "SNS"
    address = var.topic_arn
  }

  threshold_expression {
    dimension {
      key           = "ANOMALY_TOTAL_IMPACT_ABSOLUTE"
      match_options = ["GREATER_THAN_OR_EQUAL"]
      values        = [tostring(var.cost_anomaly_minimum_usd)]
    }
  }
}
