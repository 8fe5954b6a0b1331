# --- the environment --------------------------------------------------------------------------------

variable "app_name" {
  description = "Name of the application, first part of every name."
  type        = string

  validation {
    condition     = can(regex("^[a-z](-?[a-z0-9])*$", var.app_name))
    error_message = "app_name must be lower-case letters, digits and single hyphens, and begin with a letter, for example \"storefront\"; it is \"${var.app_name}\"."
  }
}

variable "env_name" {
  description = "Name of the environment, second part of every name."
  type        = string

  validation {
    condition     = can(regex("^[a-z](-?[a-z0-9])*$", var.env_name))
    error_message = "env_name must be lower-case letters, digits and single hyphens, and begin with a letter, for example \"staging\"; it is \"${var.env_name}\"."
  }

  validation {
    condition     = length("${var.app_name}-${var.env_name}") <= 28
    error_message = "app_name and env_name, joined by a hyphen, may have 28 characters (a target group's name has 32), for example \"storefront-production\"; \"${var.app_name}-${var.env_name}\" has ${length("${var.app_name}-${var.env_name}")}."
  }
}

variable "aws_region" {
  description = "AWS region (requirement A1: Seoul)."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.aws_region))
    error_message = "aws_region must be the code of an AWS region, for example \"ap-northeast-2\"; it is \"${var.aws_region}\"."
  }
}

variable "aws_account_id" {
  description = "AWS account of the environment. Credentials of any other account are refused."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.aws_account_id))
    error_message = "aws_account_id must be 12 digits, in quotes, for example \"123456789012\"; it is \"${var.aws_account_id}\"."
  }
}

variable "state_bucket" {
  description = "Bucket of Terraform's states and of the deployment lock, which the rotation-bot reads."
  type        = string
}

variable "aws_tags" {
  description = "Further tags of every resource."
  type        = map(string)
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the database and the load balancer."
  type        = bool
}

variable "log_retention_days" {
  description = "Days that logs of containers, database and network are kept."
  type        = number
}

# --- network ----------------------------------------------------------------------------------------

variable "network_vpc_cidr" {
  description = "IPv4 range of the VPC (requirement A1)."
  type        = string
}

variable "network_availability_zones" {
  description = "Availability zones of `aws_region`, two or more (requirement A1: three), each with the IPv4 ranges of its public (A2), private (A3) and database (A4) subnet. All inside `network_vpc_cidr`, none overlapping. Named, not counted: a zone that AWS adds later must not move subnets."
  type = map(object({
    public   = string
    private  = string
    database = string
  }))

  validation {
    condition     = length(var.network_availability_zones) >= 2 && alltrue([for zone in keys(var.network_availability_zones) : startswith(zone, var.aws_region)])
    error_message = "network_availability_zones must be two or more zones of ${var.aws_region} (the load balancer and the database need two), for example { ${var.aws_region}a = { public = \"10.0.8.0/24\", private = \"10.0.1.0/24\", database = \"10.0.4.0/24\" }, ${var.aws_region}b = … }."
  }
}

variable "network_nat_gateways" {
  description = "`single`: one NAT gateway for all zones. `per_az`: one in each."
  type        = string
}

variable "network_flow_logs" {
  description = "Whether the VPC's flow logs go to CloudWatch Logs."
  type        = bool
}

variable "vpc_endpoints_enabled" {
  description = "Whether AWS's APIs have interface endpoints in the private subnets (requirement H4). They cost by the hour and zone."
  type        = bool
}

variable "vpc_endpoint_services" {
  description = "Services with an interface endpoint, if `vpc_endpoints_enabled`."
  type        = set(string)
}

variable "network_client_cidrs" {
  description = "IPv4 ranges whose clients may reach the load balancer."
  type        = set(string)
}

# --- load balancer ----------------------------------------------------------------------------------

variable "https_certificate_arn" {
  description = "Certificate of the HTTPS listener (requirement A6). Null: one is made if `https_hosted_zone_id` is given, else port 80 serves."
  type        = string

  validation {
    condition     = var.https_certificate_arn == null || var.https_domain_name != null || var.public_url != null
    error_message = "https_certificate_arn needs https_domain_name (or public_url): a name that the certificate covers, by which the service is called and verified, for example \"storefront.example.com\"."
  }
}

