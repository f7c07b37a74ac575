#!/bin/sh
# The server of this node runs in the background, closed: read-only, following nobody, its clients
# and voters locked out until the controller says otherwise. The host agent does the starting, here
# as after a crash, so that there is one way to start and it is the safe one.
set -eu
here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/../../../../..")
"$here/provision.sh"
cd /
PYTHONPATH=$root exec "$root/.venv/bin/python" -m controller.hostagent mysql-start database=journal
