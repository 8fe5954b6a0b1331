data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:The zones are named in var.availability_zones; this only asks whether they exist.
  state = "available"

  lifecycle {
    postcondition {
      condition     = length(setsubtract(keys(var.availability_zones), self.names)) == 0
      error_message = "availability_zones names zones that this account does not have in ${var.region}: ${join(", ", setsubtract(keys(var.availability_zones), self.names))}. Choose from ${join(", ", self.names)}."
    }
  }
}
