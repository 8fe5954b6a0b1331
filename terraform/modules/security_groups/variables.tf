variable "name" {
  description = "Prefix of every resource's name, for example `storefront-staging`."
  type        = string
}

variable "vpc_id" {
  description = "VPC of the security groups."
  type        = string
}

variable "network_client_cidrs" {
  description = "IPv4 ranges whose clients may reach the load balancer."
  type        = set(string)

  validation {
    condition     = length(var.network_client_cidrs) > 0 && alltrue([for cidr in var.network_client_cidrs : try(cidrsubnet(cidr, 0, 0) == cidr, false)])
    error_message = "network_client_cidrs must be one or more IPv4 networks with no host bits set, for example [\"0.0.0.0/0\"] or [\"203.0.113.0/24\"]."
  }
}

variable "https_enabled" {
  description = "Whether the load balancer listens on 443 too (requirement A6)."
  type        = bool
}

variable "app_port" {
  description = "Port on which the service's container listens."
  type        = number
}

variable "app_database" {
  description = "Whether there is a database for the service and the admin tasks to reach."
  type        = bool
}

variable "database_port" {
  description = "Port on which PostgreSQL listens."
  type        = number
  default     = 5432
}

variable "rds_proxy_enabled" {
  description = "Whether an RDS Proxy stands between the service and the database (requirement G3)."
  type        = bool
}

variable "rds_proxy_direct_access" {
  description = "Whether the service may also reach the database without the proxy, for tasks that were started without it."
  type        = bool
}

variable "vpc_endpoints_enabled" {
  description = "Whether there are interface endpoints for the tasks to reach."
  type        = bool
}
