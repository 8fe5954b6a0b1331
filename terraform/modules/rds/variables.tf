variable "name" {
  description = "Identifier of the instance and prefix of what belongs to it, for example `storefront-staging`."
  type        = string

  validation {
    condition     = can(regex("^[a-z](-?[a-z0-9])*$", var.name)) && length(var.name) <= 40
    error_message = "name must be at most 40 lower-case letters, digits and single hyphens, and begin with a letter, for example \"storefront-staging\"."
  }
}

variable "subnet_ids" {
  description = "Database subnets, in two zones or more."
  type        = list(string)
}

variable "security_group_id" {
  description = "Security group of the instance."
  type        = string
}

variable "database_name" {
  description = "Name of the database made with the instance."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,62}$", var.database_name))
    error_message = "database_name must be 1 to 63 lower-case letters, digits and underscores, and begin with a letter, for example \"storefront\"."
  }
}

variable "database_engine_version" {
  description = "Major version of PostgreSQL. Minor versions follow by themselves in the maintenance window."
  type        = string

  validation {
    condition     = can(regex("^1[4-9]$", var.database_engine_version))
    error_message = "database_engine_version must be a major version of PostgreSQL from 14 to 19, for example \"17\"."
  }
}

variable "database_instance_class" {
  description = "Class of the instance."
  type        = string

  validation {
    condition     = can(regex("^db\\.[a-z0-9]+\\.[a-z0-9]+$", var.database_instance_class))
    error_message = "database_instance_class must be a class of RDS, for example \"db.t4g.medium\"; it is \"${var.database_instance_class}\"."
  }
}

variable "database_allocated_storage_gb" {
  description = "Size of the storage, GiB (gp3)."
  type        = number

  validation {
    condition     = var.database_allocated_storage_gb >= 20 && var.database_allocated_storage_gb <= 65536
    error_message = "database_allocated_storage_gb must be from 20 to 65536, for example 20."
  }
}

variable "database_max_allocated_storage_gb" {
  description = "Size up to which RDS grows the storage by itself, GiB."
  type        = number

  validation {
    condition     = var.database_max_allocated_storage_gb > var.database_allocated_storage_gb
    error_message = "database_max_allocated_storage_gb must be above database_allocated_storage_gb (${var.database_allocated_storage_gb}), for example ${var.database_allocated_storage_gb * 5}."
  }
}

variable "database_max_connections" {
  description = "Connections that the database accepts. Alarms and the pool budget derive from this number."
  type        = number

  validation {
    condition     = var.database_max_connections >= 6 && var.database_max_connections <= 8388607 && floor(var.database_max_connections) == var.database_max_connections
    error_message = "database_max_connections must be a whole number from 6 to 8388607, for example 200."
  }
}

variable "database_slow_query_milliseconds" {
  description = "Queries that take as long or longer are logged with their text (requirement F3)."
  type        = number

  validation {
    condition     = var.database_slow_query_milliseconds >= 1 && var.database_slow_query_milliseconds <= 2147483647 && floor(var.database_slow_query_milliseconds) == var.database_slow_query_milliseconds
    error_message = "database_slow_query_milliseconds must be a whole number from 1 to 2147483647 (0 would log every query), for example 3000."
  }
}

variable "database_multi_az" {
  description = "Whether a standby in another zone takes over when the instance fails."
  type        = bool
}

variable "database_backup_retention_days" {
  description = "Days that automatic backups are kept."
  type        = number

  validation {
    condition     = var.database_backup_retention_days >= 1 && var.database_backup_retention_days <= 35
    error_message = "database_backup_retention_days must be from 1 to 35 (0 would turn backups off), for example 7."
  }
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the instance."
  type        = bool
}

variable "database_skip_final_snapshot" {
  description = "Whether deleting the instance leaves no snapshot."
  type        = bool
}

variable "database_final_snapshot_identifier" {
  description = "Name of the snapshot that deleting the instance leaves. Null: `<name>-final`. A name can be used once: give another before the next deletion."
  type        = string

  validation {
    condition     = var.database_final_snapshot_identifier == null || can(regex("^[a-zA-Z](-?[a-zA-Z0-9])*$", var.database_final_snapshot_identifier))
    error_message = "database_final_snapshot_identifier must be letters, digits and single hyphens, and begin with a letter, for example \"storefront-staging-final-20260131\"."
  }
}

variable "database_apply_immediately" {
  description = "Whether changes that need a restart happen at once. False: in the maintenance window."
  type        = bool
}

variable "log_retention_days" {
  description = "Days that PostgreSQL's log is kept."
  type        = number

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a retention that CloudWatch Logs knows, for example 7, 30, 90 or 365."
  }
}

variable "database_restores" {
  description = "Instances restored beside the original, by the second of their data (`YYYYMMDD-hhmmss`, UTC): from `snapshot`, or as `source` (a key; empty: the original) was at `time`. `make restore` writes it."
  type = map(object({
    source   = optional(string, "")
    time     = optional(string)
    snapshot = optional(string)
  }))
  nullable = false

  validation {
    condition     = alltrue([for key, _ in var.database_restores : can(regex("^[0-9]{8}-[0-9]{6}$", key))])
    error_message = "A key of restores is the second of the data, UTC, for example \"20261124-101500\"."
  }

  validation {
    condition = alltrue([
      for restore in var.database_restores : (restore.time == null) != (restore.snapshot == null)
      && can(regex("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z$", coalesce(restore.time, "2026-11-24T10:15:00Z")))
    ])
    error_message = "Each of database_restores has either a time, for example \"2026-11-24T10:15:00Z\", or a snapshot."
  }

  validation {
    condition     = alltrue([for key, restore in var.database_restores : restore.source == "" || (restore.source != key && contains(keys(var.database_restores), restore.source))])
    error_message = "A source in database_restores is another of its keys, or empty for the original."
  }
}

variable "database_serving" {
  description = "Which instance serves: a key of `database_restores`, or empty for the original."
  type        = string
  nullable    = false

  validation {
    condition     = var.database_serving == "" || contains(keys(var.database_restores), var.database_serving)
    error_message = "database_serving must be a key of database_restores (${join(", ", keys(var.database_restores))}), or empty for the original instance."
  }
}
