# Traffic (requirement A5): client ─80(443)▶ listener ▶ rule ▶ one of two target groups ─app_port▶ tasks of the service.
# A release that is not rolling starts its tasks in the group without traffic; ECS then changes the rules' weights.

locals {
  certificate_made = var.https_hosted_zone_id != null && var.https_certificate_arn == null
  https_enabled    = var.https_hosted_zone_id != null || var.https_certificate_arn != null
  serving_listener = local.https_enabled ? aws_lb_listener.https[0].arn : aws_lb_listener.http.arn
}

resource "aws_lb" "this" {
  #checkov:skip=CKV2_AWS_28:A web ACL is an account's policy and a cost of its own; it attaches to this load balancer from outside.
  name               = var.name
  load_balancer_type = "application"
  internal           = var.alb_internal
  subnets            = var.subnet_ids
  security_groups    = [var.security_group_id]

  # The application keeps idle connections longer than this, so that it never closes a connection that the load
  # balancer is about to use.
  idle_timeout               = 60
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
  enable_zonal_shift         = true

  dynamic "access_logs" {
    for_each = aws_s3_bucket_policy.access_logs

    content {
      enabled = true
      bucket  = access_logs.value.bucket
    }
  }
}

# Success codes, slow start and stickiness stay as they are: each would change what "healthy" means.
resource "aws_lb_target_group" "this" {
  #checkov:skip=CKV_AWS_378:From the load balancer to the task is inside the VPC, and only the load balancer may reach it.
  for_each = toset(["api", "alt"])

  name                 = "${var.name}-${each.key}"
  vpc_id               = var.vpc_id
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = var.app_port
  deregistration_delay = 10

  health_check {
    path                = var.app_health_path
    protocol            = "HTTP"
    port                = "traffic-port"
    matcher             = "200"
    interval            = 5
    timeout             = 3
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

moved {
  from = aws_lb_target_group.this
  to   = aws_lb_target_group.this["api"]
}

resource "aws_lb_listener" "http" {
  #checkov:skip=CKV_AWS_2:Redirects to HTTPS when there is a certificate (requirement A6), and serves port 80 when there is none.
  load_balancer_arn = aws_lb.this.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type             = local.https_enabled ? "redirect" : "forward"
    target_group_arn = local.https_enabled ? null : aws_lb_target_group.this["api"].arn

    dynamic "redirect" {
      for_each = local.https_enabled ? [true] : []

      content {
        protocol    = "HTTPS"
        port        = "443"
        status_code = "HTTP_301"
      }
    }
  }
}

# ECS owns the weights of both rules (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/alb-resources-for-blue-green.html).
resource "aws_lb_listener_rule" "production" {
  listener_arn = local.serving_listener
  priority     = 50000

  condition {
    path_pattern {
      values = ["/*"]
    }
  }

  action {
    type = "forward"

    forward {
      target_group {
        arn    = aws_lb_target_group.this["api"].arn
        weight = 100
      }

      target_group {
        arn    = aws_lb_target_group.this["alt"].arn
        weight = 0
      }
    }
  }

  lifecycle {
    ignore_changes = [action]
  }
}

# Requests with this header get the new version before anybody else does.
resource "aws_lb_listener_rule" "test" {
  listener_arn = local.serving_listener
  priority     = 100

  condition {
    http_header {
      http_header_name = var.release_test_header.name
      values           = [var.release_test_header.value]
    }
  }

  action {
    type = "forward"

    forward {
      target_group {
        arn    = aws_lb_target_group.this["api"].arn
        weight = 100
      }

      target_group {
        arn    = aws_lb_target_group.this["alt"].arn
        weight = 0
      }
    }
  }

  lifecycle {
    ignore_changes = [action]
  }
}
