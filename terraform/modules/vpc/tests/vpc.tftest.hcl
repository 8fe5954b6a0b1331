mock_provider "aws" {
  source = "../../tests/mocks"
}

override_resource {
  target = aws_internet_gateway.this
  values = { id = "igw-0123456789abcdef0" }
}

variables {
  name             = "storefront-test"
  network_vpc_cidr = "10.0.0.0/18"
  network_availability_zones = {
    ap-northeast-2a = { public = "10.0.8.0/24", private = "10.0.1.0/24", database = "10.0.4.0/24" }
    ap-northeast-2b = { public = "10.0.9.0/24", private = "10.0.2.0/24", database = "10.0.5.0/24" }
    ap-northeast-2c = { public = "10.0.10.0/24", private = "10.0.3.0/24", database = "10.0.6.0/24" }
  }

  network_nat_gateways     = "single"
  network_flow_logs        = false
  log_retention_days       = 30
  permissions_boundary_arn = null
}

run "defaults" {
  assert {
    condition = (
      { for zone, subnet in aws_subnet.public : zone => subnet.cidr_block } == { ap-northeast-2a = "10.0.8.0/24", ap-northeast-2b = "10.0.9.0/24", ap-northeast-2c = "10.0.10.0/24" }
      && { for zone, subnet in aws_subnet.private : zone => subnet.cidr_block } == { ap-northeast-2a = "10.0.1.0/24", ap-northeast-2b = "10.0.2.0/24", ap-northeast-2c = "10.0.3.0/24" }
      && { for zone, subnet in aws_subnet.database : zone => subnet.cidr_block } == { ap-northeast-2a = "10.0.4.0/24", ap-northeast-2b = "10.0.5.0/24", ap-northeast-2c = "10.0.6.0/24" }
    )
    error_message = "Each zone must have a subnet of each kind with its own range."
  }

  assert {
    condition = alltrue([
      for subnet in concat(values(aws_subnet.public), values(aws_subnet.private), values(aws_subnet.database)) :
      subnet.map_public_ip_on_launch != true
    ])
    error_message = "No subnet may give public addresses by itself."
  }

  assert {
    condition     = length(aws_default_security_group.this.ingress) == 0 && length(aws_default_security_group.this.egress) == 0
    error_message = "The default security group must have no rule."
  }

  assert {
    condition = (
      aws_route.public_internet.gateway_id == "igw-0123456789abcdef0"
      && alltrue([for association in aws_route_table_association.public : association.route_table_id == aws_route_table.public.id])
    )
    error_message = "Public subnets must reach the internet by the internet gateway."
  }

  assert {
    condition = (
      keys(aws_nat_gateway.this) == ["ap-northeast-2a"]
      && aws_nat_gateway.this["ap-northeast-2a"].subnet_id == aws_subnet.public["ap-northeast-2a"].id
      && alltrue([for route in aws_route.private_nat : route.nat_gateway_id == aws_nat_gateway.this["ap-northeast-2a"].id])
      && alltrue([for zone, association in aws_route_table_association.private : association.route_table_id == aws_route_table.private[zone].id])
    )
    error_message = "With one NAT gateway, all private subnets must go through it."
  }

  assert {
    condition = (
      alltrue([for association in aws_route_table_association.database : association.route_table_id == aws_route_table.database.id])
      && length(aws_route_table_association.database) == 3
      && !contains([for route in concat(values(aws_route.private_nat), [aws_route.public_internet]) : route.route_table_id], aws_route_table.database.id)
      && !contains(output.private_route_table_ids, aws_route_table.database.id)
    )
    error_message = "Database subnets must have a table with no route out."
  }

  assert {
    condition = (
      toset(output.private_route_table_ids) == toset([for table in aws_route_table.private : table.id])
      && length(output.private_route_table_ids) == 3
    )
    error_message = "Routes of the private subnets are added to these tables."
  }

  assert {
    condition     = length(aws_flow_log.this) == 0 && length(aws_iam_role.flow_logs) == 0
    error_message = "Flow logs are off unless asked for."
  }

  assert {
    condition     = output.private_subnet_ids == [for zone in ["ap-northeast-2a", "ap-northeast-2b", "ap-northeast-2c"] : aws_subnet.private[zone].id]
    error_message = "Subnet IDs must be in the alphabetical order of the zones."
  }
}

run "nat_gateway_per_zone_and_flow_logs" {
  variables {
    network_nat_gateways = "per_az"
    network_flow_logs    = true
    log_retention_days   = 90
  }

  assert {
    condition = alltrue([
      for zone in keys(var.network_availability_zones) :
      aws_nat_gateway.this[zone].subnet_id == aws_subnet.public[zone].id
      && aws_nat_gateway.this[zone].allocation_id == aws_eip.nat[zone].id
      && aws_route.private_nat[zone].nat_gateway_id == aws_nat_gateway.this[zone].id
    ])
    error_message = "Each zone must have a NAT gateway of its own and route through it."
  }

  assert {
    condition     = aws_flow_log.this[0].traffic_type == "ALL" && aws_cloudwatch_log_group.flow_logs[0].retention_in_days == 90
    error_message = "Flow logs must record all traffic, kept as long as asked."
  }

  assert {
    condition = alltrue([
      for resource in jsondecode(aws_iam_role_policy.flow_logs[0].policy).Statement[0].Resource :
      startswith(resource, aws_cloudwatch_log_group.flow_logs[0].arn)
    ])
    error_message = "The role of the flow logs may write to their log group only."
  }
}

