resource "aws_db_subnet_group" "this" {
  name        = var.name
  description = "Database subnets of ${var.name}: no route to the internet."
  subnet_ids  = var.subnet_ids
}

# The family is in the name, so that the group of the next major version can exist beside this one.
resource "aws_db_parameter_group" "this" {
  name        = "${var.name}-postgres${var.database_engine_version}"
  description = "PostgreSQL ${var.database_engine_version} parameters of ${var.name}."
  family      = "postgres${var.database_engine_version}"

  # Static: takes effect when the instance restarts. AWS refuses "immediate" for it.
  parameter {
    name         = "max_connections"
    value        = tostring(var.database_max_connections)
    apply_method = "pending-reboot"
  }

  # AWS keeps "pending-reboot" for a parameter that has its family's default, and ignores a change of the method alone:
  # "immediate" would differ in every plan. rds.force_ssl is no default in postgres14, and static there.
  parameter {
    name         = "rds.force_ssl"
    value        = "1"
    apply_method = "pending-reboot"
  }

  parameter {
    name         = "password_encryption"
    value        = "scram-sha-256"
    apply_method = "pending-reboot"
  }

  # Milliseconds; requirement F3. The query's text is in this line only as long as log_statement is none or ddl.
  parameter {
    name         = "log_min_duration_statement"
    value        = tostring(var.database_slow_query_milliseconds)
    apply_method = "immediate"
  }

  parameter {
    name         = "log_statement"
    value        = "ddl"
    apply_method = "immediate"
  }

  # A wait for a lock that lasts longer than deadlock_timeout, a second: `make incident` reads it.
  parameter {
    name         = "log_lock_waits"
    value        = "1"
    apply_method = "immediate"
  }

  lifecycle {
    create_before_destroy = true
  }
}

# RDS would create it by itself, and keep its events for ever.
resource "aws_cloudwatch_log_group" "postgresql" {
  #checkov:skip=CKV_AWS_158:Encrypted with AWS's key; who may read the log may read statements, and that is the account's policy.
  #checkov:skip=CKV_AWS_338:The retention is the inventory's choice (log_retention_days).
  name              = "/aws/rds/instance/${var.name}/postgresql"
  retention_in_days = var.log_retention_days
}

resource "aws_db_instance" "this" {
  #checkov:skip=CKV_AWS_157:The inventory's choice (database_multi_az): production has it.
  #checkov:skip=CKV_AWS_354:Encrypted with AWS's key, as the instance is.
  #checkov:skip=CKV_AWS_118:The alarms read the instance's own metrics; the operating system's cost extra and wake nobody.
  #checkov:skip=CKV_AWS_161:The application's user has a SCRAM password that only the admin task and its own task can read.
  identifier     = var.name
  engine         = "postgres"
  engine_version = var.database_engine_version
  instance_class = var.database_instance_class
  db_name        = var.database_name

  # RDS creates the master password and keeps it in Secrets Manager: it is in no state and no variable.
  username                    = "postgres"
  manage_master_user_password = true

  storage_type          = "gp3"
  storage_encrypted     = true
  allocated_storage     = var.database_allocated_storage_gb
  max_allocated_storage = var.database_max_allocated_storage_gb

  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [var.security_group_id]
  publicly_accessible    = false
  multi_az               = var.database_multi_az
  ca_cert_identifier     = "rds-ca-rsa2048-g1"
  parameter_group_name   = aws_db_parameter_group.this.name

  # Times in UTC; 18:00 UTC is 03:00 in Seoul.
  backup_retention_period = var.database_backup_retention_days
  backup_window           = "17:00-17:30"
  maintenance_window      = "sun:18:00-sun:18:30"
  copy_tags_to_snapshot   = true

  # A new major version needs permission by name: the plan's guard asks for it.
  allow_major_version_upgrade = true
  auto_minor_version_upgrade  = true
  apply_immediately           = var.database_apply_immediately
  # Without it, AWS enrols the instance in extended support, which costs by the vCPU-hour.
  engine_lifecycle_support = "open-source-rds-extended-support-disabled"

  enabled_cloudwatch_logs_exports = ["postgresql"]

  # Which statements load the database (requirement G2): seven days of it cost nothing.
  performance_insights_enabled = true

  deletion_protection       = var.deletion_protection
  skip_final_snapshot       = var.database_skip_final_snapshot
  final_snapshot_identifier = var.database_skip_final_snapshot ? null : coalesce(var.database_final_snapshot_identifier, "${var.name}-final")

  depends_on = [aws_cloudwatch_log_group.postgresql]
}
