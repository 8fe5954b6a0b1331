#!/usr/bin/env bash
# Run everything except the rehearsals, fast parts first. `tests/run.sh tests/unit -k plan` runs a part.
set -euo pipefail
cd "$(dirname "$0")/.."
# As with make: ignore the shell's settings for our tools, and its locale.
unset "${!ANSIBLE_@}" "${!AWS_@}" "${!DOCKER_@}" "${!TF_CLI_@}" "${!TF_VAR_@}" TF_DATA_DIR TF_WORKSPACE
export ANSIBLE_CONFIG=$PWD/ansible.cfg LC_ALL=C.UTF-8

python -m tests.prepare &
prepared=$!
# Once more if it failed, so that the reason is the last line.
prepared() { wait $prepared || python -m tests.prepare; }
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
ansible-playbook -i inventory/local playbooks/_toolchain.yml >/dev/null
export TF_CLI_CONFIG_FILE=$PWD/.local/local/terraform.rc PATH="$PATH:$PWD/.local/bin"

if (($#)); then
  prepared
  python -m pytest --durations=10 "$@"
  exit
fi

# Meanwhile, a fresh machine installs packages and pulls images.
python -m pytest -q --numprocesses 2 --no-loadscope-reorder tests/unit
reports=$(mktemp --directory)
nice -n 10 tests/check.sh >"$reports/check" 2>&1 &
checked=$!
prepared
# The end-to-end deployment takes longest and mostly waits. It gets priority; the other tests use the remaining CPU time.
nice -n 5 python -m pytest --durations=10 --numprocesses 3 --no-loadscope-reorder tests/{local_cloud,terraform,roles,api,fargate_app} >"$reports/others" 2>&1 &
others=$!
python -m pytest --durations=10 --numprocesses 2 --no-loadscope-reorder -m "not rehearsal" tests/e2e || failed=yes
echo "the end-to-end deployment has finished; the reports of the linters and of the other tests follow"
wait $checked || failed=yes
wait $others || failed=yes
cat "$reports"/{check,others}
rm -r "$reports"
[[ -z ${failed-} ]]
