# Restored instances exist beside their source and differ from it only in their data: the same class, network, parameters,
# protection and backups. One variable selects the instance that serves; it removes none.

locals {
  # The key of the original is "".
  identifiers = merge({ "" = var.name }, { for key, _ in var.database_restores : key => "${var.name}-${key}" })
  instances   = merge({ "" = aws_db_instance.this }, aws_db_instance.restored)
  serving     = local.instances[var.database_serving]

  serving_log_group = merge({ "" = aws_cloudwatch_log_group.postgresql }, aws_cloudwatch_log_group.restored)[var.database_serving]
}

resource "aws_cloudwatch_log_group" "restored" {
  #checkov:skip=CKV_AWS_158:As of the original.
  #checkov:skip=CKV_AWS_338:As of the original.
  for_each = var.database_restores

  name              = "/aws/rds/instance/${local.identifiers[each.key]}/postgresql"
  retention_in_days = var.log_retention_days
}

resource "aws_db_instance" "restored" {
  #checkov:skip=CKV_AWS_157:As the original.
  #checkov:skip=CKV_AWS_354:As the original.
  #checkov:skip=CKV_AWS_118:As the original.
  #checkov:skip=CKV_AWS_161:As the original.
  for_each = var.database_restores

  identifier     = local.identifiers[each.key]
  engine         = "postgres"
  engine_version = var.database_engine_version
  instance_class = var.database_instance_class

  snapshot_identifier = each.value.snapshot

  dynamic "restore_to_point_in_time" {
    for_each = each.value.time[*]

    content {
      source_db_instance_identifier = local.identifiers[each.value.source]
      restore_time                  = restore_to_point_in_time.value
    }
  }

  # User, database and size come with the backup; the password is new, in a secret of its own.
  manage_master_user_password = true

  storage_type          = "gp3"
  storage_encrypted     = true
  max_allocated_storage = var.database_max_allocated_storage_gb

  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [var.security_group_id]
  publicly_accessible    = false
  multi_az               = var.database_multi_az
  ca_cert_identifier     = aws_db_instance.this.ca_cert_identifier
  parameter_group_name   = aws_db_parameter_group.this.name

  backup_retention_period = var.database_backup_retention_days
  backup_window           = aws_db_instance.this.backup_window
  maintenance_window      = aws_db_instance.this.maintenance_window
  copy_tags_to_snapshot   = true

  allow_major_version_upgrade = true
  auto_minor_version_upgrade  = true
  apply_immediately           = var.database_apply_immediately
  engine_lifecycle_support    = aws_db_instance.this.engine_lifecycle_support

  enabled_cloudwatch_logs_exports = ["postgresql"]
  performance_insights_enabled    = true

  deletion_protection       = var.deletion_protection
  skip_final_snapshot       = var.database_skip_final_snapshot
  final_snapshot_identifier = var.database_skip_final_snapshot ? null : "${coalesce(var.database_final_snapshot_identifier, "${var.name}-final")}-${each.key}"

  # A large database takes hours to restore.
  timeouts {
    create = "6h"
    update = "6h"
  }

  depends_on = [aws_cloudwatch_log_group.restored]
}
