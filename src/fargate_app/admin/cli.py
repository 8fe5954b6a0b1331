"""Administer the database as the master user: `prepare` and `renew` its users, list or terminate `sessions` in an
incident, `survey` a restored database, drop an invalid index that a migration left.

The application has two database users with the same permissions, each with its own secret. The service uses one of
them. `renew` gives the other a new password, and a release then moves the service to it, so no task ever uses a
password that does not work.

It runs as a one-off task of the `<prefix>-admin` family, beside the service. On RDS the master user is not a superuser:
no statement needs more than CREATEROLE and the ownership of the database.

The last line on standard output is the result, one JSON object: `{"schema_head": "0001", "changed": false}`;
`sessions` and `survey` print one object a line. The exit code is 0, or 1 with a line that says why
(`settlement.admin.failures`).
"""

import argparse
import json
import logging.config
import signal
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from fargate_app.admin.connection import master_engine
from fargate_app.admin.drop_index import drop_invalid_index
from fargate_app.admin.failures import AdminError, Stopped, failure
from fargate_app.admin.prepare import prepare
from fargate_app.admin.renew import renew
from fargate_app.admin.secret_store import SecretsManagerSecret
from fargate_app.admin.sessions import EndLimits, sessions
from fargate_app.admin.table_stats import table_stats
from fargate_app.logs import logging_config
from fargate_app.settings import AdminSettings

Lines = Iterator[Mapping[str, Any]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m settlement.admin", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    preparing = commands.add_parser("prepare", help="migrate, create the application's users, write their secrets")
    preparing.set_defaults(run=_prepare)
    renewing = commands.add_parser("renew", help="give the user that the service does not use a new password")
    renewing.add_argument("--secret", required=True, metavar="ARN", help="the user's secret")
    renewing.set_defaults(run=_renew)
    listing = commands.add_parser("sessions", help="list the server's sessions, one JSON object a line")
    listing.add_argument("--end", action="store_true", help="terminate the application's unused sessions and list them")
    listing.add_argument("--idle-in-transaction-seconds", type=_positive, default=30.0, metavar="S")
    listing.add_argument("--idle-seconds", type=_positive, default=600.0, metavar="S")
    listing.add_argument(
        "--idle-above",
        type=float,
        default=0.8,
        metavar="SHARE",
        help="terminate idle sessions while this share of the connections is in use",
    )
    listing.add_argument(
        "--spare-seconds",
        type=_positive,
        default=5.0,
        metavar="S",
        help="then terminate the longest idle until fewer are in use, if idle for this long",
    )
    listing.add_argument(
        "--address", nargs="+", default=[], metavar="IP", help="terminate only sessions from these addresses"
    )
    listing.set_defaults(run=_sessions)
    dropping = commands.add_parser("drop-index", help="drop an invalid index that a migration left")
    dropping.add_argument("name", metavar="SCHEMA.NAME", help="as prepare named it")
    dropping.set_defaults(run=_drop_index)
    surveying = commands.add_parser("survey", help="print table statistics, one JSON object a line")
    surveying.add_argument(
        "--after",
        type=datetime.fromisoformat,
        required=True,
        metavar="TIME",
        help="also count the rows created since then",
    )
    surveying.set_defaults(run=_survey)
    return parser


def _prepare(settings: AdminSettings, _: argparse.Namespace) -> Lines:
    yield asdict(prepare(settings, {user: _secret(arn, settings) for user, arn in settings.app_secret_arns.items()}))


def _renew(settings: AdminSettings, args: argparse.Namespace) -> Lines:
    user = next((user for user, arn in settings.app_secret_arns.items() if arn == args.secret), None)
    if user is None:
        raise AdminError(f"{args.secret} is the secret of none of the application's database users")
    yield asdict(renew(settings, user, _secret(args.secret, settings)))


def _secret(arn: str, settings: AdminSettings) -> SecretsManagerSecret:
    return SecretsManagerSecret(arn, settings.aws_region)


def _sessions(settings: AdminSettings, args: argparse.Namespace) -> Lines:
    limits = EndLimits(
        args.idle_in_transaction_seconds, args.idle_seconds, args.idle_above, args.spare_seconds, args.address
    )
    yield from sessions(settings, limits if args.end else None)


def _drop_index(settings: AdminSettings, args: argparse.Namespace) -> Lines:
    yield asdict(drop_invalid_index(settings, args.name))


def _survey(settings: AdminSettings, args: argparse.Namespace) -> Lines:
    with master_engine(settings).begin() as connection:
        yield from table_stats(connection, args.after)


def _stop(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: the clean-up must not be interrupted
    raise Stopped


def _positive(value: str) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{value} is not a number of seconds above 0")
    return number


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit code."""
    args = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        settings = AdminSettings()
        logging.config.dictConfig(logging_config(settings.log_level))
        for line in args.run(settings, args):
            print(json.dumps(line))
    except (AdminError, SQLAlchemyError, ValidationError, BotoCoreError, ClientError) as error:
        print(json.dumps(failure(error)))
        return 1
    except Stopped:
        print(json.dumps(failure(AdminError("the task was stopped", kind="stopped"))))
        return 1
    return 0
