mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name              = "storefront-test"
  aws_account_id    = "123456789012"
  aws_region        = "ap-northeast-2"
  vpc_id            = "vpc-0123456789abcdef0"
  subnet_ids        = ["subnet-a", "subnet-b", "subnet-c"]
  security_group_id = "sg-0123456789abcdef0"

  alb_internal                   = false
  app_port                       = 8000
  app_health_path                = "/health"
  release_test_header            = { name = "X-Release-Test", value = "1" }
  https_certificate_arn          = null
  https_hosted_zone_id           = null
  https_domain_name              = null
  alb_access_logs                = false
  alb_access_logs_retention_days = 90
  deletion_protection            = true
}

run "defaults_serve_port_80" {
  assert {
    condition = (
      aws_lb_listener.http.port == 80
      && aws_lb_listener.http.default_action[0].type == "forward"
      && aws_lb_listener.http.default_action[0].target_group_arn == aws_lb_target_group.this["api"].arn
    )
    error_message = "Without HTTPS, port 80 must forward to the service."
  }

  assert {
    condition = (
      length(aws_lb_listener.https) == 0 && length(aws_acm_certificate.this) == 0
      && length(aws_route53_record.alias) == 0 && length(aws_route53_record.certificate_validation) == 0
      && output.url == "http://mock.elb.amazonaws.com"
    )
    error_message = "Without HTTPS there is no 443, certificate or record."
  }

  assert {
    condition = (
      aws_lb_target_group.this["api"].health_check[0].path == "/health"
      && aws_lb_target_group.this["api"].health_check[0].interval == 5
      && aws_lb_target_group.this["api"].health_check[0].healthy_threshold == 2
      && aws_lb_target_group.this["api"].health_check[0].unhealthy_threshold == 2
      && aws_lb_target_group.this["api"].health_check[0].timeout < aws_lb_target_group.this["api"].health_check[0].interval
      && aws_lb_target_group.this["api"].deregistration_delay == "10"
      && aws_lb_target_group.this["api"].port == 8000
      && aws_lb_target_group.this["api"].target_type == "ip"
    )
    error_message = "Targets are addresses, port 8000, checked on app_health_path every 5 s × 2, and drained for 10 s."
  }

  assert {
    condition = (
      aws_lb.this.drop_invalid_header_fields && aws_lb.this.idle_timeout == 60 && !aws_lb.this.internal
      && aws_lb.this.enable_deletion_protection && length(aws_lb.this.access_logs) == 0
      && aws_lb.this.enable_zonal_shift
      && aws_lb.this.security_groups == toset(["sg-0123456789abcdef0"])
      && length(aws_s3_bucket.access_logs) == 0
    )
    error_message = "The load balancer's defaults: public, protected, zonal shift possible, one security group, no access logs."
  }
}

run "two_groups_take_turns_behind_two_rules" {
  assert {
    condition = (
      toset(keys(aws_lb_target_group.this)) == toset(["alt", "api"])
      && aws_lb_target_group.this["alt"].name == "storefront-test-alt"
      && aws_lb_target_group.this["alt"].health_check[0].path == "/health"
    )
    error_message = "Both target groups have the same settings."
  }

  assert {
    condition = (
      aws_lb_listener_rule.production.priority == 50000
      && one(one(aws_lb_listener_rule.production.condition).path_pattern).values == toset(["/*"])
      && { for group in aws_lb_listener_rule.production.action[0].forward[0].target_group : group.weight => true } == { 0 = true, 100 = true }
    )
    error_message = "The last rule takes every request, at first to one group only."
  }

  assert {
    condition = (
      aws_lb_listener_rule.test.priority < aws_lb_listener_rule.production.priority
      && one(one(aws_lb_listener_rule.test.condition).http_header).http_header_name == "X-Release-Test"
      && one(one(aws_lb_listener_rule.test.condition).http_header).values == toset(["1"])
    )
    error_message = "Requests with the test header have a rule of their own, before the other."
  }
}

run "a_header_that_no_rule_takes_is_refused" {
  command = plan

  variables {
    release_test_header = { name = "X Test", value = "1" }
  }

  expect_failures = [var.release_test_header]
}

