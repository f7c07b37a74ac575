#!/bin/sh
# supervise.sh NAME: starts ../programs/NAME again whenever it ends, as a service manager would.
# It gives up when the program ends while /run/lab/NAME.off is there, or when the program itself
# asks for it by ending with 99 (a server that has gone to the background, and is started again
# only on purpose).
set -u
name=$1
program=$(dirname "$0")/../programs/$name
log=/var/log/tricast/$name.log
while [ ! -e "/run/lab/$name.off" ]; do
    began=$(date +%s)
    "$program" >>"$log" 2>&1 </dev/null
    code=$?
    lived=$(($(date +%s) - began))
    if [ "$code" -eq 99 ]; then
        exit 0
    fi
    echo "lab: $name ended with $code after about $lived s" >>"$log"
    if [ "$lived" -ge 2 ]; then
        sleep 0.1
    else
        sleep 0.5
    fi
done
