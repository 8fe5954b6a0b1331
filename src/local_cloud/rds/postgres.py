"""The files that make a PostgreSQL container behave like an RDS for PostgreSQL instance.

All files are in one directory of the container, outside its data. A change is one archive and a SIGHUP; PostgreSQL then
decides, as on RDS, which parameters apply at once and which wait for the reboot.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

DIRECTORY = "/ministack-rds-tls"
"""The emulator's own directory: it makes ``postgres`` the owner of its files before the server starts."""
BACKUPS = "/rds-backups"
"""Mount point of the volume with the backups of all instances; it stands for RDS's own S3."""
SUPERUSER = "rdsadmin"
"""RDS does not give out the superuser. The master user is a member of ``rds_superuser``, which is not a superuser."""

_LIBRARIES = frozenset({"auto_explain", "pg_prewarm", "pg_stat_statements"})
"""The libraries that RDS can preload and PostgreSQL itself contains."""
_OURS = frozenset({"log_destination", "log_directory", "log_filename", "logging_collector", "listen_addresses", "port"})
"""Parameters that the container sets: the log goes to stderr, where the engine collects it."""

_DEFAULTS = {
    # The settings of a PostgreSQL 17 instance of RDS with the default parameter group
    # (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Parameters.html).
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    "shared_preload_libraries": "pg_stat_statements",
    "rds.force_ssl": "1",
    # The default formula, LEAST({DBInstanceClassMemory/9531392},5000), on the smallest class (1 GiB).
    "max_connections": "81",
    "timezone": "UTC",
    # The default of rds.rds_superuser_reserved_connections, for members of pg_use_reserved_connections.
    "reserved_connections": "2",
    # The sessions of a client that vanished, such as a task of a lost zone, end after six minutes
    # (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.DeadConnectionHandling.html).
    "tcp_keepalives_idle": "300",
    "tcp_keepalives_interval": "30",
    "tcp_keepalives_count": "2",
}
_ALWAYS = {
    "listen_addresses": "*",
    # RDS uploads the write-ahead log every five minutes, for point-in-time restores
    # (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIT.html).
    "archive_mode": "on",
    "archive_command": f"sh {DIRECTORY}/archive.sh %p %f",
    "archive_timeout": "300",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "%t:%r:%u@%d:[%p]:",
    "hba_file": f"{DIRECTORY}/pg_hba.conf",
}

MASTER_ROLE_SQL = f"""\
-- The roles that RDS creates. The image's entrypoint runs this once, on an empty data directory.
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


ARCHIVE = """\
# The rename is atomic: a segment is never incomplete.
gzip -1 < "$1" > "$RDS_BACKUPS/wal/$2.part" && mv "$RDS_BACKUPS/wal/$2.part" "$RDS_BACKUPS/wal/$2.gz"
"""
"""The server's archive command, for each segment of the write-ahead log. Arguments: its path, its name."""

START = f"""\
set -eu
chown -R postgres:postgres {DIRECTORY}
# A new instance does not use the backups of an earlier one of the same name.
[ -s "$PGDATA/PG_VERSION" ] || rm -rf "$RDS_BACKUPS"
mkdir -p "$RDS_BACKUPS/wal" {BACKUPS}/snapshots
chown postgres:postgres "$RDS_BACKUPS" "$RDS_BACKUPS/wal" {BACKUPS}/snapshots
if [ -n "${{RDS_RESTORE_FROM:-}}" ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    sh -eu {DIRECTORY}/restore.sh "$@"
fi
exec docker-entrypoint.sh postgres "$@"
"""
"""Runs as root when the container starts. Its arguments are those of ``postgres``."""

RESTORE = f"""\
# Fill an empty data directory from a backup, replay the log up to a time if one is given, and set the master user's
# password to the one that RDS keeps for this instance: the backup contains an older one.
mkdir -p "$PGDATA" /run/postgresql
cp -a "$RDS_RESTORE_FROM/." "$PGDATA"
if [ -n "${{RDS_RESTORE_TIME:-}}" ]; then
    waited=0
    until [ -e "$RDS_RESTORE_LOG/$RDS_RESTORE_UNTIL.gz" ]; do
        waited=$((waited + 1))
        [ "$waited" -lt 600 ] || {{ echo "the source has not archived $RDS_RESTORE_UNTIL" >&2; exit 1; }}
        sleep 0.1
    done
    touch "$PGDATA/recovery.signal"
    cat > "$PGDATA/postgresql.auto.conf" <<END
restore_command = 'test -e "$RDS_RESTORE_LOG/%f.gz" && gzip -dc < "$RDS_RESTORE_LOG/%f.gz" > %p'
recovery_target_time = '$RDS_RESTORE_TIME'
recovery_target_action = 'promote'
END
fi
chown -R postgres:postgres "$PGDATA" /run/postgresql
chmod 700 "$PGDATA"
# listen_addresses='' keeps clients out until the password is set; without hot standby, queries fail during the replay.
export RDS_OPTIONS="$* -c listen_addresses='' -c hot_standby=off"
su postgres -s /bin/sh -c 'pg_ctl --wait --timeout=3600 --silent --options="$RDS_OPTIONS" start'
# pg_ctl counts a server that still replays the log as started.
until psql --username={SUPERUSER} --dbname=postgres --command='' 2>/dev/null; do
    [ -e "$PGDATA/postmaster.pid" ] || exit 1
    sleep 0.1
done
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username={SUPERUSER} --dbname=postgres --file={DIRECTORY}/restored.sql
su postgres -s /bin/sh -c 'pg_ctl --wait --silent --mode=fast stop'
: > "$PGDATA/postgresql.auto.conf"
"""

RESTORED_SQL = f"""\
SET log_statement = none;
SET log_min_duration_statement = -1;
\\getenv master RDS_MASTER_USERNAME
\\set password `cat {DIRECTORY}/master-password`
ALTER ROLE :"master" PASSWORD :'password';
"""


def configuration(parameters: Mapping[str, str]) -> str:
    """Return postgresql.conf for the `parameters` of a parameter group (PostgreSQL's names and base units).

    A formula of the instance class (``{DBInstanceClassMemory/…}``) is ignored, because the container has no instance
    class: the parameter keeps its default.
    """
    values = {**_DEFAULTS, **{name: value for name, value in parameters.items() if _is_plain(name, value)}, **_ALWAYS}
    values["shared_preload_libraries"] = ",".join(
        library
        for library in (part.strip() for part in values["shared_preload_libraries"].split(","))
        if library in _LIBRARIES
    )
    return "".join(f"{name} = '{_quoted(value)}'\n" for name, value in values.items())


def access_rules(parameters: Mapping[str, str]) -> str:
    """Return pg_hba.conf. It requires passwords, and TLS if ``rds.force_ssl`` is on (default since PostgreSQL 15)."""
    forced = parameters.get("rds.force_ssl", _DEFAULTS["rds.force_ssl"]) in ("1", "on", "true")
    kind = "hostssl" if forced else "host"
    return f"local all,replication all trust\n{kind} all all all scram-sha-256\n"


def archive(files: Mapping[str, str]) -> bytes:
    """Return a tar archive to extract at ``/``, from texts by path. Only the owner may read them: some are secret."""
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
