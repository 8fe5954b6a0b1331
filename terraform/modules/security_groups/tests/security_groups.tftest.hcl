mock_provider "aws" {
  source = "../../tests/mocks"
}

override_resource {
  target = aws_security_group.alb
  values = { id = "alb" }
}

override_resource {
  target = aws_security_group.service
  values = { id = "service" }
}

override_resource {
  target = aws_security_group.admin
  values = { id = "admin" }
}

override_resource {
  target = aws_security_group.database
  values = { id = "database" }
}

override_resource {
  target = aws_security_group.proxy
  values = { id = "proxy" }
}

override_resource {
  target = aws_security_group.endpoints
  values = { id = "endpoints" }
}

variables {
  name   = "storefront-test"
  vpc_id = "vpc-0123456789abcdef0"

  network_client_cidrs    = ["0.0.0.0/0"]
  https_enabled           = false
  app_port                = 8000
  app_database            = true
  rds_proxy_enabled       = false
  rds_proxy_direct_access = false
  vpc_endpoints_enabled   = false
}

# All rules there are, as "<security group> ◀ or ▶ <peer> : <port>".
run "whole_chain" {
  assert {
    condition = toset([
      for rule in concat(
        values(aws_vpc_security_group_ingress_rule.alb_from_clients),
        [aws_vpc_security_group_ingress_rule.service_from_alb],
        values(aws_vpc_security_group_ingress_rule.database_from_tasks),
        aws_vpc_security_group_ingress_rule.database_from_proxy,
        aws_vpc_security_group_ingress_rule.proxy_from_service,
        values(aws_vpc_security_group_ingress_rule.endpoints_from_tasks),
      ) : "${rule.security_group_id} ◀ ${coalesce(rule.cidr_ipv4, rule.referenced_security_group_id)} : ${rule.ip_protocol} ${rule.from_port}-${rule.to_port}"
      ]) == toset([
      "alb ◀ 0.0.0.0/0 : tcp 80-80",
      "service ◀ alb : tcp 8000-8000",
      "database ◀ service : tcp 5432-5432",
      "database ◀ admin : tcp 5432-5432",
    ])
    error_message = "Who may come in is not the chain of requirement A5."
  }

  assert {
    condition = toset([
      for rule in concat(
        [aws_vpc_security_group_egress_rule.alb_to_service],
        values(aws_vpc_security_group_egress_rule.tasks_to_database),
        values(aws_vpc_security_group_egress_rule.tasks_to_apis),
        aws_vpc_security_group_egress_rule.service_to_proxy,
        aws_vpc_security_group_egress_rule.proxy_to_database,
      ) : "${rule.security_group_id} ▶ ${coalesce(rule.cidr_ipv4, rule.referenced_security_group_id)} : ${rule.ip_protocol} ${rule.from_port}-${rule.to_port}"
      ]) == toset([
      "alb ▶ service : tcp 8000-8000",
      "service ▶ database : tcp 5432-5432",
      "service ▶ 0.0.0.0/0 : tcp 443-443",
      "admin ▶ database : tcp 5432-5432",
      "admin ▶ 0.0.0.0/0 : tcp 443-443",
    ])
    error_message = "Who may go out is not the chain of requirement A5."
  }

  assert {
    condition = (
      output.alb_id == "alb" && output.service_id == "service"
      && output.admin_id == "admin" && output.database_id == "database"
      && output.proxy_id == null && output.endpoints_id == null
    )
    error_message = "An output names the wrong security group."
  }
}

