output "alarm_names" {
  description = "Names of the alarms, by their keys."
  value       = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.alarm_name }
}

output "gate_alarm_names" {
  description = "Alarms that undo a release that is not rolling."
  value       = sort([for alarm in aws_cloudwatch_metric_alarm.gate : alarm.alarm_name])
}

output "test_page_alarm_names" {
  description = "Alarms that `make test-page` triggers, by urgency."
  value       = { for urgency, alarm in aws_cloudwatch_metric_alarm.test_page : urgency => alarm.alarm_name }
}

output "database_connections_threshold" {
  description = "Number of connections at which the alarm of requirement F2 goes off; null without a database."
  value       = local.has_database ? local.database_connections_threshold : null
}

output "dashboard_url" {
  description = "The dashboard in the console."
  value       = "https://${var.aws_region}.console.aws.amazon.com/cloudwatch/home?region=${var.aws_region}#dashboards/dashboard/${var.name}"
}
