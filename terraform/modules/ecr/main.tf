resource "aws_ecr_repository" "this" {
  #checkov:skip=CKV_AWS_136:Encrypted with AWS's key; a customer-managed one adds a key policy that can lock a pull out of a deployment.
  name                 = var.name
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.ecr_force_delete

  encryption_configuration {
    encryption_type = "AES256"
  }

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  repository = aws_ecr_repository.this.name

  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "Untagged images after ${var.ecr_untagged_retention_days} days"
      selection = {
        tagStatus   = "untagged"
        countType   = "sinceImagePushed"
        countUnit   = "days"
        countNumber = var.ecr_untagged_retention_days
      }
      action = { type = "expire" }
    }]
  })
}