run "values_outside_closed_sets_are_refused" {
  command = plan

  variables {
    network_vpc_cidr     = "10.0.0.1/18"
    network_nat_gateways = "two"
    log_retention_days   = 31
  }

  expect_failures = [var.network_vpc_cidr, var.network_nat_gateways, var.log_retention_days]
}

run "one_zone_is_refused" {
  command = plan

  variables {
    network_availability_zones = {
      ap-northeast-2a = { public = "10.0.8.0/24", private = "10.0.1.0/24", database = "10.0.4.0/24" }
    }
  }

  expect_failures = [var.network_availability_zones]
}

run "two_zones" {
  command = plan

  variables {
    network_availability_zones = {
      ap-northeast-2a = { public = "10.0.8.0/24", private = "10.0.1.0/24", database = "10.0.4.0/24" }
      ap-northeast-2c = { public = "10.0.9.0/24", private = "10.0.2.0/24", database = "10.0.5.0/24" }
    }
    network_nat_gateways = "per_az"
  }

  assert {
    condition = (
      length(aws_subnet.public) == 2 && length(aws_nat_gateway.this) == 2
      && aws_subnet.private["ap-northeast-2c"].cidr_block == "10.0.2.0/24"
      && aws_subnet.database["ap-northeast-2c"].cidr_block == "10.0.5.0/24"
    )
    error_message = "One subnet of each kind and one NAT gateway in each of two zones."
  }
}

run "four_zones_in_another_range" {
  command = plan

  variables {
    network_vpc_cidr = "10.4.0.0/20"
    network_availability_zones = {
      ap-northeast-2a = { public = "10.4.0.0/24", private = "10.4.4.0/24", database = "10.4.8.0/24" }
      ap-northeast-2b = { public = "10.4.1.0/24", private = "10.4.5.0/24", database = "10.4.9.0/24" }
      ap-northeast-2c = { public = "10.4.2.0/24", private = "10.4.6.0/24", database = "10.4.10.0/24" }
      ap-northeast-2d = { public = "10.4.3.0/24", private = "10.4.7.0/24", database = "10.4.11.0/24" }
    }
    network_nat_gateways = "per_az"
  }

  assert {
    condition = (
      length(aws_subnet.public) == 4 && length(aws_subnet.database) == 4 && length(aws_nat_gateway.this) == 4
      && aws_subnet.private["ap-northeast-2d"].cidr_block == "10.4.7.0/24" && aws_vpc.this.cidr_block == "10.4.0.0/20"
    )
    error_message = "One subnet of each kind and one NAT gateway in each of four zones."
  }
}

run "malformed_range_is_refused" {
  command = plan

  variables {
    network_availability_zones = {
      ap-northeast-2a = { public = "10.0.8.0/24", private = "10.0.1.0/24", database = "10.0.4.0/24" }
      ap-northeast-2b = { public = "10.0.9.0/24", private = "10.0.2.5/24", database = "10.0.5.0/24" }
      ap-northeast-2c = { public = "10.0.10.0/24", private = "not a range", database = "10.0.6.0/29" }
    }
  }

  expect_failures = [var.network_availability_zones]
}

run "range_outside_the_vpc_is_refused" {
  command = plan

  variables {
    network_availability_zones = {
      ap-northeast-2a = { public = "10.0.8.0/24", private = "10.0.1.0/24", database = "10.0.4.0/24" }
      ap-northeast-2b = { public = "10.0.9.0/24", private = "10.0.2.0/24", database = "10.0.5.0/24" }
      ap-northeast-2c = { public = "10.0.64.0/24", private = "10.0.3.0/24", database = "10.0.6.0/24" }
    }
  }

  expect_failures = [aws_vpc.this]
}

run "range_larger_than_the_vpc_is_refused" {
  command = plan

  variables {
    network_availability_zones = {
      ap-northeast-2a = { public = "10.0.0.0/16", private = "10.0.1.0/24", database = "10.0.4.0/24" }
      ap-northeast-2b = { public = "10.1.0.0/24", private = "10.0.2.0/24", database = "10.0.5.0/24" }
    }
  }

  expect_failures = [aws_vpc.this]
}

run "overlapping_ranges_are_refused" {
  command = plan

  variables {
    network_availability_zones = {
      ap-northeast-2a = { public = "10.0.8.0/24", private = "10.0.1.0/24", database = "10.0.4.0/24" }
      ap-northeast-2b = { public = "10.0.9.0/24", private = "10.0.2.0/24", database = "10.0.5.0/24" }
      ap-northeast-2c = { public = "10.0.10.0/24", private = "10.0.3.0/24", database = "10.0.3.128/25" }
    }
  }

  expect_failures = [aws_vpc.this]
}
