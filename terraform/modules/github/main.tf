# The roles of GitHub's workflows in this account, without access keys at GitHub: a workflow presents the token that
# GitHub signs for its run, and assumes its own role. The role compares `aud` and `sub` of the token exactly.
# https://docs.github.com/actions/reference/openid-connect-reference

locals {
  issuer       = "token.actions.githubusercontent.com"
  provider_arn = "arn:aws:iam::${var.aws_account_id}:oidc-provider/${local.issuer}"

  # Repositories created or renamed since 2026-07-15 send their IDs besides the names, so that a later owner of the same
  # name is not trusted. Only the form in use is trusted.
  owner = split("/", var.github_repository)[0]
  names = var.github_repository
  ids   = var.github_owner_id == null ? null : "${local.owner}@${var.github_owner_id}/${split("/", var.github_repository)[1]}@${coalesce(var.github_repository_id, 0)}"
  forms = compact([local.ids, local.ids == null || var.github_names_trusted ? local.names : null])

  # The part after `repo:<repository>:` in the workflow's token, and the variable from which the workflow reads its role.
  # It is a variable of one of GitHub's environments, or of the repository (null).
  workflows = merge(
    contains(var.github_environments, var.main_environment) ? {
      build = { contexts = ["ref:refs/heads/main"], variable = "AWS_BUILD_ROLE", settings = [null] }
    } : {},
    contains(var.github_environments, var.cost_environment) ? {
      cost = { contexts = ["environment:cost"], variable = "AWS_COST_ROLE", settings = ["cost"] }
    } : {},
    {
      for name in var.github_environments : "plan-${name}" => {
        # GitHub gives a fork's pull request no token; a pull request of this repository may plan the main environment.
        contexts = concat(["environment:plan-${name}"], name == var.main_environment ? ["pull_request"] : [])
        variable = "AWS_PLAN_ROLE"
        settings = concat(["plan-${name}"], name == var.main_environment ? [null] : [])
      }
    },
    {
      for name in var.github_environments : "deploy-${name}" => {
        contexts = ["environment:${name}"], variable = "AWS_DEPLOY_ROLE", settings = [name]
      }
    },
    {
      for name in var.github_environments : "rollback-${name}" => {
        contexts = ["environment:rollback-${name}"], variable = "AWS_ROLLBACK_ROLE", settings = ["rollback-${name}"]
      }
    },
  )

  # By role: its policy documents.
  rights = merge(
    { for key in ["build"] : key => { build = local.build_rights } if contains(keys(local.workflows), key) },
    { for key in ["cost"] : key => { cost-report = var.github_cost_policy } if contains(keys(local.workflows), key) },
    { for name in var.github_environments : "plan-${name}" => { plan = local.plan_rights[name] } },
    { for name in var.github_environments : "deploy-${name}" => local.deploy_rights[name] },
    { for name in var.github_environments : "rollback-${name}" => { rollback = local.rollback_rights[name] } },
  )
  documents = merge([
    for role, documents in local.rights : {
      for name, document in documents : "${role}/${name}" => { role = role, name = name, document = document }
    }
  ]...)
}

# One per account: a provider of others is used as it is.
resource "aws_iam_openid_connect_provider" "this" {
  count = var.provider_exists ? 0 : 1

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

# Not named `<app>-<environment>-…` like the environment's own roles, because the deploy role may change those.
resource "aws_iam_role" "this" {
  for_each = local.workflows

  name                 = "${var.app_name}-github-${each.key}"
  description          = "GitHub's workflow ${split("-", each.key)[0]} of ${var.github_repository}."
  max_session_duration = 2 * 60 * 60 # as .github/actions/setup asks; a deployment has less
  permissions_boundary = startswith(each.key, "deploy-") ? aws_iam_policy.deploy_boundary[trimprefix(each.key, "deploy-")].arn : null

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = local.provider_arn }
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = flatten([for form in local.forms : [for context in each.value.contexts : "repo:${form}:${context}"]])
        }
      }
    }]
  })

  depends_on = [aws_iam_openid_connect_provider.this]
}

# Managed, not inline: AWS allows 10,240 characters of inline policies per role, fewer than a deployment needs.
resource "aws_iam_policy" "this" {
  for_each = local.documents

  name        = "${var.app_name}-github-${replace(each.key, "/", "-")}"
  description = "What the role ${var.app_name}-github-${each.value.role} may do: ${each.value.name}."
  policy      = each.value.document
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = local.documents

  role       = aws_iam_role.this[each.value.role].name
  policy_arn = aws_iam_policy.this[each.key].arn
}
