"""A check of the application's, beside those of Schemathesis, which imports this module (schemathesis.toml)."""

from http import HTTPStatus
from typing import Any

import schemathesis

#: Problem types of the rules that need the database, which JSON Schema cannot express.
_RULES = ("invalid-cursor", "currency-mismatch")


@schemathesis.check
def valid_data_is_accepted(
    _: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """Raise AssertionError for a 422 to a request that the document allows."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if response.status_code != HTTPStatus.UNPROCESSABLE_ENTITY or response.json()["type"].endswith(_RULES):
        return
    # For JSON Schema 70.0 is an integer. The service refuses it: money in floating point is a mistake of the client.
    if isinstance(case.body, dict) and isinstance(case.body.get("amount"), float):
        return
    raise AssertionError(f"Valid data was refused: {response.text}")