run "certificate_turns_https_on" {
  variables {
    https_certificate_arn = "arn:aws:acm:ap-northeast-2:123456789012:certificate/given"
    https_domain_name     = "storefront.example.com"
  }

  assert {
    condition = (
      aws_lb_listener.https[0].port == 443 && aws_lb_listener.https[0].protocol == "HTTPS"
      && aws_lb_listener.https[0].certificate_arn == "arn:aws:acm:ap-northeast-2:123456789012:certificate/given"
      && aws_lb_listener.https[0].default_action[0].target_group_arn == aws_lb_target_group.this["api"].arn
      && aws_lb_listener.https[0].ssl_policy == "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
    )
    error_message = "443 must serve with the given certificate, by the policy that AWS recommends."
  }

  assert {
    condition = (
      aws_lb_listener.http.default_action[0].type == "redirect"
      && aws_lb_listener.http.default_action[0].redirect[0].protocol == "HTTPS"
      && aws_lb_listener.http.default_action[0].redirect[0].port == "443"
      && aws_lb_listener.http.default_action[0].redirect[0].status_code == "HTTP_301"
    )
    error_message = "With HTTPS, port 80 must redirect."
  }

  assert {
    condition = (
      length(aws_acm_certificate.this) == 0 && length(aws_route53_record.alias) == 0
      && output.url == "https://storefront.example.com"
    )
    error_message = "A given certificate needs no other, and without a zone there is no record."
  }
}

run "zone_and_name_make_certificate_and_alias" {
  variables {
    https_hosted_zone_id = "Z0123456789ABCDEFGHIJ"
    https_domain_name    = "storefront.example.com"
  }

  assert {
    condition = (
      aws_acm_certificate.this[0].domain_name == "storefront.example.com"
      && aws_acm_certificate.this[0].validation_method == "DNS"
      && aws_route53_record.certificate_validation["storefront.example.com"].name == "_token.storefront.example.com"
      && aws_lb_listener.https[0].certificate_arn == aws_acm_certificate_validation.this[0].certificate_arn
      && aws_lb_listener.http.default_action[0].type == "redirect"
    )
    error_message = "A zone and a name must make a certificate, validated by DNS, and turn HTTPS on."
  }

  assert {
    condition = (
      aws_route53_record.alias[0].zone_id == "Z0123456789ABCDEFGHIJ"
      && aws_route53_record.alias[0].name == "storefront.example.com"
      && aws_route53_record.alias[0].type == "A"
      && aws_route53_record.alias[0].alias[0].name == aws_lb.this.dns_name
      && output.url == "https://storefront.example.com"
    )
    error_message = "The name must be an alias of the load balancer."
  }
}

# Without a name, clients call the load balancer's own name, which the certificate does not cover.
run "certificate_without_a_name" {
  variables {
    https_certificate_arn = "arn:aws:acm:ap-northeast-2:123456789012:certificate/given"
  }

  assert {
    condition     = length(aws_lb_listener.https) == 1 && length(aws_route53_record.alias) == 0 && output.url == "https://mock.elb.amazonaws.com"
    error_message = "A given certificate turns HTTPS on, with or without a name."
  }
}

run "name_alone_turns_nothing_on" {
  variables {
    https_domain_name = "storefront.example.com"
  }

  assert {
    condition = (
      length(aws_lb_listener.https) == 0 && length(aws_route53_record.alias) == 0
      && aws_lb_listener.http.default_action[0].type == "forward" && output.url == "http://storefront.example.com"
    )
    error_message = "A name whose record is elsewhere is served on port 80."
  }
}

run "certificate_and_zone_make_only_the_alias" {
  command = plan

  variables {
    https_certificate_arn = "arn:aws:acm:ap-northeast-2:123456789012:certificate/given"
    https_hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
    https_domain_name     = "storefront.example.com"
  }

  assert {
    condition = (
      length(aws_acm_certificate.this) == 0 && length(aws_route53_record.certificate_validation) == 0
      && length(aws_acm_certificate_validation.this) == 0
      && length(aws_route53_record.alias) == 1 && length(aws_lb_listener.https) == 1
      && aws_lb_listener.https[0].certificate_arn == "arn:aws:acm:ap-northeast-2:123456789012:certificate/given"
      && aws_lb_listener.http.default_action[0].type == "redirect"
    )
    error_message = "A given certificate is used as it is, and the zone still gets the alias."
  }
}

