# Each waits for its policy, so that no task starts with a role that lacks permissions.

output "execution_role_arn" {
  description = "Execution role of the service's tasks."
  value       = aws_iam_role.execution["execution"].arn

  depends_on = [aws_iam_role_policy.execution]
}

output "task_role_arn" {
  description = "Task role of the service's tasks."
  value       = aws_iam_role.task.arn

  depends_on = [aws_iam_role_policy.task_execute_command]
}

output "admin_execution_role_arn" {
  description = "Execution role of the admin tasks; null without a database."
  value       = one([for key, role in aws_iam_role.execution : role.arn if key == "admin-execution"])

  depends_on = [aws_iam_role_policy.execution]
}

output "admin_task_role_arn" {
  description = "Task role of the admin tasks; null without a database."
  value       = one(aws_iam_role.admin_task[*].arn)

  depends_on = [aws_iam_role_policy.admin_task]
}

output "load_balancer_role_arn" {
  description = "Role with which ECS shifts the traffic."
  value       = aws_iam_role.load_balancer.arn

  depends_on = [aws_iam_role_policy.load_balancer]
}
