#!/bin/sh
# The one way to start this server: as a closed standby of nobody. The controller does the rest.
# The server goes to the background; who calls this is done when it is up.
set -eu
exec "${PYTHON:-/usr/bin/python3}" -m controller.hostagent postgres-start \
    "database=${NAME:-ledger}" "wait_s=${WAIT_S:-10}"