variable "https_hosted_zone_id" {
  description = "Route 53 hosted zone in which `https_domain_name` gets a record that points to the load balancer. Needs `https_domain_name`."
  type        = string
}

variable "https_domain_name" {
  description = "Name by which clients call the service, for example `storefront.example.com`."
  type        = string
}

variable "public_url" {
  description = "Address by which clients call the service, if it is not `https_domain_name` or the load balancer's own name. Null: one of these."
  type        = string

  validation {
    condition     = var.public_url == null || can(regex("^https?://[^/]+$", var.public_url))
    error_message = "public_url must be a scheme and a host, with no path, for example \"https://storefront.example.com\"; it is \"${coalesce(var.public_url, "null")}\"."
  }
}

variable "alb_internal" {
  description = "Whether the load balancer has private addresses only, in the private subnets. A change replaces it."
  type        = bool
}

variable "alb_access_logs" {
  description = "Whether the load balancer's access logs go to a bucket made for them."
  type        = bool
}

variable "alb_access_logs_retention_days" {
  description = "Days that access logs are kept."
  type        = number
}

# --- service ----------------------------------------------------------------------------------------

variable "ecr_repository_name" {
  description = "Image repository, made by the account root. Null: `app_name`."
  type        = string
  default     = null
}

variable "app_port" {
  description = "Port on which the application listens. Not below 1024: the container's user is not root. It cannot be changed after the first deployment: the listener uses the target group."
  type        = number

  validation {
    condition     = var.app_port >= 1024 && var.app_port <= 65535 && floor(var.app_port) == var.app_port
    error_message = "app_port must be a whole number from 1024 to 65535, for example 8000."
  }
}

variable "app_health_path" {
  description = "Path of the load balancer's health check, which answers 200 when the process may get requests."
  type        = string
}

variable "app_cpu_architecture" {
  description = "CPU architecture of the tasks and their images, `X86_64` or `ARM64`."
  type        = string
}

variable "container_insights" {
  description = "CloudWatch Container Insights of the cluster: `enhanced`, `enabled` or `disabled`."
  type        = string
}

variable "app_health_check_grace_period_seconds" {
  description = "Seconds after a task's start in which ECS ignores failed health checks."
  type        = number
}

variable "app_deployment_maximum_percent" {
  description = "How many tasks may run during a rolling update, in percent of the desired count. Counts in the pool budget."
  type        = number
}

variable "deployment_alarms" {
  description = "Alarms of modules/monitoring that roll a deployment back when they go off during it. Each makes every deployment longer by its periods: see docs/monitoring.md."
  type        = set(string)

  validation {
    condition     = length(setsubtract(var.deployment_alarms, ["error-rate", "errors-5xx", "no-healthy-targets"])) == 0
    error_message = "deployment_alarms may have \"error-rate\", \"errors-5xx\" and \"no-healthy-targets\", for example [\"errors-5xx\"]."
  }
}

variable "release_test_header" {
  description = "Header of test requests, which a new version gets before any user does, if the release is not rolling."
  type        = object({ name = string, value = string })
}

variable "release_gate_error_percent" {
  description = "Share of answers with 5xx of one target group that undoes a release that is not rolling, percent."
  type        = number
}

variable "release_gate_p99_seconds" {
  description = "Response time that 99 % of the answers of one target group must not exceed in a release that is not rolling, seconds."
  type        = number
}

variable "app_execute_command" {
  description = "Whether `aws ecs execute-command` may open a shell in the service's tasks."
  type        = bool
}

variable "app_secret_arns" {
  description = "Secrets, besides the database's, that the service's task definition may inject."
  type        = list(string)
}

variable "secret_recovery_window_days" {
  description = "Days in which a deleted secret can be restored; 0 deletes it at once."
  type        = number
}

variable "app_min_tasks" {
  description = "Fewest tasks of the service."
  type        = number
}

variable "app_max_tasks" {
  description = "Most tasks of the service. Counts in the pool budget."
  type        = number
}

variable "app_scheduled_scaling" {
  description = "Whether the limits go up three days before each month's end, and down after the 1st (requirement B2)."
  type        = bool
}

variable "app_peak_min_tasks" {
  description = "Fewest tasks around the month's end, with `app_scheduled_scaling`."
  type        = number
}

