"""The files that an RDS for PostgreSQL instance starts with."""

from __future__ import annotations

import io
import tarfile

import pytest

from local_cloud.rds import postgres
from local_cloud.rds.rds_container import Addresses, address_pool


def lines(**parameters: str) -> dict[str, str]:
    text = postgres.configuration({name.replace("__", "."): value for name, value in parameters.items()})
    return dict(line.split(" = ", 1) for line in text.splitlines())


def test_parameters_come_before_defaults_and_after_what_the_container_needs() -> None:
    conf = lines(max_connections="60", log_destination="csvlog", rds__force_ssl="0")
    assert conf["max_connections"] == "'60'"
    assert conf["log_destination"] == "'stderr'"
    assert conf["rds.force_ssl"] == "'0'"
    assert conf["reserved_connections"] == "'2'"
    assert conf["tcp_keepalives_idle"] == "'300'"


def test_formulas_and_libraries_of_rds_are_left_out() -> None:
    conf = lines(
        max_connections="LEAST({DBInstanceClassMemory/9531392},5000)",
        shared_preload_libraries="rdsutils,pg_stat_statements, auto_explain",
    )
    assert conf["max_connections"] == "'81'"
    assert conf["shared_preload_libraries"] == "'pg_stat_statements,auto_explain'"


def test_values_are_quoted() -> None:
    assert lines(application_name="it's \\ here")["application_name"] == "'it''s \\\\ here'"


@pytest.mark.parametrize(
    ("value", "kind"), [(None, "hostssl"), ("1", "hostssl"), ("on", "hostssl"), ("0", "host"), ("off", "host")]
)
def test_access_rules(value: str | None, kind: str) -> None:
    rules = postgres.access_rules({} if value is None else {"rds.force_ssl": value})
    assert rules.splitlines()[-1] == f"{kind} all all all scram-sha-256"


def test_archive_keeps_secrets_to_their_owner() -> None:
    data = postgres.archive({f"{postgres.DIRECTORY}/server.key": "k", "/docker-entrypoint-initdb.d/1.sql": "SELECT 1"})
    with tarfile.open(fileobj=io.BytesIO(data)) as bundle:
        modes = {member.name: oct(member.mode) for member in bundle if member.isfile()}
    assert modes == {"ministack-rds-tls/server.key": "0o600", "docker-entrypoint-initdb.d/1.sql": "0o644"}


def test_addresses_are_kept_wanted_and_used_up() -> None:
    pool = address_pool("172.31.240.0/29", "172.31.240.0/30", "172.31.240.1")
    assert pool == ["172.31.240.6", "172.31.240.5", "172.31.240.4"]
    addresses = Addresses()
    assert addresses.take("a", pool) == "172.31.240.6"
    assert addresses.take("a", pool) == "172.31.240.6"
    assert addresses.take("b", pool, wanted="172.31.240.4") == "172.31.240.4"
    assert addresses.take("c", pool, wanted="172.31.240.4") == "172.31.240.5"
    with pytest.raises(RuntimeError, match="no address is left"):
        addresses.take("d", pool)
    addresses.release("a")
    assert addresses.take("d", pool) == "172.31.240.6"