run "whole_chain_with_proxy_and_endpoints" {
  variables {
    rds_proxy_enabled     = true
    vpc_endpoints_enabled = true
  }

  assert {
    condition = toset([
      for rule in concat(
        values(aws_vpc_security_group_ingress_rule.alb_from_clients),
        [aws_vpc_security_group_ingress_rule.service_from_alb],
        values(aws_vpc_security_group_ingress_rule.database_from_tasks),
        aws_vpc_security_group_ingress_rule.database_from_proxy,
        aws_vpc_security_group_ingress_rule.proxy_from_service,
        values(aws_vpc_security_group_ingress_rule.endpoints_from_tasks),
      ) : "${rule.security_group_id} ◀ ${coalesce(rule.cidr_ipv4, rule.referenced_security_group_id)} : ${rule.ip_protocol} ${rule.from_port}-${rule.to_port}"
      ]) == toset([
      "alb ◀ 0.0.0.0/0 : tcp 80-80",
      "service ◀ alb : tcp 8000-8000",
      "proxy ◀ service : tcp 5432-5432",
      "database ◀ proxy : tcp 5432-5432",
      "database ◀ admin : tcp 5432-5432",
      "endpoints ◀ service : tcp 443-443",
      "endpoints ◀ admin : tcp 443-443",
    ])
    error_message = "Who may come in is not the chain with proxy and endpoints."
  }

  assert {
    condition = toset([
      for rule in concat(
        [aws_vpc_security_group_egress_rule.alb_to_service],
        values(aws_vpc_security_group_egress_rule.tasks_to_database),
        values(aws_vpc_security_group_egress_rule.tasks_to_apis),
        aws_vpc_security_group_egress_rule.service_to_proxy,
        aws_vpc_security_group_egress_rule.proxy_to_database,
      ) : "${rule.security_group_id} ▶ ${coalesce(rule.cidr_ipv4, rule.referenced_security_group_id)} : ${rule.ip_protocol} ${rule.from_port}-${rule.to_port}"
      ]) == toset([
      "alb ▶ service : tcp 8000-8000",
      "service ▶ proxy : tcp 5432-5432",
      "proxy ▶ database : tcp 5432-5432",
      "service ▶ 0.0.0.0/0 : tcp 443-443",
      "admin ▶ database : tcp 5432-5432",
      "admin ▶ 0.0.0.0/0 : tcp 443-443",
    ])
    error_message = "Who may go out is not the chain with proxy and endpoints."
  }

  assert {
    condition     = output.proxy_id == "proxy" && output.endpoints_id == "endpoints"
    error_message = "An output names the wrong security group."
  }
}

run "direct_access_beside_the_proxy" {
  variables {
    rds_proxy_enabled       = true
    rds_proxy_direct_access = true
  }

  assert {
    condition = (
      toset([for rule in aws_vpc_security_group_ingress_rule.database_from_tasks : rule.referenced_security_group_id]) == toset(["service", "admin"])
      && length(aws_vpc_security_group_ingress_rule.database_from_proxy) == 1
      && length(aws_vpc_security_group_egress_rule.service_to_proxy) == 1
    )
    error_message = "Tasks that were started without the proxy must go on reaching the database."
  }
}

run "without_a_database_the_service_reaches_apis_only" {
  variables {
    app_database          = false
    vpc_endpoints_enabled = true
  }

  assert {
    condition = toset([
      for rule in concat(
        values(aws_vpc_security_group_ingress_rule.alb_from_clients),
        [aws_vpc_security_group_ingress_rule.service_from_alb],
        values(aws_vpc_security_group_ingress_rule.database_from_tasks),
        values(aws_vpc_security_group_ingress_rule.endpoints_from_tasks),
      ) : "${rule.security_group_id} ◀ ${coalesce(rule.cidr_ipv4, rule.referenced_security_group_id)} : ${rule.ip_protocol} ${rule.from_port}-${rule.to_port}"
      ]) == toset([
      "alb ◀ 0.0.0.0/0 : tcp 80-80",
      "service ◀ alb : tcp 8000-8000",
      "endpoints ◀ service : tcp 443-443",
    ])
    error_message = "Who may come in without a database."
  }

  assert {
    condition = toset([
      for rule in concat(values(aws_vpc_security_group_egress_rule.tasks_to_database), values(aws_vpc_security_group_egress_rule.tasks_to_apis)) :
      "${rule.security_group_id} ▶ ${coalesce(rule.cidr_ipv4, rule.referenced_security_group_id)} : ${rule.ip_protocol} ${rule.from_port}-${rule.to_port}"
    ]) == toset(["service ▶ 0.0.0.0/0 : tcp 443-443"])
    error_message = "Where the service may go without a database."
  }

  assert {
    condition     = output.admin_id == null && output.database_id == null
    error_message = "Without a database there is neither its group nor that of the admin tasks."
  }
}

run "https_opens_443_for_the_same_clients" {
  variables {
    https_enabled        = true
    network_client_cidrs = ["203.0.113.0/24", "198.51.100.0/24"]
  }

  assert {
    condition = toset([for rule in aws_vpc_security_group_ingress_rule.alb_from_clients : "${rule.cidr_ipv4}:${rule.from_port}"]) == toset([
      "203.0.113.0/24:80", "203.0.113.0/24:443", "198.51.100.0/24:80", "198.51.100.0/24:443",
    ])
    error_message = "HTTPS must open 443 beside 80, for the given clients only."
  }
}

run "client_cidrs_with_host_bits_are_refused" {
  command = plan

  variables {
    network_client_cidrs = ["203.0.113.7/24"]
  }

  expect_failures = [var.network_client_cidrs]
}

run "no_client_cidr_is_refused" {
  command = plan

  variables {
    network_client_cidrs = []
  }

  expect_failures = [var.network_client_cidrs]
}
