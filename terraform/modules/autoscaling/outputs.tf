output "scalable_target" {
  description = "The target as Application Auto Scaling names it, and the limits that a release sets on it."
  value = {
    resource_id        = aws_appautoscaling_target.this.resource_id
    service_namespace  = aws_appautoscaling_target.this.service_namespace
    scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
    min_capacity       = var.min_tasks
    max_capacity       = var.max_tasks
  }
}
