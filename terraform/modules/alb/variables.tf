variable "name" {
  description = "Name of the load balancer and prefix of what belongs to it, for example `storefront-staging`."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9][a-zA-Z0-9-]{0,26}[a-zA-Z0-9]$", var.name))
    error_message = "name must be 2 to 28 letters, digits and hyphens, with no hyphen at either end (a target group's name has 32 characters at most), for example \"storefront-staging\"."
  }
}

variable "aws_account_id" {
  description = "AWS account, 12 digits. Names the folder and the bucket of the access logs."
  type        = string
}

variable "aws_region" {
  description = "Region, for example `ap-northeast-2`. Names the bucket of the access logs."
  type        = string
}

variable "vpc_id" {
  description = "VPC of the target group."
  type        = string
}

variable "alb_internal" {
  description = "Whether the load balancer has private addresses only. A change replaces it."
  type        = bool
}

variable "subnet_ids" {
  description = "Public subnets, or private ones with `alb_internal`, in two zones or more."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must name subnets of two or more availability zones, for example [\"subnet-0a\", \"subnet-0b\"]."
  }
}

variable "security_group_id" {
  description = "Security group of the load balancer."
  type        = string
}

variable "app_port" {
  description = "Port on which targets listen."
  type        = number
}

variable "app_health_path" {
  description = "Path of the health check. A target is healthy if it answers 200."
  type        = string

  validation {
    condition     = can(regex("^/[^?#[:space:]]*$", var.app_health_path))
    error_message = "app_health_path must begin with a slash and have no query, for example \"/healthz\"."
  }
}

variable "release_test_header" {
  description = "Header of test requests, which a new version gets before any user does."
  type        = object({ name = string, value = string })

  validation {
    condition     = can(regex("^[A-Za-z0-9-]{1,40}$", var.release_test_header.name)) && can(regex("^[A-Za-z0-9._-]{1,128}$", var.release_test_header.value))
    error_message = "release_test_header must have a name of letters, digits and hyphens and a value of letters, digits, points, hyphens and underscores, for example { name = \"X-Release-Test\", value = \"1\" }."
  }
}

variable "https_certificate_arn" {
  description = "Certificate of the HTTPS listener (requirement A6). Null: one is made if `https_hosted_zone_id` is given, else there is no HTTPS."
  type        = string

  validation {
    condition     = var.https_certificate_arn == null || can(regex("^arn:[a-z-]+:acm:[a-z0-9-]+:[0-9]{12}:certificate/", var.https_certificate_arn))
    error_message = "https_certificate_arn must be the ARN of an ACM certificate, for example \"arn:aws:acm:ap-northeast-2:123456789012:certificate/12345678-1234-1234-1234-123456789012\"."
  }

  validation {
    condition     = var.https_certificate_arn == null || try(split(":", var.https_certificate_arn)[3] == var.aws_region, false)
    error_message = "https_certificate_arn must name a certificate of ${var.aws_region}, for example \"arn:aws:acm:${var.aws_region}:123456789012:certificate/12345678-1234-1234-1234-123456789012\": a load balancer takes no other region's."
  }
}

variable "https_hosted_zone_id" {
  description = "Route 53 hosted zone for the alias record `https_domain_name` and, without `https_certificate_arn`, for the certificate's validation records. Null: none."
  type        = string

  validation {
    condition     = var.https_hosted_zone_id == null || can(regex("^Z[A-Z0-9]+$", var.https_hosted_zone_id))
    error_message = "https_hosted_zone_id must be the ID of a Route 53 hosted zone, for example \"Z0123456789ABCDEFGHIJ\"."
  }

  validation {
    condition     = var.https_hosted_zone_id == null || var.https_domain_name != null
    error_message = "https_hosted_zone_id needs https_domain_name, the name to make in that zone, for example \"storefront.example.com\"."
  }
}

variable "https_domain_name" {
  description = "Name by which clients call the service, for example `storefront.example.com`. Null: the load balancer's own."
  type        = string

  validation {
    condition     = var.https_domain_name == null || can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.https_domain_name))
    error_message = "https_domain_name must be a full domain name in lower case with no dot at its end, for example \"storefront.example.com\"."
  }
}

variable "alb_access_logs" {
  description = "Whether access logs go to a bucket made for them."
  type        = bool
}

variable "alb_access_logs_retention_days" {
  description = "Days that access logs are kept."
  type        = number

  validation {
    condition     = var.alb_access_logs_retention_days >= 1 && floor(var.alb_access_logs_retention_days) == var.alb_access_logs_retention_days
    error_message = "alb_access_logs_retention_days must be a whole number of days, 1 or more, for example 90."
  }
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the load balancer. Without it the bucket of the access logs may be deleted with its objects too."
  type        = bool
}
