#!/usr/bin/env bash
# Run everything except the rehearsals. `tests/run.sh tests/unit -k plan` runs a part.
set -euo pipefail
cd "$(dirname "$0")/.."
# As with make: ignore the shell's settings for our tools, and its locale.
unset "${!ANSIBLE_@}" "${!AWS_@}" "${!DOCKER_@}" "${!TF_CLI_@}" "${!TF_VAR_@}" TF_DATA_DIR TF_WORKSPACE
export ANSIBLE_CONFIG=$PWD/ansible.cfg LC_ALL=C.UTF-8

toolchain=$(ansible-playbook -i inventory/local playbooks/_toolchain.yml) || { echo "$toolchain" >&2 && exit 1; }
export TF_CLI_CONFIG_FILE=$PWD/.local/local/terraform.rc PATH="$PATH:$PWD/.local/bin"

if (($#)); then
  python -m tests.prepare
  python -m pytest --durations=10 "$@"
  exit
fi

reports=$(mktemp --directory)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -r "$reports"' EXIT
# A fresh machine installs packages and pulls images meanwhile. The second caller waits, and finds everything there.
prepare() { flock "$reports" python -m tests.prepare; }

# The end-to-end deployment takes longest and mostly waits: it starts first and has priority. The other tests use the
# remaining CPU time.
{ prepare && exec python -m pytest --durations=10 --numprocesses 2 --no-loadscope-reorder -m "not rehearsal" tests/e2e; } >"$reports/e2e" 2>&1 &
deployed=$!
nice -n 5 python -m pytest -q --numprocesses 2 --no-loadscope-reorder tests/unit || failed=yes
nice -n 10 tests/check.sh >"$reports/check" 2>&1 &
checked=$!
prepare
nice -n 5 python -m pytest --durations=10 --numprocesses 3 --no-loadscope-reorder tests/{local_cloud,terraform,roles,api,fargate_app} || failed=yes
wait $checked || failed=yes
cat "$reports/check"
echo "the linters and the other tests have finished; the report of the end-to-end deployment follows"
wait $deployed || failed=yes
cat "$reports/e2e"
[[ -z ${failed-} ]]
