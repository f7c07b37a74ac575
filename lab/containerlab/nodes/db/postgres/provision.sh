#!/bin/sh
# Makes the ledger's PostgreSQL of one data site, once: configuration, gate, passwords, data. The
# data is a copy of one template that all sites share, so that every server is the same database
# and replication needs no first copy. Nothing is started. Run as root; safe to run again.
#
#   SITE      whose server this is            NAME     the database's name in tricast.yml
#   TEMPLATE  directory the sites share       DATA CONF GATE RUN   where things go
#   SECRETS   passwords, one file each        VOTERS   site=address/bits of every voter
set -eu
: "${SITE:?}"
NAME=${NAME:-ledger}
BIN=${BIN:-/usr/lib/postgresql/15/bin}
OS_USER=${OS_USER:-postgres}
TEMPLATE=${TEMPLATE:-/var/lib/lab-shared/postgres-$NAME}
DATA=${DATA:-/var/lib/postgresql/15/$NAME}
CONF=${CONF:-/etc/tricast/postgres/$NAME}
GATE=${GATE:-/var/lib/tricast/postgres/$NAME}
RUN=${RUN:-/run/postgresql}
LOG=${LOG:-/var/log/tricast/postgres.log}
SECRETS=${SECRETS:-/etc/tricast/secrets}
VOTERS=${VOTERS:-dc1=10.1.0.20/32 dc2=10.2.0.20/32 witness=10.3.0.1/32}
DATA_SITES=${DATA_SITES:-dc1 dc2}
PORT=${PORT:-5432}
LISTEN=${LISTEN:-${ADDRESS:-127.0.0.1}}
network=${LISTEN%.*}
CONTROLLER=${CONTROLLER:-$network.1/32}
CLIENTS=${CLIENTS:-$network.0/24}
OBSERVERS=${OBSERVERS:-10.0.0.0/14}
BUFFERS=${BUFFERS:-64MB}
KEEP=${KEEP:-512MB}
SLOTKEEP=${SLOTKEEP:-2GB}
here=$(dirname "$(readlink -f "$0")")
schema=${SCHEMA:-$here/../../../../wallet/schema_postgres.sql}

as_user() {
    setpriv --reuid="$OS_USER" --regid="$OS_USER" --clear-groups env HOME=/tmp LC_ALL=C "$@"
}

password() {
    head -n 1 "$SECRETS/$1"
}

accounts() {
    cat <<SQL
create role tricast superuser login password '$(password database)';
create role wallet login password '$(password wallet)';
SQL
    for voter in $VOTERS; do
        echo "create role voter_${voter%%=*} replication login" \
            "password '$(password "voter_${voter%%=*}")';"
    done
    for site in $DATA_SITES; do
        cat <<SQL
create role rejoin_$site replication login password '$(password "rejoin_$site")';
grant execute on function pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean),
    pg_read_binary_file(text), pg_read_binary_file(text, bigint, bigint, boolean)
    to rejoin_$site;
SQL
    done
}

tricast_schema() {
    cat <<'SQL'
create schema tricast;
create table tricast.canary (site text primary key, token text not null, at timestamptz not null);
-- A cancelled commit wait is reported as a success: no client may cancel another's.
revoke execute on function pg_cancel_backend(int), pg_terminate_backend(int, bigint) from public;
SQL
}

make_template() {
    fresh=$TEMPLATE.fresh
    rm -rf "$fresh"
    install -d -m 0700 -o "$OS_USER" -g "$OS_USER" "$fresh"
    as_user "$BIN/initdb" -D "$fresh" -N -k -A peer --no-locale -E UTF8 -U postgres >/dev/null
    sockets=$(mktemp -d)
    chown "$OS_USER" "$sockets"
    as_user "$BIN/pg_ctl" -D "$fresh" -s -w -l "$fresh/template.log" start \
        -o "-c listen_addresses= -c unix_socket_directories=$sockets -c fsync=off \
            -c password_encryption=scram-sha-256 -c wal_level=replica"
    sql() {
        as_user psql -XAtq -v ON_ERROR_STOP=1 -h "$sockets" -U postgres -d "$1" >/dev/null
    }
    { accounts; echo "create database wallet owner tricast;"; } | sql postgres
    tricast_schema | sql wallet
    if [ -r "$schema" ]; then
        sql wallet <"$schema"
    fi
    as_user "$BIN/pg_ctl" -D "$fresh" -s -w -m fast stop
    rm -rf "$sockets" "$fresh/template.log"
    sync -f "$fresh"
    mv "$fresh" "$TEMPLATE"
}

