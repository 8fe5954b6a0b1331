output "anomaly_monitor_arn" {
  description = "The monitor that is subscribed to; null when anomalies are not told."
  value       = var.anomaly_enabled ? local.monitor_arn : null
}
