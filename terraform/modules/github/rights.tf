# Permissions of each workflow except deploy: the calls of its playbook's roles, and the provider's reads.

locals {
  prefix = { for name in var.github_environments : name => "${var.app_name}-${name}" }
  tags   = { for name in var.github_environments : name => { "aws:ResourceTag/Application" = var.app_name, "aws:ResourceTag/Environment" = name } }

  here       = "${var.aws_region}:${var.aws_account_id}"
  repository = "arn:aws:ecr:${local.here}:repository/${var.ecr_repository_name}"
  bucket     = "arn:aws:s3:::${var.state_bucket}"

  # Without it S3 answers "forbidden" for an object that does not exist.
  list_state = { Sid = "ListState", Effect = "Allow", Action = "s3:ListBucket", Resource = local.bucket }

  read_images = [
    { Sid = "RegistryToken", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" },
    {
      Sid      = "ReadImages"
      Effect   = "Allow"
      Action   = ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"]
      Resource = local.repository
    },
  ]

  build_rights = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.read_images, [{
      Sid    = "PushImages"
      Effect = "Allow"
      Action = [
        "ecr:BatchCheckLayerAvailability",
        "ecr:CompleteLayerUpload",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
      ]
      Resource = local.repository
    }])
  })

  # The provider's reads of existing resources. AWS supports no resource for most of them. None returns a secret's value.
  reads = [
    "acm:DescribeCertificate", "acm:ListTagsForCertificate",
    "application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingPolicies",
    "application-autoscaling:DescribeScheduledActions", "application-autoscaling:ListTagsForResource",
    "cloudwatch:DescribeAlarms", "cloudwatch:GetDashboard", "cloudwatch:ListTagsForResource",
    "dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:ListTagsOfResource",
    "ec2:DescribeAddresses", "ec2:DescribeAddressesAttribute", "ec2:DescribeAvailabilityZones", "ec2:DescribeFlowLogs",
    "ec2:DescribeInternetGateways", "ec2:DescribeNatGateways", "ec2:DescribeNetworkAcls", "ec2:DescribePrefixLists",
    "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroupRules", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
    "ec2:DescribeVpcAttribute", "ec2:DescribeVpcEndpoints", "ec2:DescribeVpcs",
    "ecs:DescribeClusters", "ecs:DescribeServices", "ecs:DescribeTaskDefinition", "ecs:ListTagsForResource",
    "elasticloadbalancing:DescribeCapacityReservation", "elasticloadbalancing:DescribeListenerAttributes",
    "elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeLoadBalancerAttributes",
    "elasticloadbalancing:DescribeLoadBalancers", "elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroupAttributes", "elasticloadbalancing:DescribeTargetGroups",
    "events:DescribeRule", "events:ListTagsForResource", "events:ListTargetsByRule",
    "logs:DescribeLogGroups", "logs:DescribeResourcePolicies", "logs:DescribeSubscriptionFilters", "logs:ListTagsForResource",
    "rds:DescribeDBInstances", "rds:DescribeDBParameterGroups", "rds:DescribeDBParameters", "rds:DescribeDBProxies",
    "rds:DescribeDBProxyTargetGroups", "rds:DescribeDBProxyTargets", "rds:DescribeDBSubnetGroups", "rds:ListTagsForResource",
    "route53:GetHostedZone", "route53:ListResourceRecordSets",
    "sns:GetSubscriptionAttributes", "sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "sns:ListTagsForResource",
    "sqs:GetQueueAttributes", "sqs:ListQueueTags",
  ]

  # Reads that AWS can limit to a resource, and that return content: policies, code.
  reads_of_names = {
    for name, prefix in local.prefix : name => [
      {
        Sid      = "ReadRoles"
        Effect   = "Allow"
        Action   = ["iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies"]
        Resource = "arn:aws:iam::${var.aws_account_id}:role/${prefix}-*"
      },
      {
        Sid    = "ReadFunctions"
        Effect = "Allow"
        Action = [
          "lambda:GetFunction", "lambda:GetFunctionCodeSigningConfig", "lambda:GetFunctionEventInvokeConfig",
          "lambda:GetPolicy", "lambda:ListVersionsByFunction",
        ]
        Resource = "arn:aws:lambda:${local.here}:function:${prefix}-*"
      },
      {
        Sid      = "ReadSecretsButNoValue"
        Effect   = "Allow"
        Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy"]
        Resource = concat(["arn:aws:secretsmanager:${local.here}:secret:${prefix}/*"], var.app_secret_arns)
      },
      {
        Sid    = "ReadBuckets"
        Effect = "Allow"
        Action = [
          "s3:GetAccelerateConfiguration", "s3:GetBucketAcl", "s3:GetBucketCORS", "s3:GetBucketLogging",
          "s3:GetBucketObjectLockConfiguration", "s3:GetBucketPolicy", "s3:GetBucketPublicAccessBlock",
          "s3:GetBucketRequestPayment", "s3:GetBucketTagging", "s3:GetBucketVersioning", "s3:GetBucketWebsite",
          "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration", "s3:ListBucket",
        ]
        Resource = "arn:aws:s3:::${prefix}-alb-logs-*"
      },
    ]
  }

  plan_rights = {
    for name, prefix in local.prefix : name => jsonencode({
      Version = "2012-10-17"
      Statement = concat(
        # The image and the ledger say what would be released, with which migrations.
        local.read_images,
        [
          { Sid = "Read", Effect = "Allow", Action = local.reads, Resource = "*" },
          local.list_state,
          # Before the first deployment: whether there was a state.
          { Sid = "ListStateVersions", Effect = "Allow", Action = "s3:ListBucketVersions", Resource = local.bucket },
          {
            # The second holds the values of the last apply, to report what differs.
            Sid      = "ReadState"
            Effect   = "Allow"
            Action   = "s3:GetObject"
            Resource = concat([for end in ["tfstate", "tfvars.json"] : "${local.bucket}/${name}/environment.${end}"], ["${local.bucket}/ledger/${name}/*"])
          },
          {
            # Whatever is added to this role: the author of a pull request decides which code runs with it.
            Sid    = "NoSecretsValue"
            Effect = "Deny"
            Action = [
              "kms:Decrypt", "rds-db:connect", "secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue",
              "ssm:GetParameter", "ssm:GetParameterHistory", "ssm:GetParameters", "ssm:GetParametersByPath",
            ]
            Resource = "*"
          },
        ],
        local.reads_of_names[name],
      )
    })
  }

  # Of a rollback and of a release: lock and ledger, the service's revisions and scaling limits, the message to Slack.
  release_statements = {
    for name, prefix in local.prefix : name => [
      local.list_state,
      { Sid = "ReadState", Effect = "Allow", Action = "s3:GetObject", Resource = "${local.bucket}/${name}/environment.tfstate" },
      {
        Sid      = "LockAndLedger"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = ["${local.bucket}/locks/${name}.json", "${local.bucket}/ledger/${name}/*"]
      },
      {
        # Left by a killed run.
        Sid      = "StateLock"
        Effect   = "Allow"
        Action   = ["s3:DeleteObject", "s3:GetObject"]
        Resource = "${local.bucket}/${name}/environment.tfstate.tflock"
      },
      {
        Sid    = "Read"
        Effect = "Allow"
        Action = [
          "application-autoscaling:DescribeScalableTargets", "cloudwatch:DescribeAlarms", "ec2:DescribeAvailabilityZones",
          "ecs:DescribeTaskDefinition", "elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeTargetGroups",
          "elasticloadbalancing:DescribeTargetHealth",
        ]
        Resource = "*"
      },
      {
        # The status at the end of a run shows it.
        Sid      = "ZonalShift"
        Effect   = "Allow"
        Action   = "arc-zonal-shift:GetManagedResource"
        Resource = "arn:aws:elasticloadbalancing:${local.here}:loadbalancer/app/${prefix}/*"
      },
      {
        # A revision can use only the roles below, which belong to the environment.
        Sid      = "Revisions"
        Effect   = "Allow"
        Action   = ["ecs:RegisterTaskDefinition", "ecs:TagResource"]
        Resource = [for end in ["", ":*", "-*"] : "arn:aws:ecs:${local.here}:task-definition/${prefix}${end}"]
      },
      {
        Sid    = "Service"
        Effect = "Allow"
        Action = [
          "ecs:ContinueServiceDeployment", "ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions",
          "ecs:DescribeServices", "ecs:DescribeTasks", "ecs:ListServiceDeployments", "ecs:StopServiceDeployment",
          "ecs:UpdateService",
        ]
        Resource = [
          "arn:aws:ecs:${local.here}:service/${prefix}/*",
          "arn:aws:ecs:${local.here}:service-deployment/${prefix}/*",
          "arn:aws:ecs:${local.here}:service-revision/${prefix}/*",
          "arn:aws:ecs:${local.here}:task/${prefix}/*",
        ]
      },
      {
        # A release prepares the database; a release and a rollback free connections if there are none for the new tasks.
        Sid       = "AdminTasks"
        Effect    = "Allow"
        Action    = ["ecs:RunTask", "ecs:StopTask"]
        Resource  = ["arn:aws:ecs:${local.here}:task-definition/${prefix}-admin:*", "arn:aws:ecs:${local.here}:task/${prefix}/*"]
        Condition = { ArnEquals = { "ecs:cluster" = "arn:aws:ecs:${local.here}:cluster/${prefix}" } }
      },
      {
        # AWS can limit the listing only by its cluster.
        Sid       = "ListTasks"
        Effect    = "Allow"
        Action    = "ecs:ListTasks"
        Resource  = "*"
        Condition = { ArnEquals = { "ecs:cluster" = "arn:aws:ecs:${local.here}:cluster/${prefix}" } }
      },
      {
        Sid       = "ScalingLimits"
        Effect    = "Allow"
        Action    = "application-autoscaling:RegisterScalableTarget"
        Resource  = "arn:aws:application-autoscaling:${local.here}:scalable-target/*"
        Condition = { StringEquals = local.tags[name] }
      },
      {
        Sid      = "WhyATaskStopped"
        Effect   = "Allow"
        Action   = "logs:GetLogEvents"
        Resource = [for end in [":*", "-*", "/*"] : "arn:aws:logs:${local.here}:log-group:/ecs/${prefix}${end}"]
      },
      {
        # Slack's webhook, and the tasks' secrets, whose values and keys are checked before anything changes. A caller that
        # may run a revision with the execution role could read them that way too.
        Sid      = "SecretsOfTheTasks"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = concat(["arn:aws:secretsmanager:${local.here}:secret:${prefix}/*"], var.app_secret_arns)
      },
    ]
  }

  rollback_rights = {
    for name, prefix in local.prefix : name => jsonencode({
      Version = "2012-10-17"
      Statement = concat(local.release_statements[name], [
        { Sid = "ImageIsThere", Effect = "Allow", Action = "ecr:DescribeImages", Resource = local.repository },
        { Sid = "RolesAreThere", Effect = "Allow", Action = "iam:GetRole", Resource = "arn:aws:iam::${var.aws_account_id}:role/${prefix}-*" },
        { Sid = "LogGroupsAreThere", Effect = "Allow", Action = "logs:DescribeLogGroups", Resource = "*" },
        {
          Sid       = "PassTaskRoles"
          Effect    = "Allow"
          Action    = "iam:PassRole"
          Resource  = "arn:aws:iam::${var.aws_account_id}:role/${prefix}-*"
          Condition = { StringEquals = { "iam:PassedToService" = ["ecs.amazonaws.com", "ecs-tasks.amazonaws.com"] } }
        },
      ])
    })
  }
}
