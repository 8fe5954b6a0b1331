# The modules of an RDS Proxy and of the endpoints, with a switch: test_rds_proxy.py applies it to the local cloud.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region     = "ap-northeast-2"
  access_key = "test"
  secret_key = "test"

  skip_credentials_validation = true
  skip_metadata_api_check     = true
}

variable "on" { type = bool }
variable "subnet_ids" { type = list(string) }
variable "vpc_id" { type = string }
variable "secret_arn" { type = string }

resource "aws_route_table" "this" { vpc_id = var.vpc_id }

module "security_groups" {
  source                  = "../../../terraform/modules/security_groups"
  name                    = "terraformed"
  vpc_id                  = var.vpc_id
  network_client_cidrs    = ["0.0.0.0/0"]
  https_enabled           = false
  app_port                = 8000
  app_database            = true
  rds_proxy_enabled       = var.on
  rds_proxy_direct_access = false
  vpc_endpoints_enabled   = var.on
}

module "endpoints" {
  source                = "../../../terraform/modules/endpoints"
  name                  = "terraformed"
  aws_account_id        = "000000000000"
  aws_region            = "ap-northeast-2"
  vpc_id                = var.vpc_id
  route_table_ids       = [aws_route_table.this.id]
  subnet_ids            = var.subnet_ids
  vpc_endpoints_enabled = var.on
  vpc_endpoint_services = ["ecr.api", "ecr.dkr", "logs", "secretsmanager"]
  security_group_id     = module.security_groups.endpoints_id
}

module "rds_proxy" {
  source                                 = "../../../terraform/modules/rds_proxy"
  count                                  = var.on ? 1 : 0
  name                                   = "terraformed"
  aws_account_id                         = "000000000000"
  subnet_ids                             = var.subnet_ids
  security_group_id                      = module.security_groups.proxy_id
  instance_identifier                    = "proxied"
  app_database_secret_arns               = [var.secret_arn]
  permissions_boundary_arn               = null
  rds_proxy_max_connections_percent      = 75
  rds_proxy_max_idle_connections_percent = 25
  log_retention_days                     = 30
}
