#!/usr/bin/env bash
# The whole suite; `tests/run.sh tests/unit -k plan` runs a part.
set -euo pipefail
cd "$(dirname "$0")/.."

python -m tests.prepare
ansible-playbook -i inventory/local playbooks/toolchain.yml >/dev/null
export TF_CLI_CONFIG_FILE=$PWD/.local/local/terraform.rc PATH="$PATH:$PWD/.local/bin"

if (($#)); then
  exec python -m pytest --durations=10 "$@"
fi

# The roads wait most of their time, for Terraform's own polling and for drains, yet must not be late when their moment
# comes. So the rest runs beside them at a lower priority, the fast first; then their output follows. The engine was
# started before: containers, which are asked for their health every few seconds, come before them all.
renice --priority 5 $$ >/dev/null
mapfile -t roads < <(ls -S tests/e2e/test_*.py) # the longest first
output=$(mktemp)
trap 'rm -f "$output"' EXIT
trap 'wait; exit 130' INT
# A shell starts what runs in the background deaf to Ctrl-C.
env --default-signal=INT python -m pytest -rs --durations=10 --numprocesses 4 --no-loadscope-reorder "${roads[@]}" tests/local_cloud >"$output" 2>&1 &

beside() { nice -n 10 "$@" || failed=yes; }
beside python -m pytest -q --numprocesses 2 --no-loadscope-reorder --cov=roles --cov-report= --cov-fail-under=90 tests/unit
beside tests/check.sh
beside python -m pytest -q --numprocesses 2 --no-loadscope-reorder tests/api tests/terraform tests/roles

tail --follow --lines=+1 --pid=$! "$output"
wait $! || failed=yes
[[ -z ${failed-} ]]
