"""The OpenAPI document is the contract: Schemathesis sends what it allows and what it forbids, and checks the answers.

`CONTRACT_SECONDS=3600 tests/run.sh -s tests/api/test_contract.py` runs for an hour, with other requests each time.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fargate_app.test_authentication import Issuer, auth_settings, issuing, token
from tests.fargate_app.test_server import REPOSITORY, service
from tests.support.databases import TestDatabase

_SECONDS = int(os.environ.get("CONTRACT_SECONDS") or 0)
_LIMITS = ["--max-time", str(_SECONDS)] if _SECONDS else ["--max-examples", "25", "--generation-deterministic"]


@pytest.mark.timeout(600 + _SECONDS)
def test_the_answers_are_those_of_the_document(database: TestDatabase, tmp_path: Path) -> None:
    with issuing(Issuer()) as issuer:
        environment = {name.upper(): value for name, value in auth_settings(issuer).items()} | {
            "LOG_LEVEL": "error",
            "METRICS_PERIOD_SECONDS": "86400",
        }
        bearer = token(exp=int(time.time()) + 3600 + _SECONDS)
        with service(database, "settlement.app:from_environment()", **environment) as running:
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "schemathesis.cli"),
                    *("--config-file", Path(__file__).with_name("schemathesis.toml")),
                    *("run", f"http://127.0.0.1:{running.port}/openapi.json"),
                    *("--header", f"Authorization: Bearer {bearer}"),
                    *_LIMITS,
                ],
                cwd=tmp_path,  # it writes a cache
                env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            )
            running.process.terminate()
            running.wait()
            errors = [line for line in running.log() if '"ERROR"' in line]
    assert done.returncode == 0, "its report is above"
    assert not errors  # such as a value that only the database refused
