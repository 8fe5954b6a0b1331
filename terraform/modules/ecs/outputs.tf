output "cluster_arn" {
  description = "ARN of the cluster."
  value       = aws_ecs_cluster.this.arn
}

output "cluster_name" {
  description = "Name of the cluster."
  value       = aws_ecs_cluster.this.name
}

output "service_name" {
  description = "Name of the service."
  value       = aws_ecs_service.this.name
}

output "service_log_group" {
  description = "Log group of the service's containers."
  value = {
    name = aws_cloudwatch_log_group.service.name
    arn  = aws_cloudwatch_log_group.service.arn
  }
}

output "admin_log_group" {
  description = "Log group of the one-off admin tasks; null without a database."
  value       = one([for group in aws_cloudwatch_log_group.admin : { name = group.name, arn = group.arn }])
}

output "app_database_secret_arns" {
  description = "Secrets with the credentials of the application's two database users, the first user's first; empty without a database."
  value       = concat(aws_secretsmanager_secret.app_database[*].arn, aws_secretsmanager_secret.app_database_clone[*].arn)
}
