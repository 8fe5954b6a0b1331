mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name                     = "storefront-test"
  subnet_ids               = ["subnet-a", "subnet-b", "subnet-c"]
  security_group_id        = "sg-0123456789abcdef0"
  database_name            = "storefront"
  database_max_connections = 210

  database_engine_version            = "17"
  database_instance_class            = "db.t4g.small"
  database_allocated_storage_gb      = 20
  database_max_allocated_storage_gb  = 100
  database_slow_query_milliseconds   = 3000
  database_multi_az                  = false
  database_backup_retention_days     = 7
  deletion_protection                = true
  database_skip_final_snapshot       = false
  database_final_snapshot_identifier = null
  database_apply_immediately         = false
  log_retention_days                 = 30
  database_restores                  = {}
  database_serving                   = ""
}

run "defaults" {
  assert {
    condition = (
      aws_db_instance.this.engine == "postgres" && aws_db_instance.this.engine_version == "17"
      && aws_db_instance.this.storage_type == "gp3" && aws_db_instance.this.storage_encrypted
      && aws_db_instance.this.publicly_accessible == false && aws_db_instance.this.multi_az == false
      && aws_db_instance.this.vpc_security_group_ids == toset(["sg-0123456789abcdef0"])
      && aws_db_instance.this.db_subnet_group_name == "storefront-test"
      && aws_db_instance.this.ca_cert_identifier == "rds-ca-rsa2048-g1"
    )
    error_message = "PostgreSQL 17 on encrypted gp3, in the database subnets, not public."
  }

  assert {
    condition = (
      aws_db_instance.this.manage_master_user_password && aws_db_instance.this.password == null
      && output.master_secret_arn == "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:rds!db-mock"
    )
    error_message = "RDS creates the master password, and only Secrets Manager has it (requirement A7)."
  }

  assert {
    condition = (
      aws_db_instance.this.deletion_protection && aws_db_instance.this.skip_final_snapshot == false
      && aws_db_instance.this.final_snapshot_identifier == "storefront-test-final"
      && aws_db_instance.this.copy_tags_to_snapshot && aws_db_instance.this.performance_insights_enabled && aws_db_instance.this.backup_retention_period == 7
      && aws_db_instance.this.apply_immediately == false
    )
    error_message = "Data is safe by default: protected, backed up, a named snapshot at the end."
  }

  assert {
    condition     = aws_db_instance.this.engine_lifecycle_support == "open-source-rds-extended-support-disabled"
    error_message = "No paid extended support."
  }

  assert {
    condition = (
      aws_db_instance.this.enabled_cloudwatch_logs_exports == toset(["postgresql"])
      && aws_cloudwatch_log_group.postgresql.name == "/aws/rds/instance/storefront-test/postgresql"
      && aws_cloudwatch_log_group.postgresql.retention_in_days == 30
    )
    error_message = "PostgreSQL's log goes to a log group with a retention."
  }

  assert {
    condition = {
      for parameter in aws_db_parameter_group.this.parameter : parameter.name => "${parameter.value} ${parameter.apply_method}"
      } == {
      "max_connections"            = "210 pending-reboot"
      "rds.force_ssl"              = "1 pending-reboot"
      "password_encryption"        = "scram-sha-256 pending-reboot"
      "log_min_duration_statement" = "3000 immediate"
      "log_statement"              = "ddl immediate"
      "log_lock_waits"             = "1 immediate"
    }
    error_message = "Parameters: connections, TLS, SCRAM, and the log of lock waits and of slow queries with their text (requirement F3)."
  }

  assert {
    condition     = aws_db_parameter_group.this.name == "storefront-test-postgres17" && aws_db_parameter_group.this.family == "postgres17"
    error_message = "The parameter group is of the engine's family."
  }
}

run "options" {
  command = plan

  variables {
    database_engine_version            = "18"
    database_slow_query_milliseconds   = 500
    database_multi_az                  = true
    deletion_protection                = false
    database_final_snapshot_identifier = "storefront-test-final-20260131"
    database_apply_immediately         = true
  }

  assert {
    condition = (
      aws_db_instance.this.engine_version == "18" && aws_db_instance.this.allow_major_version_upgrade
      && aws_db_parameter_group.this.family == "postgres18" && aws_db_parameter_group.this.name == "storefront-test-postgres18"
      && aws_db_instance.this.multi_az && !aws_db_instance.this.deletion_protection
      && aws_db_instance.this.final_snapshot_identifier == "storefront-test-final-20260131"
      && aws_db_instance.this.apply_immediately
      && contains(aws_db_parameter_group.this.parameter[*].value, "500")
    )
    error_message = "Each option must reach the instance."
  }
}

