output "function_name" {
  description = "Name of the query-bot's function."
  value       = module.bot.function_name
}

output "table_name" {
  description = "DynamoDB table of the statements that were posted to Slack."
  value       = aws_dynamodb_table.statements.name
}
