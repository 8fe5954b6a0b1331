data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:The zones are named in var.network_availability_zones; this only asks whether they exist.
  state = "available"

  lifecycle {
    postcondition {
      condition     = length(setsubtract(keys(var.network_availability_zones), self.names)) == 0
      error_message = "network_availability_zones names zones that this account does not have in ${var.aws_region}: ${join(", ", setsubtract(keys(var.network_availability_zones), self.names))}. Choose from ${join(", ", self.names)}."
    }
  }
}
