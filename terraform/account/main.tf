# Resources that exist once per account and region, for any number of environments: one image repository, so that
# production runs the exact digest that staging ran; monitoring of new resources (detection.tf).
# Resources that exist once per account are created in its home region only: service-linked roles, cost monitoring,
# GitHub's OIDC provider.

locals {
  is_home = var.aws_region == coalesce(var.account_home_region, var.aws_region)
}

module "ecr" {
  source = "../modules/ecr"

  name                        = coalesce(var.ecr_repository_name, var.app_name)
  ecr_untagged_retention_days = var.ecr_untagged_retention_days
  ecr_force_delete            = var.ecr_force_delete
}

# AWS creates a service-linked role at a service's first use, which often fails because the role is not ready yet. So
# the roles are created first. An existing role, which others may use, is imported as it is.
locals {
  service_linked_roles = toset(local.is_home ? [
    "config.amazonaws.com",
    "ecs.amazonaws.com",
    "ecs.application-autoscaling.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
    "rds.amazonaws.com",
  ] : [])

  # AWS gives each service-linked role its name.
  # https://docs.aws.amazon.com/config/latest/developerguide/using-service-linked-roles.html
  config_role_arn = "arn:aws:iam::${var.aws_account_id}:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"

  # By service: the path of a service-linked role's ARN is role/aws-service-role/<service>/<name>.
  existing_service_linked_roles = {
    for arn in data.aws_iam_roles.service_linked.arns : split("/", arn)[2] => arn
    if contains(local.service_linked_roles, split("/", arn)[2])
  }
}

# An import of a resource that is already in the state does nothing.
import {
  for_each = local.existing_service_linked_roles

  to = aws_iam_service_linked_role.this[each.key]
  id = each.value
}

resource "aws_iam_service_linked_role" "this" {
  for_each = local.service_linked_roles

  aws_service_name = each.key

  # A role that a service made for itself has that service's description.
  lifecycle {
    ignore_changes = [description]
  }
}
