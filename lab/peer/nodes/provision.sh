#!/bin/sh
# Called once by Patroni with the new primary's conninfo: the wallet's database and accounts.
set -eu
here=$(dirname "$(readlink -f "$0")")
sql() {
    psql -XAtq -v ON_ERROR_STOP=1 "$@" >/dev/null
}
sql "$1" -c "create role wallet login" -c "create database wallet"
sql -h /run/postgresql -U postgres -d wallet <"$here/../../wallet/schema_postgres.sql"
