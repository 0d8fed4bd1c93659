# What one does with this checkout. `./justw` alone lists it; `./justw NAME` runs one.

set shell := ["bash", "-euo", "pipefail", "-c"]

target := env("CARGO_TARGET_DIR", justfile_directory() / "target")

# List what there is.
@default:
    just --list --unsorted

# Install what is missing, build, start cloudd, apply examples/tour and wait until it is Ready.
up *args:
    @scripts/up.sh {{ args }}

# Stop everything that `up` started. State stays in .cloud/; the next `up` goes on from it.
down:
    @scripts/down.sh

# Install what is missing and run every test, or those that a nextest filter names.
test *args:
    @scripts/install.sh test
    @scripts/test.sh {{ args }}

# Play 10,000 random schedules of wishes and accidents on virtual time: `just simulate --seeds N`, `--keep-going`, `--script FILE`.
simulate *args:
    cargo run --quiet --release --locked -p controller-simulation --bin simulate -- {{ args }}

# Fuzz what anybody may send: `just fuzz [TARGET|all] [SECONDS]`, a minute each.
fuzz *args:
    @scripts/fuzz.sh {{ args }}

# What every commit must pass.
check: fmt clippy tidy deny

# Formatting.
fmt:
    cargo fmt --all --check

# Lints, with warnings denied.
clippy:
    . scripts/libvirt.sh; cargo clippy --workspace --all-targets --locked $(libvirt_features) -- -D warnings

# The house rules: layout, dependency arrows, pure plans, generated files.
tidy:
    cargo run --quiet --locked -p xtask -- tidy

# Licences, sources and banned crates of the dependencies. Advisories too, where their database is reached.
deny:
    @scripts/deny.sh

# Write generated files anew and accept changed snapshots; read the diff before committing it.
bless:
    cargo run --quiet -p xtask -- gen
    INSTA_UPDATE=always cargo nextest run --workspace -E 'not package(e2e)' || true

# Measure: `just bench api|scale|provision|idle`. Prints a table; never fails on a time.
bench what *args:
    @scripts/bench.sh {{ what }} {{ args }}
