#!/usr/bin/env bash
# Runs the fuzz targets, as many at once as there are processors: `fuzz.sh [TARGET|all] [SECONDS]`. What a target finds is
# kept outside the checkout, and the next run goes on from it; what breaks one is in fuzz/artifacts/.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/tools.sh

# fuzz_one TARGET SECONDS BUILT: runs one, and shows what it said if it breaks.
fuzz_one() {
    local name=$1 found="${XDG_CACHE_HOME:-$HOME/.cache}/the-cloud/fuzz/$1" log
    log=$(mktemp)
    mkdir -p "$found" "fuzz/artifacts/$name"
    if "$3/$name" "$found" "fuzz/corpus/$name" "-artifact_prefix=fuzz/artifacts/$name/" "-max_total_time=$2" \
        -timeout=10 -rss_limit_mb=2048 > "$log" 2>&1; then
        echo "fuzz: $name holds ($(sed -n 's/^Done \(.*\)$/\1/p' "$log"))"
        rm -f "$log"
        return
    fi
    tail -n 40 "$log" >&2
    rm -f "$log"
    echo "error: the fuzz target $name broke; its input is in fuzz/artifacts/$name/. Mend it and keep the input in" >&2
    echo "fuzz/corpus/$name/, where an ordinary test replays it." >&2
    return 1
}

if [ "${1:-}" = --one ]; then
    fuzz_one "$2" "$3" "$4"
    exit
fi

names=()
for folder in fuzz/corpus/*/; do
    names+=("$(basename "$folder")")
done
case ${1:-all} in
    all) ;;
    *) [ -d "fuzz/corpus/$1" ] || { echo "error: no fuzz target $1; there are ${names[*]}" >&2; exit 1; }; names=("$1") ;;
esac

ensure_tool cargo-fuzz
build=$(realpath -m "${CARGO_TARGET_DIR:-target}/fuzz")
# Coverage is all that a stable compiler has; sanitizers are for nightly ones, and the code is safe.
CARGO_PROFILE_DEV_OPT_LEVEL=1 cargo fuzz build --dev --sanitizer none --codegen-units 16 --target-dir "$build"
built=$(dirname "$(find "$build" -path "*/debug/${names[0]}" -type f)")
printf '%s\n' "${names[@]}" | xargs -P "$(nproc)" -I NAME "$0" --one NAME "${2:-60}" "$built"
