# Permissions of the workflow deploy: a release, and Terraform's writes to the resources of the environment's root. They
# are limited to this environment by name or, where AWS assigns IDs, by the tags that the provider sets on everything.

locals {
  # The resource type that each call creates. Its parent has a statement of its own, since the new resource has no tags yet.
  new = {
    AllocateAddress           = "elastic-ip"
    "AuthorizeSecurityGroup*" = "security-group-rule"
    CreateFlowLogs            = "vpc-flow-log"
    CreateInternetGateway     = "internet-gateway"
    CreateNatGateway          = "natgateway"
    CreateRouteTable          = "route-table"
    CreateSecurityGroup       = "security-group"
    CreateSubnet              = "subnet"
    CreateVpc                 = "vpc"
    CreateVpcEndpoint         = "vpc-endpoint"
  }

  # The original, and the restored instances, whose names contain the second of their data.
  databases = { for name, prefix in local.prefix : name => ["db:${prefix}", "db:${prefix}-????????-??????"] }

  # With enhanced scanning, ECR reads an image's findings from Inspector with the caller's permissions. AWS supports no resource for them.
  # https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-enhanced-iam.html
  inspector = { Sid = "InspectorsFindings", Effect = "Allow", Action = ["inspector2:ListCoverage", "inspector2:ListFindings"], Resource = "*" }

  # RDS assigns its name, and tags it with its instance.
  master_secret = {
    for name, prefix in local.prefix : name => {
      Sid       = "MasterSecretsValue"
      Effect    = "Allow"
      Action    = "secretsmanager:GetSecretValue"
      Resource  = "arn:aws:secretsmanager:${local.here}:secret:rds!db-*"
      Condition = { StringLike = { "aws:ResourceTag/aws:rds:primaryDBInstanceArn" = [for database in local.databases[name] : "arn:aws:rds:${local.here}:${database}"] } }
    }
  }

  # By service, the resources that the environment's root names.
  named = {
    for name, prefix in local.prefix : name => concat(
      [
        "arn:aws:cloudwatch:${local.here}:alarm:${prefix}-*", "arn:aws:cloudwatch::${var.aws_account_id}:dashboard/${prefix}",
        "arn:aws:dynamodb:${local.here}:table/${prefix}-*",
        "arn:aws:ecs:${local.here}:cluster/${prefix}", "arn:aws:ecs:${local.here}:service/${prefix}/*",
        "arn:aws:events:${local.here}:rule/${prefix}-*",
        "arn:aws:lambda:${local.here}:function:${prefix}-*",
        "arn:aws:s3:::${prefix}-alb-logs-*",
        "arn:aws:secretsmanager:${local.here}:secret:${prefix}/*",
        "arn:aws:sns:${local.here}:${prefix}-*",
        "arn:aws:sqs:${local.here}:${prefix}-*",
      ],
      [for kind in ["listener/app/${prefix}", "listener-rule/app/${prefix}", "loadbalancer/app/${prefix}", "targetgroup/${prefix}-*"] : "arn:aws:elasticloadbalancing:${local.here}:${kind}/*"],
      [for end in ["", ":*", "-*", "/*"] : "arn:aws:logs:${local.here}:log-group:*/${prefix}${end}"],
    )
  }

  deploy_rights = {
    for name, prefix in local.prefix : name => {
      release = jsonencode({
        Version = "2012-10-17"
        Statement = concat(local.read_images, local.release_statements[name], [
          {
            Sid      = "WriteState"
            Effect   = "Allow"
            Action   = "s3:PutObject"
            Resource = [for end in ["tfstate", "tfstate.tflock", "tfvars.json"] : "${local.bucket}/${name}/environment.${end}"]
          },
          { Sid = "ReadAppliedVariables", Effect = "Allow", Action = "s3:GetObject", Resource = "${local.bucket}/${name}/environment.tfvars.json" },
          # To verify that running tasks log, and that they have the secrets' current values.
          {
            Sid      = "WhatRunsLogs"
            Effect   = "Allow"
            Action   = "logs:DescribeLogStreams"
            Resource = [for end in ["", ":*", "-*", "/*"] : "arn:aws:logs:${local.here}:log-group:/ecs/${prefix}${end}"]
          },
          {
            Sid      = "WhenASecretChanged"
            Effect   = "Allow"
            Action   = "secretsmanager:ListSecretVersionIds"
            Resource = concat(["arn:aws:secretsmanager:${local.here}:secret:${prefix}/*"], var.app_secret_arns)
          },
          { Sid = "ImagesFindings", Effect = "Allow", Action = "ecr:DescribeImageScanFindings", Resource = local.repository },
          local.inspector,
          local.master_secret[name],
          # AWS supports no resource for deregistering a revision.
          { Sid = "OldRevisions", Effect = "Allow", Action = ["ecs:DeregisterTaskDefinition", "ecs:ListTaskDefinitions"], Resource = "*" },
        ])
      })

      identity = jsonencode({
        Version   = "2012-10-17"
        Statement = local.deploy_identity[name]
      })

      reads = jsonencode({
        Version = "2012-10-17"
        Statement = concat(
          # Besides a plan's reads: what still uses a deleted security group, and whether a DNS record has propagated.
          [{ Sid = "Read", Effect = "Allow", Action = concat(local.reads, ["ec2:DescribeNetworkInterfaces", "route53:GetChange"]), Resource = "*" }],
          [for statement in local.reads_of_names[name] : statement if statement.Sid != "ReadRoles"],
        )
      })

      network = jsonencode({
        Version = "2012-10-17"
        Statement = concat([for action, type in local.new : { Effect = "Allow", Action = "ec2:${action}", Resource = "arn:aws:ec2:${local.here}:${type}/*" }], [
          {
            # Only inside the environment's own resources.
            Sid    = "MakeIn"
            Effect = "Allow"
            Action = [
              "ec2:AssociateRouteTable", "ec2:AttachInternetGateway", "ec2:AuthorizeSecurityGroup*", "ec2:CreateFlowLogs",
              "ec2:CreateNatGateway", "ec2:CreateRoute", "ec2:CreateRouteTable", "ec2:CreateSecurityGroup", "ec2:CreateSubnet",
              "ec2:CreateVpcEndpoint",
            ]
            Resource  = "*"
            Condition = { StringEquals = local.tags[name] }
          },
          {
            Sid    = "Change"
            Effect = "Allow"
            Action = [
              "ec2:CreateTags", "ec2:DeleteFlowLogs", "ec2:DeleteNatGateway", "ec2:DeleteRoute", "ec2:DeleteRouteTable",
              "ec2:DeleteSecurityGroup", "ec2:DeleteSubnet", "ec2:DeleteTags", "ec2:DeleteVpcEndpoints", "ec2:DisassociateAddress",
              "ec2:DisassociateRouteTable", "ec2:ModifySecurityGroupRules", "ec2:ModifySubnetAttribute", "ec2:ModifyVpcAttribute",
              "ec2:ModifyVpcEndpoint", "ec2:ReleaseAddress", "ec2:ReplaceRoute", "ec2:RevokeSecurityGroup*",
            ]
            Resource  = "*"
            Condition = { StringEquals = local.tags[name] }
          },
          # New resources are tagged in the call that creates them; the VPC's default group, which AWS creates, is tagged once.
          { Sid = "TagNew", Effect = "Allow", Action = "ec2:CreateTags", Resource = "*", Condition = { Null = { "ec2:CreateAction" = "false" } } },
          {
            Sid       = "TagDefaultGroup"
            Effect    = "Allow"
            Action    = "ec2:CreateTags"
            Resource  = "arn:aws:ec2:${local.here}:security-group/*"
            Condition = { Null = { "aws:ResourceTag/Environment" = "true" }, StringEquals = { "aws:RequestTag/Environment" = name } }
          },
        ])
      })

      database = jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid    = "ByName"
            Effect = "Allow"
            Action = [
              "rds:AddTagsToResource", "rds:CreateDBInstance", "rds:CreateDBParameterGroup", "rds:CreateDBSubnetGroup",
              "rds:DeleteDBParameterGroup", "rds:DeleteDBSubnetGroup", "rds:ModifyDBInstance", "rds:ModifyDBParameterGroup",
              "rds:ModifyDBSubnetGroup", "rds:RebootDBInstance", "rds:RemoveTagsFromResource", "rds:ResetDBParameterGroup",
              "rds:RestoreDBInstanceFromDBSnapshot", "rds:RestoreDBInstanceToPointInTime",
            ]
            Resource = [
              for kind in concat(local.databases[name], ["og:default:*", "pg:${prefix}-*", "snapshot:${prefix}-*", "snapshot:rds:${prefix}-*", "subgrp:${prefix}"]) :
              "arn:aws:rds:${local.here}:${kind}"
            ]
          },
          # RDS creates the secret of the master password with the permissions of the caller that creates the instance.
          { Sid = "MasterSecret", Effect = "Allow", Action = ["secretsmanager:CreateSecret", "secretsmanager:TagResource"], Resource = "arn:aws:secretsmanager:${local.here}:secret:rds!db-*" },
          # A proxy's target group has no tag; the proxy itself and its instance must belong to the environment.
          { Sid = "ProxyTargets", Effect = "Allow", Action = ["rds:DeregisterDBProxyTargets", "rds:ModifyDBProxyTargetGroup", "rds:RegisterDBProxyTargets"], Resource = concat([for database in local.databases[name] : "arn:aws:rds:${local.here}:${database}"], ["arn:aws:rds:${local.here}:target-group:*"]) },
        ]
      })

      stack = jsonencode({
        Version = "2012-10-17"
        Statement = concat(
          [
            {
              Sid    = "ByName"
              Effect = "Allow"
              Action = [
                "cloudwatch:DeleteAlarms", "cloudwatch:DeleteDashboards", "cloudwatch:PutDashboard", "cloudwatch:PutMetricAlarm",
                "cloudwatch:*TagResource", "dynamodb:CreateTable", "dynamodb:DeleteTable", "dynamodb:UpdateTable",
                "dynamodb:UpdateTimeToLive", "dynamodb:*TagResource", "ecs:CreateCluster", "ecs:CreateService",
                "ecs:PutClusterCapacityProviders", "ecs:UpdateCluster", "ecs:UpdateService", "ecs:*TagResource",
                "elasticloadbalancing:AddTags", "elasticloadbalancing:CreateListener", "elasticloadbalancing:CreateLoadBalancer",
                "elasticloadbalancing:CreateRule", "elasticloadbalancing:CreateTargetGroup", "elasticloadbalancing:DeleteListener",
                "elasticloadbalancing:DeleteRule", "elasticloadbalancing:DeleteTargetGroup", "elasticloadbalancing:ModifyListener*",
                "elasticloadbalancing:ModifyLoadBalancer*", "elasticloadbalancing:ModifyRule", "elasticloadbalancing:ModifyTargetGroup*",
                "elasticloadbalancing:RemoveTags", "elasticloadbalancing:SetSecurityGroups", "elasticloadbalancing:SetSubnets",
                "events:DeleteRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets", "events:*TagResource",
                "lambda:AddPermission", "lambda:CreateFunction", "lambda:DeleteFunction", "lambda:*FunctionEventInvokeConfig",
                "lambda:RemovePermission", "lambda:*TagResource", "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration",
                "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:*RetentionPolicy", "logs:*SubscriptionFilter", "logs:*TagResource",
                "s3:CreateBucket", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock", "s3:PutBucketTagging",
                "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration",
                "secretsmanager:CreateSecret", "secretsmanager:DeleteSecret", "secretsmanager:RestoreSecret",
                "secretsmanager:*TagResource", "secretsmanager:UpdateSecret",
                "sns:CreateTopic", "sns:DeleteTopic", "sns:SetSubscriptionAttributes", "sns:SetTopicAttributes", "sns:Subscribe",
                "sns:*TagResource", "sns:Unsubscribe", "sqs:CreateQueue", "sqs:DeleteQueue", "sqs:SetQueueAttributes", "sqs:*TagQueue",
              ]
              Resource = local.named[name]
            },
            {
              # Resources with IDs instead of names: certificates, the proxy, scaling limits.
              Sid    = "ByTag"
              Effect = "Allow"
              Action = [
                "acm:AddTagsToCertificate", "acm:DeleteCertificate", "application-autoscaling:DeleteS*", "application-autoscaling:Put*",
                "application-autoscaling:*TagResource", "rds:AddTagsToResource", "rds:ModifyDBProxy", "rds:RemoveTagsFromResource",
              ]
              Resource  = "*"
              Condition = { StringEquals = local.tags[name] }
            },
            {
              Sid       = "MakeTagged"
              Effect    = "Allow"
              Action    = ["acm:AddTagsToCertificate", "application-autoscaling:RegisterScalableTarget", "application-autoscaling:TagResource", "rds:AddTagsToResource"]
              Resource  = ["arn:aws:acm:${local.here}:certificate/*", "arn:aws:application-autoscaling:${local.here}:scalable-target/*", "arn:aws:rds:${local.here}:db-proxy:*"]
              Condition = { StringEquals = { "aws:RequestTag/Application" = var.app_name, "aws:RequestTag/Environment" = name }, Null = { "aws:ResourceTag/Environment" = "true" } }
            },
            {
              # AWS supports no resource for these: they create it.
              Sid       = "MakeTaggedUnnamed"
              Effect    = "Allow"
              Action    = ["acm:RequestCertificate", "rds:CreateDBProxy"]
              Resource  = "*"
              Condition = { StringEquals = { "aws:RequestTag/Application" = var.app_name, "aws:RequestTag/Environment" = name } }
            },
            {
              # Application Auto Scaling creates a policy's alarms with the permissions of the caller that sets the policy.
              Sid      = "AlarmsOfScaling"
              Effect   = "Allow"
              Action   = ["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm"]
              Resource = "arn:aws:cloudwatch:${local.here}:alarm:TargetTracking-service/${prefix}/*"
            },
            {
              # Resources of AWS: the key of the master user's secret, the hosted zone of an endpoint's private name.
              Sid      = "Unnamed"
              Effect   = "Allow"
              Action   = ["kms:DescribeKey", "logs:DeleteResourcePolicy", "logs:PutResourcePolicy", "route53:AssociateVPCWithHostedZone"]
              Resource = "*"
            },
          ],
          var.https_hosted_zone_id == null ? [] : [
            { Sid = "Records", Effect = "Allow", Action = "route53:ChangeResourceRecordSets", Resource = "arn:aws:route53:::hostedzone/${var.https_hosted_zone_id}" },
          ],
        )
      })
    }
  }

  # The environment's own roles: created only with the boundary, and passed to AWS's services only.
  boundary_arn = { for name, prefix in local.prefix : name => "arn:aws:iam::${var.aws_account_id}:policy/${var.app_name}-github-boundary-${name}" }
  deploy_identity = {
    for name, prefix in local.prefix : name => [
      [for statement in local.reads_of_names[name] : statement if statement.Sid == "ReadRoles"][0],
      {
        Sid       = "RolesWithTheBoundary"
        Effect    = "Allow"
        Action    = ["iam:CreateRole", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"]
        Resource  = "arn:aws:iam::${var.aws_account_id}:role/${prefix}-*"
        Condition = { StringEquals = { "iam:PermissionsBoundary" = local.boundary_arn[name] } }
      },
      {
        Sid    = "RolesOfTheEnvironment"
        Effect = "Allow"
        Action = [
          "iam:DeleteRole", "iam:ListInstanceProfilesForRole", "iam:SimulatePrincipalPolicy", "iam:TagRole", "iam:UntagRole",
          "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
        ]
        Resource = "arn:aws:iam::${var.aws_account_id}:role/${prefix}-*"
      },
      {
        Sid       = "PassRoles"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = "arn:aws:iam::${var.aws_account_id}:role/${prefix}-*"
        Condition = { StringEquals = { "iam:PassedToService" = ["ecs.amazonaws.com", "ecs-tasks.amazonaws.com", "lambda.amazonaws.com", "rds.amazonaws.com", "vpc-flow-logs.amazonaws.com"] } }
      },
    ]
  }
}
