#!/bin/sh
# Makes the files of one MySQL server, unless they are there: a copy of one template, so that all
# servers of the cluster begin with the same accounts, the same schema and an empty log.
#
# SITE names the server; everything else has the lab's value by default.
set -eu
here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/../../../../..")
: "${SITE:?SITE says which server this is}"
: "${ADDRESS:=127.0.0.1}" "${PORT:=3306}" "${CLIENTS:=10.%}"
: "${DATA_DIR:=/var/lib/mysql/journal}" "${STATE_DIR:=/var/lib/tricast/journal}"
: "${CONFIG:=/etc/tricast/journal.cnf}" "${SOCKET:=/run/mysqld/journal.sock}"
: "${LOG:=/var/log/tricast/journal.log}" "${SECRETS:=/etc/tricast/secrets}"
: "${TEMPLATE:=/var/lib/lab-shared/mysql}" "${OS_USER:=mysql}"
: "${SCHEMA:=$root/lab/wallet/schema_mysql.sql}" "${MYSQL:=/var/cache/tricast/mysql}"

if [ ! -s "$MYSQL/version" ]; then
    echo "no MySQL at $MYSQL; run lab/mysql/prepare" >&2
    exit 1
fi

case ${SERVER_ID:-$SITE} in
    dc1) SERVER_ID=1 ;;
    dc2) SERVER_ID=2 ;;
    witness) SERVER_ID=3 ;;
    *[!0-9]*) echo "no server id for site $SITE; set SERVER_ID" >&2 && exit 1 ;;
esac

render() {
    sed -e "s|@DATA_DIR@|$DATA_DIR|g" -e "s|@STATE_DIR@|$STATE_DIR|g" -e "s|@SOCKET@|$SOCKET|g" \
        -e "s|@LOG@|$LOG|g" -e "s|@ADDRESS@|$ADDRESS|g" -e "s|@PORT@|$PORT|g" \
        -e "s|@SERVER_ID@|$SERVER_ID|g" -e "s|@MYSQL@|$MYSQL|g" "$here/my.cnf"
}

# The secrets of the lab are hexadecimal, so nothing in them needs quoting.
render_sql() {
    script="s|@CLIENTS@|$CLIENTS|g"
    for name in database wallet voter_dc1 voter_dc2 voter_witness rejoin_dc1 rejoin_dc2; do
        script="$script;s|@SECRET_$name@|$(cat "$SECRETS/$name")|g"
    done
    sed -e "$script" "$here/init.sql"
    if [ -e "$SCHEMA" ]; then
        cat "$SCHEMA"
    fi
}

# Both runs end by themselves: the second when it has loaded the file, because its last line says so.
# The identity that a server makes for itself must not be copied with the rest.
make_template() {
    fresh=$TEMPLATE.new
    rm -rf "$fresh"
    install -d -m 0700 -o "$OS_USER" "$fresh"
    (render_sql && echo "SHUTDOWN;") | install -m 0600 -o "$OS_USER" /dev/stdin "$TEMPLATE.sql"
    set -- --no-defaults --datadir="$fresh" --user="$OS_USER" --basedir="$MYSQL/root/usr" \
        --plugin-dir="$MYSQL/root/usr/lib/mysql/plugin" --secure-file-priv=NULL \
        --innodb-redo-log-capacity=48M
    "$MYSQL/bin/mysqld" "$@" --initialize-insecure >"$TEMPLATE.log" 2>&1 ||
        { cat "$TEMPLATE.log" >&2 && exit 1; }
    "$MYSQL/bin/mysqld" "$@" --init-file="$TEMPLATE.sql" --skip-networking --mysqlx=OFF \
        --skip-log-bin --socket="$fresh/socket" --pid-file="$fresh/pid" \
        --plugin-load-add=auth_socket.so >>"$TEMPLATE.log" 2>&1 || { cat "$TEMPLATE.log" >&2 && exit 1; }
    rm -f "$TEMPLATE.sql" "$fresh/auto.cnf"
    mv "$fresh" "$TEMPLATE"
}

install -d -m 0755 "$(dirname "$CONFIG")" "$(dirname "$LOG")"
install -d -m 0755 -o "$OS_USER" "$(dirname "$SOCKET")"
install -d -m 0700 -o "$OS_USER" "$STATE_DIR"
render >"$CONFIG"
if [ -d "$DATA_DIR/mysql" ]; then
    exit 0
fi
mkdir -p "$(dirname "$TEMPLATE")" "$(dirname "$DATA_DIR")"
# Several servers may be made at once from one directory; the first of them makes the template.
(
    flock 9
    if [ ! -d "$TEMPLATE" ]; then
        make_template
    fi
) 9>"$TEMPLATE.lock"
rm -rf "$DATA_DIR.new"
cp -a --sparse=always "$TEMPLATE" "$DATA_DIR.new"
mv "$DATA_DIR.new" "$DATA_DIR"
