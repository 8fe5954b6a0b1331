variable "cluster_name" {
  description = "Cluster of the service."
  type        = string
}

variable "service_name" {
  description = "Service whose number of tasks is scaled."
  type        = string
}

variable "app_min_tasks" {
  description = "Fewest tasks. Set by a release after it succeeded, not by Terraform."
  type        = number

  validation {
    condition     = var.app_min_tasks >= 1 && floor(var.app_min_tasks) == var.app_min_tasks
    error_message = "app_min_tasks must be a whole number, 1 or more, for example 2."
  }
}

variable "app_max_tasks" {
  description = "Most tasks. Terraform sets it once, when the target is made; a release keeps it."
  type        = number

  validation {
    condition     = var.app_max_tasks >= var.app_min_tasks && floor(var.app_max_tasks) == var.app_max_tasks
    error_message = "app_max_tasks must be a whole number and at least app_min_tasks (${var.app_min_tasks}), for example ${var.app_min_tasks * 2}."
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

variable "app_scheduled_scaling" {
  description = "Whether the limits are raised around the month's end (requirement B2)."
  type        = bool
}

variable "app_peak_min_tasks" {
  description = "Fewest tasks from three days before a month's end through the 1st. Needed with `app_scheduled_scaling`."
  type        = number

  validation {
    condition = !var.app_scheduled_scaling || try(
      var.app_peak_min_tasks >= var.app_min_tasks && floor(var.app_peak_min_tasks) == var.app_peak_min_tasks, false
    )
    error_message = "app_peak_min_tasks must be a whole number and at least app_min_tasks (${var.app_min_tasks}), for example ${var.app_min_tasks * 2}."
  }
}

variable "app_peak_max_tasks" {
  description = "Most tasks from three days before a month's end through the 1st. Needed with `app_scheduled_scaling`."
  type        = number

  validation {
    condition = !var.app_scheduled_scaling || try(
      var.app_peak_max_tasks >= max(var.app_peak_min_tasks, var.app_max_tasks) && floor(var.app_peak_max_tasks) == var.app_peak_max_tasks, false
    )
    error_message = "app_peak_max_tasks must be a whole number and at least app_peak_min_tasks and app_max_tasks (${var.app_max_tasks}), for example ${var.app_max_tasks * 2}."
  }
}

variable "app_peak_starts_at" {
  description = "Time of day at which the limits go up, three days before a month's end and again on the 1st, `HH:MM` in `app_scaling_timezone`."
  type        = string

  validation {
    condition     = can(regex("^([01][0-9]|2[0-3]):[0-5][0-9]$", var.app_peak_starts_at))
    error_message = "app_peak_starts_at must be HH:MM from \"00:00\" to \"23:59\", in quotes; it is \"${var.app_peak_starts_at}\"."
  }
}

variable "app_peak_ends_at" {
  description = "Time of day at which the limits go down, on the 2nd, `HH:MM` in `app_scaling_timezone`."
  type        = string

  validation {
    condition     = can(regex("^([01][0-9]|2[0-3]):[0-5][0-9]$", var.app_peak_ends_at))
    error_message = "app_peak_ends_at must be HH:MM from \"00:00\" to \"23:59\", in quotes; it is \"${var.app_peak_ends_at}\"."
  }
}

variable "app_scaling_timezone" {
  description = "IANA time zone of the schedule."
  type        = string

  validation {
    condition     = can(regex("^(UTC|[A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+)+)$", var.app_scaling_timezone))
    error_message = "app_scaling_timezone must be the name of an IANA time zone, for example \"Asia/Seoul\" or \"UTC\"; it is \"${var.app_scaling_timezone}\"."
  }
}
