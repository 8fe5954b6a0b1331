variable "name" {
  description = "Name of the proxy, for example `storefront-staging`."
  type        = string
}

variable "aws_account_id" {
  description = "AWS account whose proxies may take the role, 12 digits."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of the proxy, in two zones or more; they need no route to the internet."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must name subnets of two or more availability zones, for example [\"subnet-0a\", \"subnet-0b\"]."
  }
}

variable "security_group_id" {
  description = "Security group of the proxy."
  type        = string
}

variable "instance_identifier" {
  description = "Database instance behind the proxy."
  type        = string
}

variable "app_database_secret_arns" {
  description = "Secrets of the application's two database users, JSON with `username` and `password`: all that the proxy may read."
  type        = list(string)
}

variable "rds_proxy_max_connections_percent" {
  description = "Connections to the database that the proxy may hold, in percent of `database_max_connections`."
  type        = number

  validation {
    condition     = var.rds_proxy_max_connections_percent >= 1 && var.rds_proxy_max_connections_percent <= 100 && floor(var.rds_proxy_max_connections_percent) == var.rds_proxy_max_connections_percent
    error_message = "rds_proxy_max_connections_percent must be a whole number from 1 to 100, for example 75."
  }
}

variable "rds_proxy_max_idle_connections_percent" {
  description = "Idle connections that the proxy keeps open, in percent of `database_max_connections`."
  type        = number

  validation {
    condition     = var.rds_proxy_max_idle_connections_percent >= 0 && floor(var.rds_proxy_max_idle_connections_percent) == var.rds_proxy_max_idle_connections_percent && var.rds_proxy_max_idle_connections_percent <= var.rds_proxy_max_connections_percent
    error_message = "rds_proxy_max_idle_connections_percent must be a whole number from 0 to rds_proxy_max_connections_percent, for example 25."
  }
}

variable "log_retention_days" {
  description = "Days that the proxy's log is kept."
  type        = number
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of every role that is created here; GitHub's deploy role requires it. Null: none."
  type        = string
}
