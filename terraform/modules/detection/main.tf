# AWS allows one recorder and one delivery channel per account and region. A recorder of others is used as it is: taking
# it over would narrow what it records for them.
locals {
  own_recorder  = var.existing_config_recorder == null || var.existing_config_recorder == var.name
  own_channel   = local.own_recorder && (var.existing_config_delivery_channel == null || var.existing_config_delivery_channel == var.name)
  recorder_name = local.own_recorder ? var.name : var.existing_config_recorder
}

resource "aws_config_configuration_recorder" "this" {
  #checkov:skip=CKV2_AWS_48:The types that cost money are recorded: each recorded item is paid for (requirement H4).
  count = local.own_recorder ? 1 : 0

  name = var.name
  # The service-linked role may read everything that can be recorded, and AWS keeps its permissions up to date.
  role_arn = var.role_arn

  recording_group {
    all_supported  = false
    resource_types = var.detection_resource_types

    recording_strategy {
      use_only = "INCLUSION_BY_RESOURCE_TYPES"
    }
  }

  # Daily recording would report a resource a day late.
  recording_mode {
    recording_frequency = "CONTINUOUS"
  }
}

# A recorder starts only with a channel, though nothing here reads what is delivered.
resource "aws_config_delivery_channel" "this" {
  count = local.own_channel ? 1 : 0

  name           = var.name
  s3_bucket_name = var.config_delivery_bucket

  depends_on = [aws_config_configuration_recorder.this]
}

resource "aws_config_configuration_recorder_status" "this" {
  #checkov:skip=CKV2_AWS_45:As the recorder's own: chosen types.
  count = local.own_recorder ? 1 : 0

  name       = aws_config_configuration_recorder.this[0].name
  is_enabled = true

  depends_on = [aws_config_delivery_channel.this]
}
