#!/bin/sh
# Builds the images that the topology names, the one they start from first.
set -eu
cd "$(dirname "$0")"
for name in host router edge database app witness; do
    "${ENGINE:-docker}" build --tag "tricast-lab/$name:0.1" "$name"
done
