output "host" {
  description = "Host name of the instance."
  value       = aws_db_instance.this.address
}

output "port" {
  description = "Port of the instance."
  value       = aws_db_instance.this.port
}

output "database_name" {
  description = "Name of the database."
  value       = aws_db_instance.this.db_name
}

output "instance_identifier" {
  description = "Identifier of the instance, CloudWatch's dimension `DBInstanceIdentifier`."
  value       = aws_db_instance.this.identifier
}

output "master_secret_arn" {
  description = "Secret with the master user's credentials, made and rotated by RDS."
  value       = one(aws_db_instance.this.master_user_secret).secret_arn
}

output "max_connections" {
  description = "Connections that the parameter group allows."
  value       = var.max_connections
}

output "log_group_name" {
  description = "Log group of PostgreSQL's log."
  value       = aws_cloudwatch_log_group.postgresql.name
}

output "log_group_arn" {
  description = "ARN of that log group."
  value       = aws_cloudwatch_log_group.postgresql.arn
}
