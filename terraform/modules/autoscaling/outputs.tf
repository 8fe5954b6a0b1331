output "scalable_target" {
  description = "The target as Application Auto Scaling names it, and the limits that a release sets on it: the given ones, or those of the last scheduled action."
  value = {
    resource_id        = aws_appautoscaling_target.this.resource_id
    service_namespace  = aws_appautoscaling_target.this.service_namespace
    scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
    min_capacity       = var.app_min_tasks
    max_capacity       = var.app_max_tasks
    timezone           = var.app_scaling_timezone
    scheduled_actions = [for action in local.scheduled_actions : {
      name         = action.name
      schedule     = action.schedule
      min_capacity = tonumber(action.scalable_target_action[0].min_capacity)
      max_capacity = tonumber(action.scalable_target_action[0].max_capacity)
    }]
  }
}