variable "app_peak_max_tasks" {
  description = "Most tasks around the month's end, with `app_scheduled_scaling`. Counts in the pool budget."
  type        = number
}

variable "app_peak_starts_at" {
  description = "Time of day at which the limits go up, three days before a month's end and again on the 1st, `HH:MM`."
  type        = string
}

variable "app_peak_ends_at" {
  description = "Time of day at which the limits go down, on the 2nd, `HH:MM`."
  type        = string
}

variable "app_scaling_timezone" {
  description = "IANA time zone of the schedule (requirement B2: Seoul)."
  type        = string
}

variable "app_workers" {
  description = "Worker processes of a task, each with a connection pool of its own. Counts in the pool budget."
  type        = number

  validation {
    condition     = var.app_workers >= 1 && floor(var.app_workers) == var.app_workers
    error_message = "app_workers must be a whole number, 1 or more, for example 2."
  }
}

variable "app_pool_size" {
  description = "Connections that a worker's pool keeps. Counts in the pool budget."
  type        = number

  validation {
    condition     = var.app_pool_size >= 1 && floor(var.app_pool_size) == var.app_pool_size
    error_message = "app_pool_size must be a whole number, 1 or more (to SQLAlchemy 0 means no limit), for example 5."
  }
}

variable "app_max_overflow" {
  description = "Connections that a worker's pool may open beyond `app_pool_size`. Counts in the pool budget."
  type        = number

  validation {
    condition     = var.app_max_overflow >= 0 && floor(var.app_max_overflow) == var.app_max_overflow
    error_message = "app_max_overflow must be a whole number, 0 or more (to SQLAlchemy -1 means no limit), for example 5."
  }
}

# --- database ---------------------------------------------------------------------------------------

variable "app_database" {
  description = "Whether the environment has a database. False: no RDS, no secrets of it, no admin task, no RDS Proxy, no alarms on it; the other variables of the database have no effect."
  type        = bool
}

variable "database_name" {
  description = "Name of the database."
  type        = string
}

variable "database_engine_version" {
  description = "Major version of PostgreSQL. Minor versions follow by themselves in the maintenance window."
  type        = string
}

variable "database_instance_class" {
  description = "Class of the database instance (requirement G3)."
  type        = string
}

variable "database_allocated_storage_gb" {
  description = "Size of the database's storage, GiB."
  type        = number
}

variable "database_max_allocated_storage_gb" {
  description = "Size up to which RDS grows the storage by itself, GiB."
  type        = number
}

variable "database_max_connections" {
  description = "Connections that the database accepts. Alarms and the pool budget derive from this number."
  type        = number

  # The pool budget. During a rolling update more than the maximum of tasks run, and each worker of each may fill its
  # pool; 3 + 2 connections are PostgreSQL's and RDS's own. At 80 % the alarm of requirement F2 goes off.
  # Behind the proxy the tasks share its connections, so its limit counts instead (the next validation).
  validation {
    condition = (
      !var.app_database
      || var.rds_proxy_enabled && !var.rds_proxy_direct_access
      || floor(local.most_tasks * var.app_deployment_maximum_percent / 100) * var.app_workers * (var.app_pool_size + var.app_max_overflow) + 5
      <= 0.8 * var.database_max_connections
    )
    error_message = "The tasks could ask for more connections than the database should have: ${floor(local.most_tasks * var.app_deployment_maximum_percent / 100)} tasks (app_max_tasks ${var.app_max_tasks}, at the month's end ${local.most_tasks}, at app_deployment_maximum_percent ${var.app_deployment_maximum_percent}) × ${var.app_workers} app_workers × (${var.app_pool_size} app_pool_size + ${var.app_max_overflow} app_max_overflow) + 5 reserved = ${floor(local.most_tasks * var.app_deployment_maximum_percent / 100) * var.app_workers * (var.app_pool_size + var.app_max_overflow) + 5}, above ${floor(0.8 * var.database_max_connections)}, which is 80 % of database_max_connections ${var.database_max_connections}. Lower the pool, the workers, app_max_tasks or app_peak_max_tasks, or raise database_max_connections to ${ceil((floor(local.most_tasks * var.app_deployment_maximum_percent / 100) * var.app_workers * (var.app_pool_size + var.app_max_overflow) + 5) / 0.8)} (with an instance class that has the memory: about 10 MB a connection)."
  }

  validation {
    condition = (
      !local.rds_proxy_enabled
      || floor(var.database_max_connections * var.rds_proxy_max_connections_percent / 100) + 5 <= 0.8 * var.database_max_connections
    )
    error_message = "The proxy could hold more connections than the database should have: rds_proxy_max_connections_percent ${var.rds_proxy_max_connections_percent} of database_max_connections ${var.database_max_connections}, and 5 reserved, are ${floor(var.database_max_connections * var.rds_proxy_max_connections_percent / 100) + 5}, above ${floor(0.8 * var.database_max_connections)}, which is 80 %. Lower rds_proxy_max_connections_percent."
  }
}

