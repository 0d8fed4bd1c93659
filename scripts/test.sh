#!/usr/bin/env bash
# Runs every test, with a Docker daemon and the test image there, checks the dependencies and fuzzes a minute each what
# anybody may send. Arguments go to nextest, and then there is nothing but the tests that they mean.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/tools.sh
. scripts/docker.sh
. scripts/clients.sh
. scripts/libvirt.sh

state=$(realpath -m "${CLOUD_TEST_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/the-cloud/test}")
mkdir -p "$state"
ensure_docker "$state"
ensure_busybox local
ensure_servers
ensure_clients
ensure_libvirt
ensure_tiny_vm
export CLOUD_TINY_VM=$tiny_vm
features=$(libvirt_features)

# The end-to-end tests run the binaries as they are built here: together with the tests, so that nothing is built twice.
cargo build --workspace --all-targets --locked $features
[ $# -gt 0 ] || scripts/deny.sh
cargo nextest run --workspace --locked $features --profile ci "$@"
[ $# -gt 0 ] || scripts/fuzz.sh all 60
