variable "name" {
  description = "Prefix of every resource's name, for example `storefront-staging`."
  type        = string
}

variable "network_vpc_cidr" {
  description = "IPv4 range of the VPC (requirement A1)."
  type        = string

  validation {
    condition     = try(cidrsubnet(var.network_vpc_cidr, 0, 0) == var.network_vpc_cidr && tonumber(split("/", var.network_vpc_cidr)[1]) >= 16 && tonumber(split("/", var.network_vpc_cidr)[1]) <= 24, false)
    error_message = "network_vpc_cidr must be an IPv4 network from /16 to /24 with no host bits set, for example \"10.0.0.0/18\"; it is \"${var.network_vpc_cidr}\"."
  }
}

variable "network_availability_zones" {
  description = "Availability zones by name (requirement A1: three), each with the IPv4 ranges of its public (A2), private (A3) and database (A4) subnet. All inside `network_vpc_cidr`, none overlapping."
  type = map(object({
    public   = string
    private  = string
    database = string
  }))

  validation {
    condition     = length(var.network_availability_zones) >= 2
    error_message = "network_availability_zones must have two or more zones (the load balancer and the database's subnet group need two), for example { ap-northeast-2a = { public = \"10.0.8.0/24\", private = \"10.0.1.0/24\", database = \"10.0.4.0/24\" }, ap-northeast-2b = … }."
  }

  validation {
    condition = alltrue([
      for cidr in flatten([for ranges in var.network_availability_zones : values(ranges)]) :
      try(cidrsubnet(cidr, 0, 0) == cidr && tonumber(split("/", cidr)[1]) <= 28, false)
    ])
    error_message = "Each range in network_availability_zones must be an IPv4 network of /28 or larger with no host bits set, for example \"10.0.1.0/24\"; they are ${join(", ", flatten([for ranges in var.network_availability_zones : values(ranges)]))}."
  }
}

variable "network_nat_gateways" {
  description = "`single`: one NAT gateway for all zones (cheaper; a zone's outage can cut the others off). `per_az`: one in each zone."
  type        = string

  validation {
    condition     = contains(["single", "per_az"], var.network_nat_gateways)
    error_message = "network_nat_gateways must be \"single\" or \"per_az\", for example \"single\"; it is \"${var.network_nat_gateways}\"."
  }
}

variable "network_flow_logs" {
  description = "Whether the VPC's flow logs go to CloudWatch Logs."
  type        = bool
}

variable "log_retention_days" {
  description = "Days that flow logs are kept."
  type        = number

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a retention that CloudWatch Logs knows, for example 7, 30, 90 or 365."
  }
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of every role that is created here; GitHub's deploy role requires it. Null: none."
  type        = string
}
