# The service-linked roles that the account has already.
data "aws_iam_roles" "service_linked" {
  path_prefix = "/aws-service-role/"
}
