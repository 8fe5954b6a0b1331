output "recorder_name" {
  description = "The recorder whose items the bot receives."
  value       = local.recorder_name
}

output "function_name" {
  description = "Name of the bot's function."
  value       = module.bot.function_name
}
