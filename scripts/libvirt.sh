# Sourced by the other scripts: virtual machines, where this machine can have them.

tiny_vm=${CLOUD_TINY_VM:-${XDG_CACHE_HOME:-$HOME/.cache}/the-cloud/vm/tiny.qcow2}

# libvirt_features: what cargo is told where the C library is there to be linked.
libvirt_features() {
    if command -v pkg-config > /dev/null && pkg-config --exists 'libvirt >= 6.0'; then
        echo "--features=cloudd/libvirt"
    fi
}

# ensure_libvirt: starts libvirt if it is installed and doesn't answer. Says so where there will be no virtual machines.
ensure_libvirt() {
    if ! command -v virsh > /dev/null || ! command -v qemu-system-x86_64 > /dev/null; then
        echo "MISSING: libvirt or QEMU; virtual machines will be skipped" >&2
        return
    fi
    local answers="virsh -q -c qemu:///system version"
    $answers > /dev/null 2>&1 && return
    if [ -d /run/systemd/system ]; then
        systemctl start libvirtd > /dev/null 2>&1 || true
    else
        # As udev sets it: libvirt asks what QEMU can do again and again where the device is nobody's.
        if [ -c /dev/kvm ] && getent group kvm > /dev/null; then
            chgrp kvm /dev/kvm && chmod 660 /dev/kvm
        fi
        setsid virtlogd -d > /dev/null 2>&1 < /dev/null || true
        setsid libvirtd -d > /dev/null 2>&1 < /dev/null || true
    fi
    for _ in $(seq 150); do
        $answers > /dev/null 2>&1 && { echo "started libvirt"; return; }
        sleep 0.1
    done
    echo "MISSING: libvirt does not answer at qemu:///system; virtual machines will be skipped" >&2
}

# ensure_tiny_vm: builds the image of the tests' virtual machines once, into a cache outside the checkout.
ensure_tiny_vm() {
    command -v virsh > /dev/null || return 0
    local recipe wanted
    recipe=$(cat images/packages.sh images/tiny-vm/* | sha256sum | cut -c1-12)
    wanted=$tiny_vm.recipe
    if [ -f "$tiny_vm" ] && [ "$(cat "$wanted" 2> /dev/null)" = "$recipe" ]; then
        return
    fi
    if images/tiny-vm/build.sh "$tiny_vm"; then
        echo "$recipe" > "$wanted"
    else
        echo "MISSING: the virtual machines' test image; tests of them will be skipped" >&2
    fi
}
