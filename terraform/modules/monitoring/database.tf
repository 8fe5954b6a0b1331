# The database, if there is one. Its metrics come every minute while it runs: if they stop, the alarm's state is
# INSUFFICIENT_DATA.

locals {
  has_database = var.database_identifier != null

  database_dimensions = { DBInstanceIdentifier = var.database_identifier }
  # Requirement F2: 80 % of the parameter group's number, in connections, as CloudWatch counts them.
  database_connections_threshold = 0.8 * var.database_max_connections

  # A restart leaves a gap, which changes no alarm's state.
  database_alarms = { for key, alarm in local.database_alarm_definitions : key => alarm if local.has_database }

  database_alarm_definitions = {
    database-connections = {
      urgency    = "urgent"
      meaning    = "The database has ${local.database_connections_threshold} connections or more, 80 % of the ${var.database_max_connections} that it accepts, in three minutes of five: soon it refuses new ones."
      next       = "make incident-db"
      runbook    = "docs/runbooks/database_connections.md"
      operator   = ">="
      threshold  = local.database_connections_threshold
      datapoints = 3
      periods    = 5
      missing    = "ignore"
      metric     = merge(local.database_metric, { name = "DatabaseConnections", statistic = "Maximum", period = 60 })
    }

    database-cpu = {
      urgency    = "warning"
      meaning    = "The database's CPU was at 80 % or more on average, for 15 minutes: queries are slow, or the instance is too small."
      next       = "make incident"
      operator   = ">="
      threshold  = 80
      datapoints = 3
      periods    = 3
      missing    = "ignore"
      metric     = merge(local.database_metric, { name = "CPUUtilization", statistic = "Average", period = 300 })
    }

    # RDS grows the storage by itself at 10 % free: less than that for 15 minutes means that it does not grow.
    database-storage = {
      urgency    = "urgent"
      meaning    = "The database has ${local.database_storage_threshold_gb} GiB of free storage or less, for 15 minutes, and it did not grow: when it is full the database stops."
      next       = "make incident"
      operator   = "<="
      threshold  = local.database_storage_threshold_gb * pow(1024, 3)
      datapoints = 3
      periods    = 3
      missing    = "ignore"
      metric     = merge(local.database_metric, { name = "FreeStorageSpace", statistic = "Minimum", period = 300 })
    }

    database-memory = {
      urgency    = "warning"
      meaning    = "The database has ${var.database_free_memory_minimum_mb} MiB of free memory or less on average, for 15 minutes: it is about to swap, and each connection takes about 10 MB."
      next       = "make incident"
      operator   = "<="
      threshold  = var.database_free_memory_minimum_mb * pow(1024, 2)
      datapoints = 3
      periods    = 3
      missing    = "ignore"
      metric     = merge(local.database_metric, { name = "FreeableMemory", statistic = "Average", period = 300 })
    }
  }

  database_metric               = { namespace = "AWS/RDS", dimensions = local.database_dimensions }
  database_storage_threshold_gb = var.database_allocated_storage_gb * 0.1
}
