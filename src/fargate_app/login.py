"""Log in to the database with the credentials that this task was given: `python -m settlement.login`.

Run as a one-off task of the service's own task definition, it shows whether the service's tasks can log in. No
credential leaves the task. The only line on standard output is the result, one JSON object:
`{"user": "settlement_app"}` with exit code 0, or `{"error": "…"}` with exit code 1.
"""

import json
import sys

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from fargate_app.database import single_use_engine
from fargate_app.settings import Settings


def main() -> int:
    """Log in once. Returns the exit code."""
    try:
        settings = Settings()
        with single_use_engine(settings, settings.database_user, settings.database_password).connect():
            print(json.dumps({"user": settings.database_user}))
    except (SQLAlchemyError, ValidationError) as error:
        # Both hide inputs and parameters; the server's message names only the user and the host.
        print(json.dumps({"error": str(getattr(error, "orig", None) or error)}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
