resource "aws_acm_certificate" "this" {
  count = local.certificate_made ? 1 : 0

  domain_name       = var.https_domain_name
  validation_method = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "certificate_validation" {
  # One name, so one record. Its key must be known when planning; its values are known after the request.
  for_each = local.certificate_made ? toset([var.https_domain_name]) : toset([])

  zone_id         = var.https_hosted_zone_id
  name            = one(aws_acm_certificate.this[0].domain_validation_options).resource_record_name
  type            = one(aws_acm_certificate.this[0].domain_validation_options).resource_record_type
  records         = [one(aws_acm_certificate.this[0].domain_validation_options).resource_record_value]
  ttl             = 60
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "this" {
  count = local.certificate_made ? 1 : 0

  certificate_arn         = aws_acm_certificate.this[0].arn
  validation_record_fqdns = [for record in aws_route53_record.certificate_validation : record.fqdn]
}

resource "aws_lb_listener" "https" {
  count = local.https_enabled ? 1 : 0

  load_balancer_arn = aws_lb.this.arn
  port              = 443
  protocol          = "HTTPS"
  certificate_arn   = local.certificate_made ? aws_acm_certificate_validation.this[0].certificate_arn : var.https_certificate_arn
  # The policy that AWS recommends: TLS 1.3 and 1.2, forward secrecy and authenticated ciphers only, and the post-quantum
  # key exchange for clients that support it
  # (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html).
  ssl_policy = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this["api"].arn
  }
}

resource "aws_route53_record" "alias" {
  count = var.https_hosted_zone_id != null ? 1 : 0

  zone_id = var.https_hosted_zone_id
  name    = var.https_domain_name
  type    = "A"

  alias {
    name                   = aws_lb.this.dns_name
    zone_id                = aws_lb.this.zone_id
    evaluate_target_health = true
  }
}
