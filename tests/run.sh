#!/usr/bin/env bash
# Everything but the rehearsals, fast parts first; `tests/run.sh tests/unit -k plan` runs a part.
set -euo pipefail
cd "$(dirname "$0")/.."

python -m tests.prepare &
prepared=$!
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
ansible-playbook -i inventory/local playbooks/toolchain.yml >/dev/null
export TF_CLI_CONFIG_FILE=$PWD/.local/local/terraform.rc PATH="$PATH:$PWD/.local/bin"

if (($#)); then
  wait $prepared
  python -m pytest --durations=10 "$@"
  exit
fi

# On a fresh machine its packages and images come meanwhile.
python -m pytest -q --numprocesses 2 --no-loadscope-reorder tests/unit
checks=$(mktemp)
nice -n 10 tests/check.sh >"$checks" 2>&1 &
checked=$!
wait $prepared
# The road comes first: it is the longest. It, and the local cloud's tests, wait much of their time: four workers on two
# cores, and beside them, at a lower priority, the linters.
python -m pytest --durations=10 --numprocesses 4 --no-loadscope-reorder -m "not rehearsal" tests/e2e/test_{road,refusals}.py tests/local_cloud tests/api tests/terraform tests/roles || failed=yes
wait $checked || failed=yes
cat "$checks"
rm "$checks"
[[ -z ${failed-} ]]
