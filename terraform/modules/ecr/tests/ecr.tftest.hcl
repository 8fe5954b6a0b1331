mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name = "storefront"

  ecr_untagged_retention_days = 14
  ecr_force_delete            = false
}

run "defaults" {
  command = plan

  assert {
    condition = (
      aws_ecr_repository.this.image_tag_mutability == "IMMUTABLE"
      && aws_ecr_repository.this.image_scanning_configuration[0].scan_on_push
      && aws_ecr_repository.this.force_delete == false
      && aws_ecr_repository.this.encryption_configuration[0].encryption_type == "AES256"
    )
    error_message = "Tags are immutable, images scanned when pushed, and a repository with images is not deleted (requirement A7)."
  }

  assert {
    condition = (
      length(jsondecode(aws_ecr_lifecycle_policy.this.policy).rules) == 1
      && jsondecode(aws_ecr_lifecycle_policy.this.policy).rules[0].selection.tagStatus == "untagged"
      && jsondecode(aws_ecr_lifecycle_policy.this.policy).rules[0].selection.countNumber == 14
    )
    error_message = "Only untagged images expire: another rule could delete the running image."
  }
}

run "values_of_a_wrong_form_are_refused" {
  command = plan

  variables {
    name                        = "Storefront"
    ecr_untagged_retention_days = 0
  }

  expect_failures = [var.name, var.ecr_untagged_retention_days]
}
