output "alb_id" {
  description = "Security group of the load balancer."
  value       = aws_security_group.alb.id
}

output "service_id" {
  description = "Security group of the service's tasks."
  value       = aws_security_group.service.id
}

output "admin_id" {
  description = "Security group of the one-off admin tasks; null without a database."
  value       = one(aws_security_group.admin[*].id)
}

output "database_id" {
  description = "Security group of the database; null without one."
  value       = one(aws_security_group.database[*].id)
}

output "proxy_id" {
  description = "Security group of the RDS Proxy; null without one."
  value       = one(aws_security_group.proxy[*].id)
}

output "endpoints_id" {
  description = "Security group of the interface endpoints; null without them."
  value       = one(aws_security_group.endpoints[*].id)
}
