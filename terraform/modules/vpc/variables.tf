variable "name" {
  description = "Prefix of every resource's name, for example `settlement-staging`."
  type        = string
}

variable "cidr" {
  description = "IPv4 range of the VPC (requirement A1)."
  type        = string

  validation {
    condition     = try(cidrsubnet(var.cidr, 0, 0) == var.cidr && tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 24, false)
    error_message = "cidr must be an IPv4 network from /16 to /24 with no host bits set, for example \"10.0.0.0/18\"; it is \"${var.cidr}\"."
  }
}

variable "availability_zones" {
  description = "Availability zones, one subnet of each kind in each (requirement A1: three)."
  type        = list(string)

  validation {
    condition     = length(var.availability_zones) >= 2 && length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "availability_zones must be two or more different zones (the load balancer and the database's subnet group need two), for example [\"ap-northeast-2a\", \"ap-northeast-2b\", \"ap-northeast-2c\"]."
  }
}

variable "subnet_cidrs" {
  description = "IPv4 ranges of the public (A2), private (A3) and database (A4) subnets, in the order of `availability_zones`. All inside `cidr`, none overlapping."
  type = object({
    public   = list(string)
    private  = list(string)
    database = list(string)
  })

  validation {
    condition = alltrue([
      for cidr in flatten(values(var.subnet_cidrs)) :
      try(cidrsubnet(cidr, 0, 0) == cidr && tonumber(split("/", cidr)[1]) <= 28, false)
    ])
    error_message = "Each range in subnet_cidrs must be an IPv4 network of /28 or larger with no host bits set, for example \"10.0.1.0/24\"; they are ${join(", ", flatten(values(var.subnet_cidrs)))}."
  }

  validation {
    condition     = alltrue([for cidrs in values(var.subnet_cidrs) : length(cidrs) == length(var.availability_zones)])
    error_message = "Each kind in subnet_cidrs needs one range per availability zone (${length(var.availability_zones)}), for example private = [\"10.0.1.0/24\", \"10.0.2.0/24\", \"10.0.3.0/24\"] for three zones."
  }
}

variable "nat_gateways" {
  description = "`single`: one NAT gateway for all zones (cheaper; a zone's outage can cut the others off). `per_az`: one in each zone."
  type        = string
  default     = "single"

  validation {
    condition     = contains(["single", "per_az"], var.nat_gateways)
    error_message = "nat_gateways must be \"single\" or \"per_az\", for example \"single\"; it is \"${var.nat_gateways}\"."
  }
}

variable "flow_logs_enabled" {
  description = "Whether the VPC's flow logs go to CloudWatch Logs."
  type        = bool
  default     = false
}

variable "log_retention_days" {
  description = "Days that flow logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a retention that CloudWatch Logs knows, for example 7, 30, 90 or 365."
  }
}

variable "permissions_boundary_arn" {
  description = "Policy that bounds every role that is made here, as GitHub's deploy role requires. Null: none."
  type        = string
  default     = null
}
