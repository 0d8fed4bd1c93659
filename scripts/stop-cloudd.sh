#!/usr/bin/env bash
# Stops the cloudd of one home directory, and waits until it is gone. Usage: stop-cloudd.sh HOME
set -euo pipefail

pid=$(cat "$1/run/cloudd.pid" 2> /dev/null || true)
rm -f "$1/run/cloudd.pid"
case $(readlink "/proc/${pid:-none}/exe" 2> /dev/null) in */cloudd*) ;; *) exit 0 ;; esac
kill "$pid"
# Longer than cloudd's own limit for an orderly end.
for _ in $(seq 250); do
    kill -0 "$pid" 2> /dev/null || exit 0
    sleep 0.1
done
kill -9 "$pid" 2> /dev/null || true