variable "database_slow_query_milliseconds" {
  description = "Queries that take as long or longer are logged with their text and posted to Slack (requirement F3). The parameter group and the query-bot use the same number."
  type        = number
}

variable "database_multi_az" {
  description = "Whether a standby in another zone takes over when the database fails."
  type        = bool
}

variable "database_backup_retention_days" {
  description = "Days that automatic backups are kept."
  type        = number
}

variable "database_skip_final_snapshot" {
  description = "Whether deleting the database leaves no snapshot."
  type        = bool
}

variable "database_final_snapshot_identifier" {
  description = "Name of the snapshot that deleting the database leaves. Null: `<app_name>-<env_name>-final`."
  type        = string
  default     = null
}

variable "database_apply_immediately" {
  description = "Whether changes that restart the database happen at once. False: in the maintenance window."
  type        = bool
}

variable "database_free_memory_minimum_mb" {
  description = "Free memory of the database below which the alarm goes off, because it is about to swap, MiB. About a tenth of the instance class's memory."
  type        = number
}

variable "database_restores" {
  description = "Instances restored beside the database, by the second of their data (`YYYYMMDD-hhmmss`, UTC); `make restore` writes them."
  type = map(object({
    source   = optional(string, "")
    time     = optional(string)
    snapshot = optional(string)
  }))
}

variable "database_serving" {
  description = "Which database serves: a key of `database_restores`, or empty for the original."
  type        = string
}

variable "rds_proxy_enabled" {
  description = "Whether an RDS Proxy stands between the service and the database (requirement G3)."
  type        = bool
}

variable "rds_proxy_direct_access" {
  description = "Whether the service may also reach the database without the proxy. Needed while tasks that were started without it run or could be rolled back to."
  type        = bool
}

variable "rds_proxy_max_connections_percent" {
  description = "Connections to the database that the proxy may hold, in percent of `database_max_connections`. With a proxy, this is the pool budget."
  type        = number
}

variable "rds_proxy_max_idle_connections_percent" {
  description = "Idle connections that the proxy keeps open, in percent of `database_max_connections`."
  type        = number
}

# --- notifications ----------------------------------------------------------------------------------

variable "bots_package_path" {
  description = "The zip of app/bots/ that the role bots_package builds, relative to this folder, so that plans on two machines agree."
  type        = string
  default     = "../.local/bots.zip"
}

variable "notification_emails" {
  description = "E-mail addresses that are notified besides Slack, by urgency. Each must confirm once, with the link that AWS sends."
  type = object({
    urgent  = optional(set(string), [])
    warning = optional(set(string), [])
  })
}

variable "notifications_slack" {
  description = "Whether Slack is in use: the bots then keep messages until the webhook is set. Otherwise they leave messages out without one."
  type        = bool
}

variable "query_bot_window_seconds" {
  description = "Seconds in which the same slow statement is posted to Slack once, with a count."
  type        = number
}

variable "query_bot_redact_literals" {
  description = "Whether literals of a slow statement, which may be a customer's data, are replaced before it is posted to Slack."
  type        = bool
}

# --- monitoring -------------------------------------------------------------------------------------

variable "error_rate_minimum_requests" {
  description = "Requests in a minute below which the error rate is ignored (requirement F4): at night, one error in one request is 100 %."
  type        = number
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of every role that is created here; GitHub's deploy role requires it. Null: none."
  type        = string

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z-]+:iam::[0-9]{12}:policy/[^*?]+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the ARN of a policy, for example \"arn:aws:iam::123456789012:policy/storefront-github-boundary-staging\"."
  }
}
