output "function_name" {
  description = "Name of the rotation-bot's function."
  value       = module.bot.function_name
}
