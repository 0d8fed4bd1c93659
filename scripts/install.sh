#!/usr/bin/env bash
# Installs the system packages that are missing: `install.sh up` or `install.sh test`, `--yes` to be asked nothing.
# Says what it will install, and asks where somebody can answer.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/tools.sh

what=${1:-up}
yes=${CLOUD_YES:-}
for argument in "$@"; do
    case $argument in -y | --yes) yes=1 ;; esac
done

has() { command -v "$1" > /dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]; }

missing=()
need() { has "$1" || missing+=("$2"); }

need cc gcc
has cc || missing+=(libc6-dev)
[ "$what" != test ] || need c++ g++
need docker docker.io
docker version --format '{{.Server.Version}}' > /dev/null 2>&1 || need dockerd docker.io
need iptables iptables
need nft nftables
need mkfs.ext4 e2fsprogs
need losetup mount
need ip iproute2
need busybox busybox-static
need curl curl
if [ "$what" = test ] || [ "${CLOUD_STORE:-sqlite}" = postgres ]; then
    ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 || need initdb postgresql
fi
[ "$what" != test ] || need python3 python3
[ "$what" != test ] || python3 -m pip --version > /dev/null 2>&1 || missing+=(python3-pip)
[ "$what" != test ] || python3 -m ensurepip --version > /dev/null 2>&1 || missing+=(python3-venv)
[ "$what" != test ] || need npm npm
[ "$what" != test ] || need mkfs.btrfs btrfs-progs
[ "$what" != test ] || need pgrep procps

if [ ${#missing[@]} -gt 0 ]; then
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
    echo "missing here: ${missing[*]}"
    if [ "$(id -u)" != 0 ] || ! has apt-get; then
        echo "error: install these packages (Debian's names) and run this again; as root it is done for you." >&2
        exit 1
    fi
    if [ -z "$yes" ] && [ -t 0 ]; then
        read -r -p "Install them with apt-get now? [Y/n] " answer
        case $answer in [nN]*) echo "Nothing was installed."; exit 1 ;; esac
    fi
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } > "$log" 2>&1 || {
        tail -n 20 "$log" >&2
        echo "error: apt-get could not install ${missing[*]}; the end of its output is above." >&2
        exit 1
    }
    rm -f "$log"
    echo "installed: ${missing[*]}"
fi

# Virtual machines are for those who want them: `up` takes what is there, or installs it with CLOUD_LIBVIRT=1.
if [ "$what" = test ] || [ -n "${CLOUD_LIBVIRT:-}" ]; then
    if ! has libvirtd || ! has qemu-system-x86_64 || ! has virsh || ! has pkg-config || ! pkg-config --exists libvirt; then
        log=$(mktemp)
        if [ "$(id -u)" = 0 ] && has apt-get; then
            echo "installing libvirt and QEMU, for virtual machines"
            export DEBIAN_FRONTEND=noninteractive
            # A qemu-utils of another release than the emulator is in its way.
            emulator=$(apt-cache policy qemu-system-x86 | sed -n 's/^ *Candidate: //p')
            { apt-get update -qq && apt-get install -y -qq --no-install-recommends --allow-downgrades \
                "qemu-utils=$emulator" qemu-system-x86 libvirt-daemon-system libvirt-clients libvirt-dev pkg-config; } \
                > "$log" 2>&1 || { tail -n 5 "$log" >&2; echo "MISSING: libvirt and QEMU; virtual machines will be skipped" >&2; }
        else
            echo "MISSING: libvirt and QEMU (Debian: qemu-system-x86 libvirt-daemon-system libvirt-dev); virtual machines will be skipped" >&2
        fi
        rm -f "$log"
    fi
fi

if ! command -v cargo > /dev/null; then
    echo "error: cargo is missing. Install Rust from https://rustup.rs, then run this again." >&2
    exit 1
fi
if [ "$what" = test ]; then
    ensure_tool cargo-nextest
fi
