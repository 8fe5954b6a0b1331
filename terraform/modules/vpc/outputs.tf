output "vpc_id" {
  description = "ID of the VPC."
  value       = aws_vpc.this.id
}

output "public_subnet_ids" {
  description = "IDs of the public subnets, in the alphabetical order of the zones."
  value       = [for zone in local.zones : aws_subnet.public[zone].id]
}

output "private_route_table_ids" {
  description = "IDs of the private subnets' route tables, in the alphabetical order of the zones."
  value       = [for zone in local.zones : aws_route_table.private[zone].id]
}

output "private_subnet_ids" {
  description = "IDs of the private subnets, in the alphabetical order of the zones. A task there reaches AWS's APIs once the NAT routes exist."
  value       = [for zone in local.zones : aws_subnet.private[zone].id]

  depends_on = [aws_route.private_nat, aws_route_table_association.private]
}

output "database_subnet_ids" {
  description = "IDs of the database subnets, in the alphabetical order of the zones."
  value       = [for zone in local.zones : aws_subnet.database[zone].id]

  depends_on = [aws_route_table_association.database]
}
