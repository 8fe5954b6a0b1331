# Alarms on the bots themselves. Their e-mails matter, because Slack may be the part that fails.

locals {
  bot_alarms = merge(
    {
      undelivered = {
        urgency    = "warning"
        meaning    = "Messages that a bot could not post to Slack wait in the queue ${var.undelivered_queue_name}: Slack, its webhook, or the bot fails."
        next       = "make redeliver"
        operator   = ">="
        threshold  = 1
        datapoints = 1
        periods    = 1
        # SQS stops reporting on a queue that was not used for six hours.
        missing = "notBreaching"
        metric = {
          namespace  = "AWS/SQS"
          name       = "ApproximateNumberOfMessagesVisible"
          dimensions = { QueueName = var.undelivered_queue_name }
          statistic  = "Maximum"
          period     = 60
        }
      }
    },
    {
      for function in var.bot_function_names : "${trimprefix(function, "${var.name}-")}-errors" => {
        section    = "bot-errors"
        urgency    = "warning"
        meaning    = "The function ${function} ended with an error in the last five minutes; what it had to say may be missing in Slack."
        next       = "make test-page"
        operator   = ">="
        threshold  = 1
        datapoints = 1
        periods    = 1
        missing    = "notBreaching"
        metric = {
          namespace  = "AWS/Lambda"
          name       = "Errors"
          dimensions = { FunctionName = function }
          statistic  = "Sum"
          period     = 300
        }
      }
    },
  )
}
