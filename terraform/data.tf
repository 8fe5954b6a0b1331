data "aws_availability_zones" "available" {
  state = "available"

  lifecycle {
    postcondition {
      condition     = length(setsubtract(var.availability_zones, self.names)) == 0
      error_message = "availability_zones names zones that this account does not have in ${var.region}: ${join(", ", setsubtract(var.availability_zones, self.names))}. Choose from ${join(", ", self.names)}."
    }
  }
}
