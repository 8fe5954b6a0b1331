"""What an RDS for PostgreSQL instance adds to PostgreSQL, as the files that its container starts with.

Everything lies in one directory of the container, outside its data: a change is one archive and a SIGHUP, and
PostgreSQL itself then decides, as on RDS, what applies at once and what waits for the reboot.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

DIRECTORY = "/ministack-rds-tls"
"""The emulator's own: it changes the owner of all that is in it to ``postgres`` before the server starts."""
SUPERUSER = "rdsadmin"
"""RDS keeps the superuser to itself; the master user is a member of ``rds_superuser``, which is none."""

_LIBRARIES = frozenset({"auto_explain", "pg_prewarm", "pg_stat_statements"})
"""Of the libraries that RDS can preload, those that PostgreSQL itself brings."""
_OURS = frozenset({"log_destination", "log_directory", "log_filename", "logging_collector", "listen_addresses", "port"})
"""Set by the container: the log goes to stderr, where the engine collects it."""

_DEFAULTS = {
    # A PostgreSQL 17 instance of RDS has these without any parameter group of one's own
    # (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Parameters.html).
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    "shared_preload_libraries": "pg_stat_statements",
    "rds.force_ssl": "1",
    # The default formula, LEAST({DBInstanceClassMemory/9531392},5000), on the smallest class (1 GiB).
    "max_connections": "81",
    "timezone": "UTC",
    # Of rds.rds_superuser_reserved_connections: kept for pg_use_reserved_connections.
    "reserved_connections": "2",
}
_ALWAYS = {
    "listen_addresses": "*",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "%t:%r:%u@%d:[%p]:",
    "hba_file": f"{DIRECTORY}/pg_hba.conf",
}

MASTER_ROLE_SQL = f"""\
-- Run once, on an empty data directory, by the image's entrypoint: the roles that RDS makes.
-- https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Roles.rds_superuser.html
SET log_statement = none;
SET log_min_duration_statement = -1;
\\getenv master RDS_MASTER_USERNAME
\\getenv database POSTGRES_DB
\\set password `cat {DIRECTORY}/master-password`
CREATE ROLE rds_superuser NOLOGIN;
GRANT pg_monitor, pg_signal_backend, pg_checkpoint, pg_use_reserved_connections, pg_create_subscription
    TO rds_superuser WITH ADMIN OPTION;
CREATE ROLE :"master" LOGIN CREATEDB CREATEROLE PASSWORD :'password' IN ROLE rds_superuser;
ALTER DATABASE :"database" OWNER TO :"master";
"""


def configuration(parameters: Mapping[str, str]) -> str:
    """postgresql.conf of an instance whose parameter group holds `parameters` (PostgreSQL's names and base units).

    A value that is a formula of the instance class (``{DBInstanceClassMemory/…}``) is left at its default: the
    container has no instance class.
    """
    values = {**_DEFAULTS, **{name: value for name, value in parameters.items() if _is_plain(name, value)}, **_ALWAYS}
    values["shared_preload_libraries"] = ",".join(
        library
        for library in (part.strip() for part in values["shared_preload_libraries"].split(","))
        if library in _LIBRARIES
    )
    return "".join(f"{name} = '{_quoted(value)}'\n" for name, value in values.items())


def access_rules(parameters: Mapping[str, str]) -> str:
    """pg_hba.conf: a password always, and TLS when ``rds.force_ssl`` says so (its default since PostgreSQL 15)."""
    forced = parameters.get("rds.force_ssl", _DEFAULTS["rds.force_ssl"]) in ("1", "on", "true")
    kind = "hostssl" if forced else "host"
    return f"local all all trust\n{kind} all all all scram-sha-256\n"


def archive(files: Mapping[str, str]) -> bytes:
    """A tar archive to put at ``/``: absolute path → text. Readable by its owner only, it may hold secrets."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as bundle:
        for directory in sorted({path.rpartition("/")[0] for path in files}):
            entry = tarfile.TarInfo(directory.lstrip("/"))
            entry.type = tarfile.DIRTYPE
            entry.mode = 0o755
            bundle.addfile(entry)
        for path, text in files.items():
            data = text.encode()
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.mode = 0o600 if path.startswith(DIRECTORY) else 0o644
            entry.size = len(data)
            bundle.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def _is_plain(name: str, value: str) -> bool:
    return bool(value) and not ({"{", "("} & set(value)) and name not in _OURS


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")
