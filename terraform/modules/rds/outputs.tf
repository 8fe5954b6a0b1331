output "host" {
  description = "Host name of the instance that serves."
  value       = local.serving.address
}

output "port" {
  description = "Port of the instance."
  value       = local.serving.port
}

output "database_name" {
  description = "Name of the database."
  value       = var.database_name
}

output "instance_identifier" {
  description = "Identifier of the instance that serves, CloudWatch's dimension `DBInstanceIdentifier`."
  value       = local.serving.identifier
}

output "instance_name" {
  description = "The same identifier, known before the instance exists."
  value       = local.identifiers[var.database_serving]
}

output "master_secret_arn" {
  description = "Secret with the credentials of its master user, made and rotated by RDS."
  value       = one(local.serving.master_user_secret).secret_arn
}

output "instances" {
  description = "Every instance by key (the original's is empty): `host`, `instance_identifier` and `master_secret_arn`."
  value = {
    for key, instance in local.instances : key => {
      host                = instance.address
      instance_identifier = instance.identifier
      master_secret_arn   = one(instance.master_user_secret).secret_arn
    }
  }
}

output "max_connections" {
  description = "Connections that the parameter group allows."
  value       = var.database_max_connections
}

output "log_group_name" {
  description = "Log group of the instance that serves."
  value       = local.serving_log_group.name
}

output "log_group_arn" {
  description = "ARN of that log group."
  value       = local.serving_log_group.arn
}
