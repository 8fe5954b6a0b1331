#!/usr/bin/env bash
# The whole suite, fast parts first: linters and types, then pytest, which also runs molecule, terraform test and the
# whole road on this machine. `tests/run.sh tests/unit -k plan` runs a part.
set -euo pipefail
cd "$(dirname "$0")/.."
if (($# == 0)); then
  tests/check.sh
  set -- tests/unit tests/api tests/terraform tests/local_cloud tests/roles tests/e2e
fi
exec python -m pytest --durations=10 "$@"
