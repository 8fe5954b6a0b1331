# All allowed connections (requirement A5):
#
#   clients ─80(443)▶ load balancer ─app_port▶ service ─5432▶ database ◀5432─ admin tasks
#                                          service, admin tasks ─443▶ AWS's APIs, Slack
#
# With the proxy:   service ─5432▶ proxy ─5432▶ database, and no other way for the service.
# With VPC endpoints: these take 443 from service and admin tasks.
# Without a database: neither its group, nor that of the admin tasks, nor a rule that names them.
#
# Name resolution needs no rule: security groups do not filter the VPC's own resolver.

locals {
  client_ports = var.https_enabled ? [80, 443] : [80]

  client_rules = {
    for pair in setproduct(local.client_ports, var.network_client_cidrs) :
    "${pair[0]}-${pair[1]}" => { port = pair[0], cidr = pair[1] }
  }

  tasks = merge(
    { service = aws_security_group.service.id },
    { for group in aws_security_group.admin : "admin" => group.id },
  )

  # Tasks that may reach the database without the proxy.
  direct = {
    for name, id in local.tasks : name => id
    if var.app_database && (name != "service" || !var.rds_proxy_enabled || var.rds_proxy_direct_access)
  }
}

resource "aws_security_group" "alb" {
  #checkov:skip=CKV2_AWS_5:Attached by the module alb.
  name        = "${var.name}-alb"
  description = "Load balancer: from clients, to the service only."
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-alb" }
}

resource "aws_security_group" "service" {
  #checkov:skip=CKV2_AWS_5:Attached by the module ecs.
  name        = "${var.name}-service"
  description = "Service tasks: from the load balancer, to the database and AWS APIs."
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-service" }
}

resource "aws_security_group" "admin" {
  #checkov:skip=CKV2_AWS_5:Attached to a one-off task when it is started.
  count = var.app_database ? 1 : 0

  name        = "${var.name}-admin"
  description = "Admin tasks: from nowhere, to the database and AWS APIs."
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-admin" }
}

moved {
  from = aws_security_group.admin
  to   = aws_security_group.admin[0]
}

resource "aws_security_group" "database" {
  #checkov:skip=CKV2_AWS_5:Attached by the module rds.
  count = var.app_database ? 1 : 0

  name        = "${var.name}-database"
  description = "Database: from service and admin tasks, to nowhere."
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-database" }
}

moved {
  from = aws_security_group.database
  to   = aws_security_group.database[0]
}

resource "aws_security_group" "proxy" {
  #checkov:skip=CKV2_AWS_5:Attached by the module rds_proxy.
  count = var.rds_proxy_enabled ? 1 : 0

  name        = "${var.name}-rds-proxy"
  description = "RDS Proxy: from service tasks, to the database only."
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-rds-proxy" }
}

resource "aws_security_group" "endpoints" {
  #checkov:skip=CKV2_AWS_5:Attached by the module endpoints.
  count = var.vpc_endpoints_enabled ? 1 : 0

  name        = "${var.name}-endpoints"
  description = "VPC endpoints: from service and admin tasks, to nowhere."
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-endpoints" }
}

# --- clients → load balancer → service --------------------------------------------------------------

resource "aws_vpc_security_group_ingress_rule" "alb_from_clients" {
  for_each = local.client_rules

  security_group_id = aws_security_group.alb.id
  description       = "Clients"
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_ipv4         = each.value.cidr
}

resource "aws_vpc_security_group_egress_rule" "alb_to_service" {
  security_group_id            = aws_security_group.alb.id
  description                  = "Service"
  ip_protocol                  = "tcp"
  from_port                    = var.app_port
  to_port                      = var.app_port
  referenced_security_group_id = aws_security_group.service.id
}

resource "aws_vpc_security_group_ingress_rule" "service_from_alb" {
  security_group_id            = aws_security_group.service.id
  description                  = "Load balancer"
  ip_protocol                  = "tcp"
  from_port                    = var.app_port
  to_port                      = var.app_port
  referenced_security_group_id = aws_security_group.alb.id
}

# --- service, admin tasks → database ----------------------------------------------------------------

resource "aws_vpc_security_group_egress_rule" "tasks_to_database" {
  for_each = local.direct

  security_group_id            = each.value
  description                  = "Database"
  ip_protocol                  = "tcp"
  from_port                    = var.database_port
  to_port                      = var.database_port
  referenced_security_group_id = aws_security_group.database[0].id
}

resource "aws_vpc_security_group_ingress_rule" "database_from_tasks" {
  for_each = local.direct

  security_group_id            = aws_security_group.database[0].id
  description                  = "From ${each.key} tasks"
  ip_protocol                  = "tcp"
  from_port                    = var.database_port
  to_port                      = var.database_port
  referenced_security_group_id = each.value
}

# --- service → proxy → database -----------------------------------------------------------------------

resource "aws_vpc_security_group_egress_rule" "service_to_proxy" {
  count = var.rds_proxy_enabled ? 1 : 0

  security_group_id            = aws_security_group.service.id
  description                  = "RDS Proxy"
  ip_protocol                  = "tcp"
  from_port                    = var.database_port
  to_port                      = var.database_port
  referenced_security_group_id = aws_security_group.proxy[0].id
}

resource "aws_vpc_security_group_ingress_rule" "proxy_from_service" {
  count = var.rds_proxy_enabled ? 1 : 0

  security_group_id            = aws_security_group.proxy[0].id
  description                  = "From service tasks"
  ip_protocol                  = "tcp"
  from_port                    = var.database_port
  to_port                      = var.database_port
  referenced_security_group_id = aws_security_group.service.id
}

resource "aws_vpc_security_group_egress_rule" "proxy_to_database" {
  count = var.rds_proxy_enabled ? 1 : 0

  security_group_id            = aws_security_group.proxy[0].id
  description                  = "Database"
  ip_protocol                  = "tcp"
  from_port                    = var.database_port
  to_port                      = var.database_port
  referenced_security_group_id = aws_security_group.database[0].id
}

resource "aws_vpc_security_group_ingress_rule" "database_from_proxy" {
  count = var.rds_proxy_enabled ? 1 : 0

  security_group_id            = aws_security_group.database[0].id
  description                  = "From RDS Proxy"
  ip_protocol                  = "tcp"
  from_port                    = var.database_port
  to_port                      = var.database_port
  referenced_security_group_id = aws_security_group.proxy[0].id
}

# --- service, admin tasks → AWS's APIs, Slack -------------------------------------------------------

resource "aws_vpc_security_group_egress_rule" "tasks_to_apis" {
  for_each = local.tasks

  security_group_id = each.value
  description       = "AWS APIs and Slack"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

# The rule above also lets the tasks reach the endpoints: it covers all of 443, because Slack has no fixed addresses.
resource "aws_vpc_security_group_ingress_rule" "endpoints_from_tasks" {
  for_each = var.vpc_endpoints_enabled ? local.tasks : {}

  security_group_id            = aws_security_group.endpoints[0].id
  description                  = "From ${each.key} tasks"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = each.value
}
