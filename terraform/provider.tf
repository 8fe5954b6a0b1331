terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }

  # Bucket, key and region come with `terraform init -backend-config=…`: each environment has a state of its own.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

# Credentials and endpoints come from the environment (AWS_PROFILE, AWS_ENDPOINT_URL, …), never from here.
provider "aws" {
  region              = var.aws_region
  allowed_account_ids = [var.aws_account_id]

  default_tags {
    tags = merge(var.aws_tags, {
      Application = var.app_name
      Environment = var.env_name
      ManagedBy   = "terraform"
    })
  }
}
