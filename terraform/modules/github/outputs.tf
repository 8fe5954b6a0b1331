output "variables" {
  description = "Variables to set at GitHub: of the repository (`environment` is null) and of its environments."
  value = flatten([
    for key, workflow in local.workflows : [
      for environment in workflow.settings : {
        environment = environment
        name        = workflow.variable
        value       = "arn:aws:iam::${var.aws_account_id}:role/${aws_iam_role.this[key].name}"
      }
    ]
  ])
}

output "boundary_names" {
  description = "By environment: the permissions boundary that every role created by its deployments must have."
  value       = { for name in var.github_environments : name => aws_iam_policy.workload_boundary[name].name }
}
