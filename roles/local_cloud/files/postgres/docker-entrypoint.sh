#!/bin/sh
# The part of the official postgres image's contract that the RDS emulator leans on
# (https://github.com/docker-library/postgres): as root, prepare PGDATA and step down; on an empty
# PGDATA run initdb, create POSTGRES_DB and run /docker-entrypoint-initdb.d/*.sql over the local
# socket only; then become the server.
set -eu

: "${POSTGRES_USER:=postgres}"
: "${POSTGRES_DB:=$POSTGRES_USER}"
export POSTGRES_USER POSTGRES_DB

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /run/postgresql
    chown -R postgres:postgres "$PGDATA" /run/postgresql
    chmod 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
fi

if [ "${1:-}" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username="$POSTGRES_USER" --pwfile="${POSTGRES_PASSWORD_FILE:?}" \
        --encoding=UTF8 --locale=C.UTF-8 --auth-local=trust --auth-host=scram-sha-256 >/dev/null
    shift
    # listen_addresses='' keeps clients out until the roles exist.
    pg_ctl --pgdata="$PGDATA" --wait --silent --options="$* -c listen_addresses=''" start
    [ "$POSTGRES_DB" = postgres ] || createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    for script in /docker-entrypoint-initdb.d/*.sql; do
        [ -e "$script" ] || continue
        psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
            --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --file="$script"
    done
    pg_ctl --pgdata="$PGDATA" --wait --silent --mode=fast stop
    set -- postgres "$@"
fi

exec "$@"
