output "interface_endpoint_ids" {
  description = "Interface endpoints by service, CloudWatch's dimension `VPC Endpoint Id`."
  value       = { for service, endpoint in aws_vpc_endpoint.interface : service => endpoint.id }
}
