variable "name" {
  description = "Prefix of every resource's name, for example `storefront-staging`."
  type        = string
}

variable "aws_account_id" {
  description = "AWS account, 12 digits. The endpoints serve only its principals and resources."
  type        = string
}

variable "aws_region" {
  description = "Region of the services, for example `ap-northeast-2`."
  type        = string
}

variable "vpc_id" {
  description = "VPC of the endpoints."
  type        = string
}

variable "route_table_ids" {
  description = "Route tables that get the route to S3: those of the private subnets."
  type        = list(string)
}

variable "vpc_endpoints_enabled" {
  description = "Whether the interface endpoints exist; each costs by the hour and zone."
  type        = bool
}

variable "vpc_endpoint_services" {
  description = "Services with an interface endpoint, if `vpc_endpoints_enabled`, by the last part of the endpoint service's name."
  type        = set(string)

  validation {
    condition     = length(setsubtract(var.vpc_endpoint_services, ["ecr.api", "ecr.dkr", "logs", "secretsmanager", "ssmmessages"])) == 0
    error_message = "vpc_endpoint_services may name ecr.api, ecr.dkr, logs, secretsmanager and ssmmessages (ECS Exec), for example [\"ecr.api\", \"ecr.dkr\", \"logs\", \"secretsmanager\"]."
  }

  validation {
    condition     = contains(var.vpc_endpoint_services, "ecr.api") == contains(var.vpc_endpoint_services, "ecr.dkr")
    error_message = "vpc_endpoint_services must name ecr.api and ecr.dkr together: pulling an image asks both, for example [\"ecr.api\", \"ecr.dkr\"]."
  }
}

variable "subnet_ids" {
  description = "Subnets of the interface endpoints, at most one in each zone: the private ones."
  type        = list(string)
}

variable "security_group_id" {
  description = "Security group of the interface endpoints. Null when they are not enabled."
  type        = string

  validation {
    condition     = !var.vpc_endpoints_enabled || var.security_group_id != null
    error_message = "vpc_endpoints_enabled needs security_group_id, for example \"sg-0123456789abcdef0\": without one AWS takes the VPC's default group, which lets nobody in."
  }
}
