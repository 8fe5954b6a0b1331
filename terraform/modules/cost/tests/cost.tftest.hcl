mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name               = "storefront-account"
  topic_arn          = "arn:aws:sns:ap-northeast-2:123456789012:storefront-account-warning"
  budget_monthly_usd = 400

  anomaly_enabled          = true
  cost_anomaly_minimum_usd = 20
  existing_anomaly_monitor = null
}

run "defaults" {
  assert {
    condition = (
      aws_budgets_budget.monthly[0].limit_amount == "400.00" && aws_budgets_budget.monthly[0].limit_unit == "USD"
      && aws_budgets_budget.monthly[0].time_unit == "MONTHLY" && aws_budgets_budget.monthly[0].budget_type == "COST"
    )
    error_message = "The budget is of the month's costs, in USD."
  }

  assert {
    condition     = !aws_budgets_budget.monthly[0].cost_types[0].include_credit && !aws_budgets_budget.monthly[0].cost_types[0].include_refund
    error_message = "Neither credits nor refunds hide what the month costs."
  }

  assert {
    condition = (
      toset([for it in aws_budgets_budget.monthly[0].notification : it.notification_type]) == toset(["ACTUAL", "FORECASTED"])
      && alltrue([for it in aws_budgets_budget.monthly[0].notification :
        it.threshold == 130 && it.threshold_type == "PERCENTAGE" && it.comparison_operator == "GREATER_THAN"
        && it.subscriber_sns_topic_arns == toset([var.topic_arn])
      ])
    )
    error_message = "The topic is notified above 130 %, spent and forecast."
  }

  assert {
    condition = (
      aws_ce_anomaly_monitor.services[0].monitor_type == "DIMENSIONAL"
      && aws_ce_anomaly_monitor.services[0].monitor_dimension == "SERVICE"
      && aws_ce_anomaly_subscription.this[0].frequency == "IMMEDIATE"
      && aws_ce_anomaly_subscription.this[0].monitor_arn_list == tolist([aws_ce_anomaly_monitor.services[0].arn])
      && one(aws_ce_anomaly_subscription.this[0].subscriber).type == "SNS"
      && one(aws_ce_anomaly_subscription.this[0].subscriber).address == var.topic_arn
      && aws_ce_anomaly_subscription.this[0].threshold_expression[0].dimension[0].values == toset(["20"])
    )
    error_message = "The topic is notified at once of a service's anomaly from 20 USD."
  }
}

run "a_monitor_that_others_made_is_used_as_it_is" {
  variables {
    existing_anomaly_monitor = {
      arn  = "arn:aws:ce::123456789012:anomalymonitor/default"
      name = "Default-Services-Monitor"
    }
  }

  assert {
    condition = (
      length(aws_ce_anomaly_monitor.services) == 0
      && aws_ce_anomaly_subscription.this[0].monitor_arn_list == tolist(["arn:aws:ce::123456789012:anomalymonitor/default"])
      && output.anomaly_monitor_arn == "arn:aws:ce::123456789012:anomalymonitor/default"
    )
    error_message = "The account's one monitor is subscribed to, and stays as it is."
  }
}

run "our_own_is_known_again" {
  command = plan

  variables {
    existing_anomaly_monitor = {
      arn  = "arn:aws:ce::123456789012:anomalymonitor/own"
      name = "storefront-account"
    }
  }

  assert {
    condition     = length(aws_ce_anomaly_monitor.services) == 1
    error_message = "A second apply must not treat our own monitor as one of others."
  }
}

run "nothing_is_wanted" {
  variables {
    budget_monthly_usd = null
    anomaly_enabled    = false
  }

  assert {
    condition = (
      length(aws_budgets_budget.monthly) == 0 && length(aws_ce_anomaly_monitor.services) == 0
      && length(aws_ce_anomaly_subscription.this) == 0 && output.anomaly_monitor_arn == null
    )
    error_message = "Each part can be left out."
  }
}

run "values_of_a_wrong_form_are_refused" {
  command = plan

  variables {
    name                     = "Storefront"
    budget_monthly_usd       = 0
    budget_threshold_percent = 0
    cost_anomaly_minimum_usd = -1
  }

  expect_failures = [var.name, var.budget_monthly_usd, var.budget_threshold_percent, var.cost_anomaly_minimum_usd]
}
