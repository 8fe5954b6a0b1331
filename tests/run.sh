#!/usr/bin/env bash
# Everything but the rehearsals, fast parts first; `tests/run.sh tests/unit -k plan` runs a part.
set -euo pipefail
cd "$(dirname "$0")/.."
# As with make: what the shell says of our tools, and its locale, do not count.
unset "${!ANSIBLE_@}" "${!AWS_@}" "${!DOCKER_@}" "${!TF_CLI_@}" "${!TF_VAR_@}" TF_DATA_DIR TF_WORKSPACE
export ANSIBLE_CONFIG=$PWD/ansible.cfg LC_ALL=C.UTF-8

python -m tests.prepare &
prepared=$!
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
ansible-playbook -i inventory/local playbooks/_toolchain.yml >/dev/null
export TF_CLI_CONFIG_FILE=$PWD/.local/local/terraform.rc PATH="$PATH:$PWD/.local/bin"

if (($#)); then
  wait $prepared
  python -m pytest --durations=10 "$@"
  exit
fi

# On a fresh machine its packages and images come meanwhile.
python -m pytest -q --numprocesses 2 --no-loadscope-reorder tests/unit
reports=$(mktemp --directory)
nice -n 10 tests/check.sh >"$reports/check" 2>&1 &
checked=$!
wait $prepared
# The road is the longest, and waits much of its time: it goes first, and what else there is takes what it leaves.
nice -n 5 python -m pytest --durations=10 --numprocesses 3 --no-loadscope-reorder tests/{local_cloud,terraform,roles,api} >"$reports/others" 2>&1 &
others=$!
python -m pytest --durations=10 --numprocesses 2 --no-loadscope-reorder -m "not rehearsal" tests/e2e || failed=yes
echo "the road is walked; the report of the other tests and of the linters follows as they end"
wait $checked || failed=yes
wait $others || failed=yes
cat "$reports"/{check,others}
rm -r "$reports"
[[ -z ${failed-} ]]