write_configuration() {
    install -d -m 0755 "$CONF"
    names=""
    for voter in $VOTERS; do
        site=${voter%%=*}
        [ "$site" = "$SITE" ] || names="${names:+$names, }$site"
    done
    sed -e "s|@DATA@|$DATA|" -e "s|@CONF@|$CONF|" -e "s|@LISTEN@|$LISTEN|" -e "s|@PORT@|$PORT|" \
        -e "s|@RUN@|$RUN|" -e "s|@GATE@|$GATE|" -e "s|@STANDBYS@|ANY 1 ($names)|" \
        -e "s|@BUFFERS@|$BUFFERS|" -e "s|@KEEP@|$KEEP|" -e "s|@SLOTKEEP@|$SLOTKEEP|" \
        "$here/postgresql.conf" >"$CONF/postgresql.conf"
    : >"$CONF/pg_ident.conf"
    {
        sed -e "s|@GATE@|$GATE|" -e "s|@CONTROLLER@|$CONTROLLER|" -e "s|@CLIENTS@|$CLIENTS|" \
            -e "s|@OBSERVERS@|$OBSERVERS|" "$here/pg_hba.conf"
        for voter in $VOTERS; do
            site=${voter%%=*}
            [ "$site" != "$SITE" ] || continue
            echo "host replication @$GATE/voter_$site ${voter#*=} scram-sha-256"
        done
        echo
        echo "# A returning database, in quarantine: no commit ever waits for it."
        for voter in $VOTERS; do
            site=${voter%%=*}
            case " $DATA_SITES " in *" $site "*) ;; *) continue ;; esac
            [ "$site" != "$SITE" ] || continue
            echo "host replication,postgres rejoin_$site ${voter#*=} scram-sha-256"
        done
    } >"$CONF/pg_hba.conf"
    chmod 0644 "$CONF/postgresql.conf" "$CONF/pg_hba.conf" "$CONF/pg_ident.conf"
}

write_gate() {
    install -d -m 0700 -o "$OS_USER" -g "$OS_USER" "$GATE"
    for list in clients $(for voter in $VOTERS; do echo "voter_${voter%%=*}"; done); do
        echo nobody_is_admitted >"$GATE/$list"
    done
    : >"$GATE/upstream.pgpass"
    echo "*:*:*:voter_$SITE:$(password "voter_$SITE")" >"$GATE/voter.pgpass"
    echo "*:*:*:rejoin_$SITE:$(password "rejoin_$SITE")" >"$GATE/rejoin.pgpass"
    chmod 0600 "$GATE"/*
    chown "$OS_USER:$OS_USER" "$GATE"/*
}

umask 077
mkdir -p "$(dirname "$TEMPLATE")"
exec 9>"$TEMPLATE.lock"
flock 9
[ -d "$TEMPLATE" ] || make_template
flock -u 9
exec 9>&-

umask 022
install -d -m 0755 "$(dirname "$LOG")"
install -d -m 2775 -o "$OS_USER" -g "$OS_USER" "$RUN"
write_configuration
if [ ! -s "$DATA/PG_VERSION" ]; then
    install -d -m 0755 "$(dirname "$DATA")"
    rm -rf "$DATA.new"
    cp -a "$TEMPLATE" "$DATA.new"
    write_gate
    sync -f "$DATA.new"
    mv "$DATA.new" "$DATA"
fi
