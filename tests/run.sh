#!/usr/bin/env bash
# The whole suite, fast parts first: linters and types, then pytest, which also runs molecule, terraform test and the
# whole road on this machine. `tests/run.sh tests/unit -k plan` runs a part.
set -euo pipefail
cd "$(dirname "$0")/.."

python -m tests.prepare
ansible-playbook -i inventory/local playbooks/toolchain.yml >/dev/null
export TF_CLI_CONFIG_FILE=$PWD/.local/local/terraform.rc PATH="$PATH:$PWD/.local/bin"

if (($# == 0)); then
  # The linters keep one core busy for a minute, the unit tests the other.
  checks=$(mktemp)
  tests/check.sh >"$checks" 2>&1 &
  python -m pytest -q --numprocesses 2 --no-loadscope-reorder --cov=roles --cov-report= --cov-fail-under=90 tests/unit || unit=failed
  wait $! || unit=failed
  cat "$checks"
  rm "$checks"
  [[ ${unit-} != failed ]]
  # The two long roads wait for Terraform's own polling and for drains most of their time: the other files run beside them.
  set -- --numprocesses 3 --no-loadscope-reorder tests/e2e tests/local_cloud tests/api tests/terraform tests/roles
fi
exec python -m pytest --durations=10 "$@"
