mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name              = "storefront-test"
  aws_account_id    = "123456789012"
  aws_region        = "ap-northeast-2"
  vpc_id            = "vpc-0123456789abcdef0"
  route_table_ids   = ["rtb-a", "rtb-b", "rtb-c"]
  subnet_ids        = ["subnet-a", "subnet-b", "subnet-c"]
  security_group_id = "sg-0123456789abcdef0"

  vpc_endpoints_enabled = false
  vpc_endpoint_services = ["ecr.api", "ecr.dkr", "logs", "secretsmanager"]
}

run "off_leaves_the_way_to_s3" {
  assert {
    condition = (
      aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway" && aws_vpc_endpoint.s3.service_name == "com.amazonaws.ap-northeast-2.s3"
      && toset(aws_vpc_endpoint.s3.route_table_ids) == toset(["rtb-a", "rtb-b", "rtb-c"])
      && length(aws_vpc_endpoint.interface) == 0 && length(output.interface_endpoint_ids) == 0
    )
    error_message = "The gateway endpoint is free and always there; an interface endpoint is neither."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_vpc_endpoint.s3.policy).Statement : [statement.Action, statement.Resource, try(statement.Condition.StringEquals, null)]
      ] == [
      ["s3:GetObject", "arn:aws:s3:::prod-ap-northeast-2-starport-layer-bucket/*", null],
      ["s3:*", "*", { "aws:PrincipalAccount" = "123456789012", "aws:ResourceAccount" = "123456789012" }],
    ]
    error_message = "The endpoint of S3 serves image layers and this account's own buckets."
  }
}

run "on_makes_the_four" {
  variables {
    vpc_endpoints_enabled = true
  }

  assert {
    condition = toset([for endpoint in aws_vpc_endpoint.interface : endpoint.service_name]) == toset([
      "com.amazonaws.ap-northeast-2.ecr.api",
      "com.amazonaws.ap-northeast-2.ecr.dkr",
      "com.amazonaws.ap-northeast-2.logs",
      "com.amazonaws.ap-northeast-2.secretsmanager",
    ])
    error_message = "What a task needs to start and to log."
  }

  assert {
    condition = alltrue([
      for endpoint in aws_vpc_endpoint.interface :
      endpoint.vpc_endpoint_type == "Interface" && endpoint.private_dns_enabled
      && toset(endpoint.subnet_ids) == toset(["subnet-a", "subnet-b", "subnet-c"])
      && toset(endpoint.security_group_ids) == toset(["sg-0123456789abcdef0"])
    ])
    error_message = "Each is in every zone, answers to the service's own name, and has the one security group."
  }

  assert {
    condition = alltrue(flatten([
      for endpoint in aws_vpc_endpoint.interface : [
        for statement in jsondecode(endpoint.policy).Statement :
        statement.Condition.StringEquals["aws:PrincipalAccount"] == "123456789012"
        && (statement.Action == ["ecr:GetAuthorizationToken"] || can(regex("^arn:aws:[a-z]+:ap-northeast-2:123456789012:", statement.Resource)))
        && !strcontains(join(" ", statement.Action), "*")
      ]
    ]))
    error_message = "Only this account's principals, named actions, and this account's resources."
  }
}

run "services_can_be_chosen" {
  command = plan

  variables {
    vpc_endpoints_enabled = true
    vpc_endpoint_services = ["logs", "ssmmessages"]
  }

  assert {
    condition     = toset(keys(aws_vpc_endpoint.interface)) == toset(["logs", "ssmmessages"])
    error_message = "The services that were chosen, no other."
  }
}

run "service_without_a_policy_is_refused" {
  command = plan

  variables {
    vpc_endpoint_services = ["ecr.api", "ecr.dkr", "kms"]
  }

  expect_failures = [var.vpc_endpoint_services]
}

run "half_of_ecr_is_refused" {
  command = plan

  variables {
    vpc_endpoint_services = ["ecr.dkr"]
  }

  expect_failures = [var.vpc_endpoint_services]
}

run "endpoints_without_a_security_group_are_refused" {
  command = plan

  variables {
    vpc_endpoints_enabled = true
    security_group_id     = null
  }

  expect_failures = [var.security_group_id]
}
