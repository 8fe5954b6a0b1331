# Public subnets hold the load balancer and the NAT gateways, private ones the tasks, database ones the
# database. Only the first two have a way to the internet.

locals {
  public_subnets   = { for zone, ranges in var.network_availability_zones : zone => ranges.public }
  private_subnets  = { for zone, ranges in var.network_availability_zones : zone => ranges.private }
  database_subnets = { for zone, ranges in var.network_availability_zones : zone => ranges.database }

  # A map's keys are sorted: the order in which the zones are given has no effect.
  zones     = keys(var.network_availability_zones)
  nat_zones = var.network_nat_gateways == "per_az" ? local.zones : slice(local.zones, 0, 1)

  ranges = [for cidr in flatten([for ranges in var.network_availability_zones : values(ranges)]) : {
    cidr    = cidr
    address = split("/", cidr)[0]
    prefix  = tonumber(split("/", cidr)[1])
  }]

  # A range lies inside the VPC when the network around it, at the VPC's prefix length, is the VPC.
  vpc_prefix = tonumber(split("/", var.network_vpc_cidr)[1])
  outside_vpc = [
    for range in local.ranges : range.cidr
    if range.prefix < local.vpc_prefix || cidrsubnet("${range.address}/${local.vpc_prefix}", 0, 0) != var.network_vpc_cidr
  ]

  # Two ranges overlap when the networks around them, at the shorter of their prefix lengths, are the same.
  overlapping = [
    for pair in setproduct(range(length(local.ranges)), range(length(local.ranges))) :
    "${local.ranges[pair[0]].cidr} and ${local.ranges[pair[1]].cidr}"
    if pair[0] < pair[1] && length(distinct([
      for i in pair :
      cidrsubnet("${local.ranges[i].address}/${min(local.ranges[pair[0]].prefix, local.ranges[pair[1]].prefix)}", 0, 0)
    ])) == 1
  ]
}

resource "aws_vpc" "this" {
  cidr_block           = var.network_vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }

  # Not validations of the variable, because those cannot use locals (a cycle).
  lifecycle {
    precondition {
      condition     = length(local.outside_vpc) == 0
      error_message = "Each range in network_availability_zones must lie inside the VPC's ${var.network_vpc_cidr}, as \"10.0.1.0/24\" lies inside \"10.0.0.0/18\"; outside it: ${join(", ", local.outside_vpc)}."
    }

    precondition {
      condition     = length(local.overlapping) == 0
      error_message = "The ranges in network_availability_zones must not overlap, as \"10.0.1.0/24\" and \"10.0.1.128/25\" do; overlapping: ${join("; ", local.overlapping)}."
    }
  }
}

# Adopted to keep it empty: a resource without a named security group must not be reachable.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-default-unused" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id

  tags = { Name = var.name }
}

# --- public -----------------------------------------------------------------------------------------

resource "aws_subnet" "public" {
  for_each = local.public_subnets

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value

  tags = { Name = "${var.name}-public-${each.key}" }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-public" }
}

resource "aws_route" "public_internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  for_each = aws_subnet.public

  subnet_id      = each.value.id
  route_table_id = aws_route_table.public.id
}

resource "aws_eip" "nat" {
  for_each = toset(local.nat_zones)

  domain = "vpc"

  tags = { Name = "${var.name}-nat-${each.key}" }

  # AWS: an elastic address in a VPC may need the internet gateway to exist first.
  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "this" {
  for_each = toset(local.nat_zones)

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id

  tags = { Name = "${var.name}-${each.key}" }

  depends_on = [aws_internet_gateway.this]
}

# --- private ----------------------------------------------------------------------------------------

resource "aws_subnet" "private" {
  for_each = local.private_subnets

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value

  tags = { Name = "${var.name}-private-${each.key}" }
}

# One table per zone whatever the number of NAT gateways, so that changing the number only changes routes.
resource "aws_route_table" "private" {
  for_each = local.private_subnets

  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_route" "private_nat" {
  for_each = aws_route_table.private

  route_table_id         = each.value.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[var.network_nat_gateways == "per_az" ? each.key : local.nat_zones[0]].id
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private[each.key].id
}

# --- database ---------------------------------------------------------------------------------------

resource "aws_subnet" "database" {
  for_each = local.database_subnets

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value

  tags = { Name = "${var.name}-database-${each.key}" }
}

# No route of its own: only the VPC's local one. Subnets without an explicit table would take the main one.
resource "aws_route_table" "database" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-database" }
}

resource "aws_route_table_association" "database" {
  for_each = aws_subnet.database

  subnet_id      = each.value.id
  route_table_id = aws_route_table.database.id
}
