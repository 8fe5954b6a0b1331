mock_provider "aws" {
  source = "../tests/mocks"
}

variables {
  app_name   = "settlement"
  account_id = "123456789012"
}

run "defaults" {
  assert {
    condition = output.ecr_repository_name == "settlement" && toset(keys(aws_iam_service_linked_role.this)) == toset([
      "config.amazonaws.com", "ecs.amazonaws.com", "ecs.application-autoscaling.amazonaws.com", "elasticloadbalancing.amazonaws.com", "rds.amazonaws.com",
    ])
    error_message = "The account has one repository, named as the application, and the service-linked roles of what the environments use."
  }
}

# (A mocked provider cannot import, so adoption itself is tried on the local environment.)
run "existing_roles_are_found_by_their_service" {
  command = plan

  override_data {
    target = data.aws_iam_roles.service_linked
    values = {
      arns = ["arn:aws:iam::123456789012:role/aws-service-role/support.amazonaws.com/AWSServiceRoleForSupport"]
    }
  }

  assert {
    condition     = length(local.existing_service_linked_roles) == 0
    error_message = "Roles of other services are not this application's to adopt."
  }
}

run "values_of_a_wrong_form_are_refused" {
  command = plan

  variables {
    app_name   = "Settlement"
    region     = "Seoul"
    account_id = "12345"
  }

  expect_failures = [var.app_name, var.region, var.account_id]
}
