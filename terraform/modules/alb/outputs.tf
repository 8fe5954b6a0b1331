output "arn_suffix" {
  description = "Load balancer as CloudWatch's dimension `LoadBalancer` names it."
  value       = aws_lb.this.arn_suffix
}

output "dns_name" {
  description = "The load balancer's own name."
  value       = aws_lb.this.dns_name
}

output "target_group_arn" {
  description = "Target group of the service. ECS refuses a service whose target group has no listener yet."
  value       = aws_lb_target_group.this.arn

  depends_on = [aws_lb_listener.http, aws_lb_listener.https]
}

output "target_group_arn_suffix" {
  description = "Target group as CloudWatch's dimension `TargetGroup` names it."
  value       = aws_lb_target_group.this.arn_suffix
}

output "url" {
  description = "Address for clients: `https` when HTTPS is on, by `https_domain_name` when one is given."
  value       = "${local.https_enabled ? "https" : "http"}://${coalesce(var.https_domain_name, aws_lb.this.dns_name)}"
}
