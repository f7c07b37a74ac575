#!/bin/sh
# The log keeper runs in the background: the same server as a data site's, started the same way.
# That it is never promoted is written in the host agent's settings ("eligible": false), which also
# leaves the accounts open under which a data site fetches what only the keeper has.
set -eu
exec "$(dirname "$(readlink -f "$0")")/../../db/${LAB_MYSQL:-mariadb}/start.sh"