run "no_final_snapshot_when_told" {
  command = plan

  variables {
    database_skip_final_snapshot = true
  }

  assert {
    condition     = aws_db_instance.this.skip_final_snapshot && aws_db_instance.this.final_snapshot_identifier == null
    error_message = "Without a final snapshot there is no name for one."
  }
}

run "values_of_a_wrong_form_are_refused" {
  command = plan

  variables {
    name                               = "Storefront"
    database_name                      = "settle-ment"
    database_engine_version            = "17.4"
    database_instance_class            = "t4g.micro"
    database_allocated_storage_gb      = 10
    database_max_connections           = 5
    database_slow_query_milliseconds   = 0
    database_backup_retention_days     = 0
    database_final_snapshot_identifier = "final--1"
    log_retention_days                 = 31
  }

  expect_failures = [
    var.name,
    var.database_name,
    var.database_engine_version,
    var.database_instance_class,
    var.database_allocated_storage_gb,
    var.database_max_connections,
    var.database_slow_query_milliseconds,
    var.database_backup_retention_days,
    var.database_final_snapshot_identifier,
    var.log_retention_days,
  ]
}

run "growth_below_the_size_is_refused" {
  command = plan

  variables {
    database_allocated_storage_gb     = 50
    database_max_allocated_storage_gb = 50
  }

  expect_failures = [var.database_max_allocated_storage_gb]
}

run "restores_stand_beside_the_original_and_one_variable_decides" {
  variables {
    database_backup_retention_days = 14
    database_restores = {
      "20261124-101500" = { time = "2026-11-24T10:15:00Z" }
      "20261123-170400" = { snapshot = "rds:storefront-test-2026-11-23-17-04", source = "" }
      "20261124-120000" = { time = "2026-11-24T12:00:00Z", source = "20261124-101500" }
    }
    database_serving = "20261124-101500"
  }

  assert {
    condition = {
      for instance in aws_db_instance.restored : instance.identifier => try(
        "${instance.restore_to_point_in_time[0].source_db_instance_identifier} ${instance.restore_to_point_in_time[0].restore_time}",
        instance.snapshot_identifier,
      )
      } == {
      "storefront-test-20261124-101500" = "storefront-test 2026-11-24T10:15:00Z"
      "storefront-test-20261123-170400" = "rds:storefront-test-2026-11-23-17-04"
      "storefront-test-20261124-120000" = "storefront-test-20261124-101500 2026-11-24T12:00:00Z"
    }
    error_message = "Each instance is restored from its given source, under a name of its own."
  }

  assert {
    condition = alltrue([
      for key, instance in aws_db_instance.restored : alltrue([
        for name in [
          "instance_class", "engine_version", "storage_type", "storage_encrypted", "max_allocated_storage", "db_subnet_group_name",
          "publicly_accessible", "multi_az", "ca_cert_identifier", "parameter_group_name", "backup_retention_period", "backup_window",
          "maintenance_window", "copy_tags_to_snapshot", "allow_major_version_upgrade", "auto_minor_version_upgrade", "apply_immediately", "engine_lifecycle_support",
          "performance_insights_enabled", "deletion_protection", "skip_final_snapshot", "manage_master_user_password",
        ] : instance[name] == aws_db_instance.this[name]
      ])
      && instance.vpc_security_group_ids == aws_db_instance.this.vpc_security_group_ids
      && instance.enabled_cloudwatch_logs_exports == aws_db_instance.this.enabled_cloudwatch_logs_exports
      && instance.final_snapshot_identifier == "storefront-test-final-${key}"
    ])
    error_message = "A restored instance is as safe as the original."
  }

  assert {
    condition = (
      output.instance_identifier == "storefront-test-20261124-101500" && output.instance_name == output.instance_identifier
      && output.log_group_name == "/aws/rds/instance/storefront-test-20261124-101500/postgresql"
      && output.database_name == "storefront"
      && keys(output.instances) == ["", "20261123-170400", "20261124-101500", "20261124-120000"]
      && output.instances[""].instance_identifier == "storefront-test"
    )
    error_message = "The outputs name the instance that serves, and every one by its key."
  }
}

run "wrong_restores_are_refused" {
  command = plan

  variables {
    database_restores = {
      "yesterday"       = { time = "yesterday" }
      "20261124-101500" = { time = "2026-11-24T10:15:00Z", snapshot = "both" }
      "20261124-101501" = { time = "2026-11-24T10:15:01Z", source = "20200101-000000" }
    }
  }

  expect_failures = [var.database_restores]
}

run "an_unknown_one_cannot_serve" {
  command = plan

  variables {
    database_serving = "20261124-101500"
  }

  expect_failures = [var.database_serving]
}
