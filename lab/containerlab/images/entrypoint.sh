#!/bin/sh
# The first program of every node, in a container as in a bare namespace: waits until the network
# of the node is complete, then starts what PROGRAMS names, each under its own supervisor.
set -eu
here=$(dirname "$0")
mkdir -p /run/lab /run/lock /run/tricast /var/log/tricast /var/lib/tricast
while [ ! -e /run/lab/network-up ]; do
    sleep 0.02
done
for program in $PROGRAMS; do
    setsid -f "$here/supervise.sh" "$program"
done
exec sleep infinity
