#!/usr/bin/env bash
# From a clean checkout to a running tour: installs, builds, starts, applies, waits, and says what to try next.
set -euo pipefail

started=$(date +%s%N)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/tools.sh
. scripts/docker.sh
. scripts/libvirt.sh

home=$(realpath -m "${CLOUD_HOME:-.cloud}")
listen=${CLOUD_LISTEN:-127.0.0.1:6443}
step() { printf '\n== %s\n' "$1"; }

if [ "$(id -u)" != 0 ]; then
    echo "error: ./justw up mounts Volumes and drives Docker, so it runs as root: sudo ./justw up" >&2
    exit 1
fi
mkdir -p "$home"/{data,logs,run,bin,images}
chmod 700 "$home/data"

step "What this machine needs"
scripts/install.sh up "$@"
ensure_docker "$home"
ensure_busybox
features=$(libvirt_features)
[ -z "$features" ] || ensure_libvirt
echo "ready"

step "Build"
cargo build --release --locked -p cloudd -p cloudctl $features
binaries=$(realpath "${CARGO_TARGET_DIR:-target}/release")
ln -sfn "$binaries/cloudctl" "$home/bin/cloudctl"
ln -sfn "$binaries/cloudd" "$home/bin/cloudd"

step "Start"
store=sqlite
if [ "${CLOUD_STORE:-sqlite}" = postgres ]; then
    . scripts/postgres.sh
    ensure_postgres "$home"
    store=$postgres_url
fi
# A running cloudd is kept, unless it was started from a binary that has been replaced since.
pid=$(cat "$home/run/cloudd.pid" 2> /dev/null || true)
if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/exe" 2> /dev/null)" = "$binaries/cloudd" ] \
    && [ "$(cat "$home/run/cloudd.started" 2> /dev/null)" = "$store $listen" ]; then
    echo "cloudd is running (pid $pid)"
else
    scripts/stop-cloudd.sh "$home"
    setsid "$binaries/cloudd" --data-dir "$home/data" --store "$store" --listen "$listen" --kubeconfig "$home/kubeconfig" \
        --image-dir "$home/images" \
        >> "$home/logs/cloudd.log" 2>&1 < /dev/null &
    pid=$!
    echo "$pid" > "$home/run/cloudd.pid"
    echo "$store $listen" > "$home/run/cloudd.started"
    ready=
    for _ in $(seq 300); do
        curl --silent --fail --insecure --max-time 2 "https://$listen/readyz" > /dev/null 2>&1 && ready=1 && break
        kill -0 "$pid" 2> /dev/null || break
        sleep 0.1
    done
    if [ -z "$ready" ]; then
        tail -n 15 "$home/logs/cloudd.log" >&2
        echo "error: cloudd does not answer on https://$listen; the end of $home/logs/cloudd.log is above." >&2
        exit 1
    fi
    echo "cloudd is running on https://$listen (pid $pid, log: $home/logs/cloudd.log)"
fi

step "The tour"
cloudctl() { "$binaries/cloudctl" --kubeconfig "$home/kubeconfig" "$@"; }
cloudctl apply -f examples/tour/
cloudctl wait --for=condition=Ready --timeout=120s -f examples/tour/
cloudctl get vpc,vol,inst

address=$(cloudctl get inst web -o 'jsonpath={.status.published}')
printf '\nUp after %s s. Try:\n\n' "$(awk "BEGIN { printf \"%.1f\", ($(date +%s%N) - $started) / 1e9 }")"
hint() { printf '    %-36s # %s\n' "$1" "$2"; }
down="./justw down"
if [ "$home" != "$(realpath -m .cloud)" ]; then
    echo "    export CLOUDCONFIG=$home/kubeconfig"
    down="CLOUD_HOME=$home ./justw down"
fi
echo "    export PATH=\"$home/bin:\$PATH\""
hint "curl http://$address/" "the page on the Volume"
echo "    cloudctl get inst -o wide"
hint "cloudctl logs -f client" "it reaches the web server by name"
echo "    cloudctl exec -it web -- sh"
hint "cloudctl demo heal" "kill a container and watch it come back"
echo "    kubectl --kubeconfig $home/kubeconfig get inst"
hint "$down" "stop everything"
