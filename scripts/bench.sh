#!/usr/bin/env bash
# Measures with a release build: `bench.sh api|scale|provision|idle [OPTIONS]`.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/tools.sh
. scripts/docker.sh
. scripts/libvirt.sh

what=$1
shift
state=$(realpath -m "${CLOUD_TEST_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/the-cloud/test}")
mkdir -p "$state"
ensure_docker "$state"
ensure_busybox local
cargo build --release --locked -p cloudd -p cloudctl -p e2e --bins $(libvirt_features)
printf '%s, %s, %s cores, Docker %s\n\n' "$(git describe --always --dirty 2> /dev/null)" "$(date -u +%F)" "$(nproc)" \
    "$(docker version --format '{{.Server.Version}}')"
exec "${CARGO_TARGET_DIR:-target}/release/bench" "$what" "$@"