run "access_logs_that_stay_for_long_move_to_infrequent_access" {
  command = plan

  variables {
    alb_access_logs = true
  }

  assert {
    condition = (
      one(aws_s3_bucket_lifecycle_configuration.access_logs[0].rule[0].transition).days == 30
      && one(aws_s3_bucket_lifecycle_configuration.access_logs[0].rule[0].transition).storage_class == "STANDARD_IA"
      && aws_s3_bucket_lifecycle_configuration.access_logs[0].rule[0].expiration[0].days == 90
    )
    error_message = "Access logs move to Standard-IA after 30 days and are deleted after 90."
  }
}

run "access_logs" {
  variables {
    alb_access_logs                = true
    alb_access_logs_retention_days = 30
    deletion_protection            = false
  }

  assert {
    condition = (
      aws_s3_bucket.access_logs[0].bucket == "storefront-test-alb-logs-123456789012-ap-northeast-2"
      && aws_s3_bucket.access_logs[0].force_destroy
      && aws_lb.this.access_logs[0].enabled
      && aws_s3_bucket_lifecycle_configuration.access_logs[0].rule[0].expiration[0].days == 30
      && length(aws_s3_bucket_lifecycle_configuration.access_logs[0].rule[0].transition) == 0
      && aws_s3_bucket_public_access_block.access_logs[0].block_public_policy
      && aws_s3_bucket_public_access_block.access_logs[0].restrict_public_buckets
    )
    error_message = "Access logs must go to a private bucket of their own and expire."
  }

  assert {
    condition = (
      jsondecode(aws_s3_bucket_policy.access_logs[0].policy).Statement[0].Principal.Service == "logdelivery.elasticloadbalancing.amazonaws.com"
      && jsondecode(aws_s3_bucket_policy.access_logs[0].policy).Statement[0].Action == "s3:PutObject"
      && jsondecode(aws_s3_bucket_policy.access_logs[0].policy).Statement[0].Resource == "arn:aws:s3:::mock/AWSLogs/123456789012/*"
      && jsondecode(aws_s3_bucket_policy.access_logs[0].policy).Statement[1].Effect == "Deny"
    )
    error_message = "Only the load balancers' delivery may write, into this account's folder, over TLS."
  }
}

run "values_of_a_wrong_form_are_refused" {
  command = plan

  variables {
    name                           = "a-name-that-is-longer-than-it-may-be"
    subnet_ids                     = ["subnet-a"]
    app_health_path                = "/health?deep=1"
    https_certificate_arn          = "certificate/given"
    https_domain_name              = "Storefront.example.com."
    alb_access_logs_retention_days = 0
  }

  expect_failures = [
    var.name,
    var.subnet_ids,
    var.app_health_path,
    var.https_certificate_arn,
    var.https_domain_name,
    var.alb_access_logs_retention_days,
  ]
}

run "certificate_of_another_region_is_refused" {
  command = plan

  variables {
    https_certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/given"
  }

  expect_failures = [var.https_certificate_arn]
}

run "zone_by_its_name_is_refused" {
  command = plan

  variables {
    https_hosted_zone_id = "example.com"
    https_domain_name    = "storefront.example.com"
  }

  expect_failures = [var.https_hosted_zone_id]
}

run "zone_without_a_name_is_refused" {
  command = plan

  variables {
    https_hosted_zone_id = "Z0123456789ABCDEFGHIJ"
  }

  expect_failures = [var.https_hosted_zone_id]
}

run "bucket_name_beyond_63_characters_is_refused" {
  command = plan

  variables {
    name            = "storefront-production-korea1"
    aws_region      = "ap-southeast-2"
    alb_access_logs = true
  }

  expect_failures = [aws_s3_bucket.access_logs]
}

run "an_internal_load_balancer_has_no_public_address" {
  variables {
    alb_internal = true
  }

  assert {
    condition     = aws_lb.this.internal
    error_message = "alb_internal must reach the load balancer."
  }
}
