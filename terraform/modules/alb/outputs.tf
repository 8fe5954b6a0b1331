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
  value       = aws_lb_target_group.this["api"].arn

  depends_on = [aws_lb_listener.http, aws_lb_listener.https, aws_lb_listener_rule.production]
}

output "alternate_target_group_arn" {
  description = "Target group that takes turns with the first, by release."
  value       = aws_lb_target_group.this["alt"].arn

  depends_on = [aws_lb_listener_rule.production]
}

output "production_listener_rule_arn" {
  description = "Rule of all requests; ECS sets its weights."
  value       = aws_lb_listener_rule.production.arn
}

output "test_listener_rule_arn" {
  description = "Rule of test requests; ECS sets its weights."
  value       = aws_lb_listener_rule.test.arn
}

output "target_group_arn_suffixes" {
  description = "Both target groups as CloudWatch's dimension `TargetGroup` names them, by the ends of their names."
  value       = { for key, group in aws_lb_target_group.this : key => group.arn_suffix }
}

output "url" {
  description = "Address for clients: `https` when HTTPS is on, by `https_domain_name` when one is given."
  value       = "${local.https_enabled ? "https" : "http"}://${coalesce(var.https_domain_name, aws_lb.this.dns_name)}"
}
