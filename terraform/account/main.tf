# What exists once per account and region, whatever the number of environments: one image repository, so that
# production runs the very digest that staging ran, and the roles that AWS's services take.

module "ecr" {
  source = "../modules/ecr"

  name                    = coalesce(var.ecr_repository_name, var.app_name)
  untagged_retention_days = var.ecr_untagged_retention_days
  force_delete            = var.ecr_force_delete
}

# AWS makes a service-linked role at a service's first use, and that use then often fails: the role is not there
# yet. So they are made before. One that the account has (it may be in use by others) is adopted as it is.
locals {
  service_linked_roles = {
    "ecs.amazonaws.com"                         = "AWSServiceRoleForECS"
    "ecs.application-autoscaling.amazonaws.com" = "AWSServiceRoleForApplicationAutoScaling_ECSService"
    "elasticloadbalancing.amazonaws.com"        = "AWSServiceRoleForElasticLoadBalancing"
    "rds.amazonaws.com"                         = "AWSServiceRoleForRDS"
  }
}

# An import of what is in the state already does nothing, so this adopts once.
import {
  for_each = {
    for service, role in local.service_linked_roles : service => role
    if contains(data.aws_iam_roles.service_linked.names, role)
  }

  to = aws_iam_service_linked_role.this[each.key]
  id = "arn:aws:iam::${var.account_id}:role/aws-service-role/${each.key}/${each.value}"
}

resource "aws_iam_service_linked_role" "this" {
  for_each = local.service_linked_roles

  aws_service_name = each.key
}
