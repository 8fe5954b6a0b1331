variable "cluster_name" {
  description = "Cluster of the service."
  type        = string
}

variable "service_name" {
  description = "Service whose number of tasks is scaled."
  type        = string
}

variable "min_tasks" {
  description = "Fewest tasks. Set by a release after it succeeded, not by Terraform."
  type        = number

  validation {
    condition     = var.min_tasks >= 1 && floor(var.min_tasks) == var.min_tasks
    error_message = "min_tasks must be a whole number, 1 or more, for example 2."
  }
}

variable "max_tasks" {
  description = "Most tasks. Terraform sets it once, when the target is made; a release keeps it."
  type        = number

  validation {
    condition     = var.max_tasks >= var.min_tasks && floor(var.max_tasks) == var.max_tasks
    error_message = "max_tasks must be a whole number and at least min_tasks (${var.min_tasks}), for example ${var.min_tasks * 2}."
  }
}

variable "cpu_target_percent" {
  description = "Average CPU of the service that target tracking holds, percent (requirements B1, F1)."
  type        = number
  default     = 60

  validation {
    condition     = var.cpu_target_percent >= 10 && var.cpu_target_percent <= 90
    error_message = "cpu_target_percent must be from 10 to 90, for example 60."
  }
}

variable "scale_out_cooldown_seconds" {
  description = "Seconds after adding tasks before more are added for the same load. About a task's start."
  type        = number
  default     = 60
}

variable "scale_in_cooldown_seconds" {
  description = "Seconds after removing tasks before more are removed."
  type        = number
  default     = 300
}
