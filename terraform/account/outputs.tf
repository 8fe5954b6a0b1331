output "ecr_repository_url" {
  description = "Address of the image repository, without a tag."
  value       = module.ecr.repository_url
}

output "ecr_repository_name" {
  description = "Name of the image repository."
  value       = module.ecr.repository_name
}

output "ecr_repository_arn" {
  description = "ARN of the image repository."
  value       = module.ecr.repository_arn
}
