"""Administer the database as the master user: `prepare` and `renew` its users, list or terminate `sessions` in an
incident, `survey` a restored database, drop an invalid index that a migration left.

The application has two database users with the same permissions, each with its own secret. The service uses one of
them. `renew` gives the other a new password, and a release then moves the service to it, so no task ever uses a
password that does not work.

It runs as a one-off task of the `<prefix>-admin` family, beside the service. On RDS the master user is not a superuser:
no statement needs more than CREATEROLE and the ownership of the database. Two commands need no master user: `login`
runs with the service's credentials in its own task definition, and `schema` in the image's build.

The last line on standard output is the result, one JSON object: `{"schema_head": "0001", "changed": false}`;
`sessions` and `survey` print one object a line. The exit code is 0, or 1 with a line that says why
(`fargate_app.admin.failures`).
"""

import argparse
import json
import logging.config
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from fargate_app.admin.connection import master_engine
from fargate_app.admin.drop_index import drop_invalid_index
from fargate_app.admin.failures import AdminError, Stopped, failure
from fargate_app.admin.login import log_in
from fargate_app.admin.prepare import prepare
from fargate_app.admin.renew import renew
from fargate_app.admin.secret_store import SecretsManagerSecret
from fargate_app.admin.sessions import EndLimits, sessions
from fargate_app.admin.table_stats import table_stats
from fargate_app.admin.users import Grants
from fargate_app.logs import logging_config
from fargate_app.migrations import Migrations
from fargate_app.revisions import RevisionsError, read
from fargate_app.settings import AdminSettings, DatabaseSettings, named

Lines = Iterator[Mapping[str, Any]]
S = TypeVar("S", AdminSettings, DatabaseSettings)


@dataclass(frozen=True)
class Subject:
    """The application that is administered: a Service's arguments of the same names."""

    name: str | None
    migrations: Migrations | None
    grants: Grants | None

    def read(self, kind: type[S]) -> S:
        """Read the settings, and log as they say. Raises ValidationError."""
        settings = named(kind(), self.name)
        logging.config.dictConfig(logging_config(settings.log_level))
        return settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_program(), description=__doc__)
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
    logging_in = commands.add_parser("login", help="log in once with the service's own credentials")
    logging_in.set_defaults(run=_log_in)
    reading = commands.add_parser("schema", help="print the schema of this image, without a database")
    reading.set_defaults(run=_schema)
    return parser


def _program() -> str:
    """Return how this process was started, such as `python -m shop.admin`."""
    module = sys.modules["__main__"].__spec__
    return f"python -m {module.name.removesuffix('.__main__')}" if module else sys.argv[0]


def _prepare(subject: Subject, _: argparse.Namespace) -> Lines:
    settings = subject.read(AdminSettings)
    secrets_of = {user: _secret(arn, settings) for user, arn in settings.app_secret_arns.items()}
    yield asdict(prepare(settings, secrets_of, subject.migrations, subject.grants))


def _renew(subject: Subject, args: argparse.Namespace) -> Lines:
    settings = subject.read(AdminSettings)
    user = next((user for user, arn in settings.app_secret_arns.items() if arn == args.secret), None)
    if user is None:
        raise AdminError(f"{args.secret} is the secret of none of the application's database users")
    yield asdict(renew(settings, user, _secret(args.secret, settings), subject.grants))


def _secret(arn: str, settings: AdminSettings) -> SecretsManagerSecret:
    return SecretsManagerSecret(arn, settings.aws_region)


def _sessions(subject: Subject, args: argparse.Namespace) -> Lines:
    limits = EndLimits(
        args.idle_in_transaction_seconds, args.idle_seconds, args.idle_above, args.spare_seconds, args.address
    )
    yield from sessions(subject.read(AdminSettings), limits if args.end else None)


def _drop_index(subject: Subject, args: argparse.Namespace) -> Lines:
    yield asdict(drop_invalid_index(subject.read(AdminSettings), args.name))


def _survey(subject: Subject, args: argparse.Namespace) -> Lines:
    with master_engine(subject.read(AdminSettings)).begin() as connection:
        yield from table_stats(connection, args.after)


def _log_in(subject: Subject, _: argparse.Namespace) -> Lines:
    yield asdict(log_in(subject.read(DatabaseSettings)))


def _schema(subject: Subject, _: argparse.Namespace) -> Lines:
    if subject.migrations is None:
        raise AdminError("this application has no migrations")
    # Not the schema that a build stored: this is what the build stores.
    yield asdict(read(subject.migrations.folder))


def _stop(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: the clean-up must not be interrupted
    raise Stopped


def _positive(value: str) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{value} is not a number of seconds above 0")
    return number


def main(subject: Subject, arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code."""
    args = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        for line in args.run(subject, args):
            print(json.dumps(line))
    except (AdminError, SQLAlchemyError, ValidationError, BotoCoreError, ClientError) as error:
        print(json.dumps(failure(error)))
        return 1
    except RevisionsError as error:  # standard output is the file that the build stores
        print(f"The migrations cannot be applied: {error}.", file=sys.stderr)
        return 1
    except Stopped:
        print(json.dumps(failure(AdminError("the task was stopped", kind="stopped"))))
        return 1
    return 0
