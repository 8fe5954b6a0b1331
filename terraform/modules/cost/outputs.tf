output "anomaly_monitor_arn" {
  description = "The anomaly monitor that the topic subscribes to; null if anomalies are not reported."
  value       = var.anomaly_enabled ? local.monitor_arn : null
}
