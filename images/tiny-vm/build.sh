#!/usr/bin/env bash
# Builds a virtual machine's disk that boots in seconds without hardware help: Debian's cloud kernel, busybox, dropbear,
# and a first-boot agent that understands a useful part of cloud-init's NoCloud. About 17 MB of qcow2.
# Nothing is installed and nothing mounted: the tools come out of the packages too. Usage: images/tiny-vm/build.sh OUT.qcow2
set -euo pipefail

out=$(realpath -m "${1:?usage: images/tiny-vm/build.sh OUT.qcow2}")
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
. "$here/../packages.sh"
for tool in apt-get dpkg-deb busybox mke2fs qemu-img python3; do
    command -v "$tool" > /dev/null || { echo "error: $tool is missing; scripts/install.sh test installs it" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fetch_packages linux-image-cloud-amd64 dropbear-bin busybox-static syslinux syslinux-common mtools dosfstools
mkdir packages
grep -E '^(linux-image-[0-9].*cloud|dropbear-bin|busybox-static|libtom|libcrypt1|libgmp10|zlib1g|libc6|syslinux|mtools|dosfstools)' wanted \
    | while read -r name; do
    dpkg-deb --fsys-tarfile "$debs/$name" | tar -x -C packages --exclude=./usr/share/doc --exclude=./usr/share/locale --exclude='*/gconv/*'
done
kernel=$(ls packages/lib/modules)
PATH="$work/packages/usr/bin:$work/packages/usr/sbin:$work/packages/sbin:$PATH"

# The first file system: busybox, and the modules that lead to the disk, each after those it needs.
mkdir -p initrd/{bin,modules}
cp packages/bin/busybox initrd/bin/
ln -s busybox initrd/bin/sh
order() {
    local module=$1 path needed
    path=$(sed -n "s|^\(.*/$module\.ko\):.*|\1|p" "packages/lib/modules/$kernel/modules.dep")
    [ -n "$path" ] || return 0
    for needed in $(sed -n "s|^$path: *||p" "packages/lib/modules/$kernel/modules.dep" | tr ' ' '\n' | tac); do
        echo "$needed"
    done
    echo "$path"
}
modules="virtio_pci virtio_blk virtio_net isofs button evdev virtio_rng virtiofs vfat nls_cp437 nls_ascii acpiphp virtio_console virtio_mem"
command -v depmod > /dev/null || PATH="$PATH:/usr/sbin:/sbin"
[ -s "packages/lib/modules/$kernel/modules.dep" ] || busybox depmod -b "$work/packages" "$kernel"
for module in $modules; do order "$module"; done | awk '!seen[$0]++' > initrd/modules/order
while read -r path; do
    cp "packages/lib/modules/$kernel/$path" initrd/modules/
done < initrd/modules/order
sed -i 's|.*/||' initrd/modules/order
install -m 755 "$here/init" initrd/init
(cd initrd && find . | busybox cpio -o -H newc 2> /dev/null | gzip -1) > initrd.img

# The root file system.
mkdir -p root/{bin,sbin,dev,proc,sys,run,tmp,root/.ssh,home,mnt,var/log,var/lib/cloud,usr/bin,usr/sbin,lib/x86_64-linux-gnu,lib64}
mkdir -p root/etc/{init.d,dropbear,acpi/PWRF} root/usr/share/udhcpc
chmod 1777 root/tmp
chmod 700 root/root/.ssh
cp packages/bin/busybox root/bin/
for applet in $(packages/bin/busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "root/bin/$applet"
done
ln -s ../bin/busybox root/sbin/init
cp packages/usr/sbin/dropbear root/usr/sbin/
cp packages/usr/bin/dropbearkey root/usr/bin/
for library in libtomcrypt.so.1 libtommath.so.1 libz.so.1 libcrypt.so.1 libgmp.so.10 libc.so.6; do
    cp -L "$(find packages -name "$library" | head -n 1)" root/lib/x86_64-linux-gnu/
done
cp -L "$(find packages -name ld-linux-x86-64.so.2 | head -n 1)" root/lib64/
printf 'root:x:0:0:root:/root:/bin/sh\n' > root/etc/passwd
printf 'root:*:19000::::::\n' > root/etc/shadow
printf 'root:x:0:\n' > root/etc/group
echo /bin/sh > root/etc/shells
echo tiny > root/etc/hostname
install -m 644 "$here/inittab" root/etc/inittab
install -m 755 "$here/start" root/etc/init.d/rcS
install -m 755 "$here/first-boot" root/usr/sbin/first-boot
install -m 755 "$here/lease" root/usr/share/udhcpc/default.script
printf '#!/bin/sh\nexec poweroff\n' > root/etc/acpi/PWRF/00000080
chmod 755 root/etc/acpi/PWRF/00000080

# The disk: a boot record, then a FAT with the loader, the kernel and the first file system, then the root.
fat_mib=32
root_mib=64
truncate -s "${fat_mib}M" fat.img
mkfs.fat -F 16 -n BOOT fat.img > /dev/null
cat > syslinux.cfg << 'CONFIG'
DEFAULT linux
PROMPT 0
TIMEOUT 0
LABEL linux
  KERNEL /vmlinuz
  INITRD /initrd.img
  APPEND console=tty0 console=ttyS0 quiet loglevel=3 tsc=reliable no_timer_check noreplace-smp mitigations=off random.trust_cpu=on
CONFIG
mcopy -i fat.img "packages/boot/vmlinuz-$kernel" ::vmlinuz
mcopy -i fat.img initrd.img ::initrd.img
mcopy -i fat.img syslinux.cfg ::syslinux.cfg
syslinux --install fat.img
mke2fs -q -F -t ext4 -L root -O ^metadata_csum -E root_owner=0:0,lazy_itable_init=0 -d root root.img "${root_mib}M" > /dev/null
python3 - "$fat_mib" "$root_mib" packages/usr/lib/syslinux/mbr/mbr.bin << 'PYTHON'
import struct, sys
fat, root = int(sys.argv[1]) * 2048, int(sys.argv[2]) * 2048
def entry(active, kind, first, count):
    return struct.pack("<B3sB3sII", active, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", first, count)
with open("disk.raw", "wb") as disk:
    disk.truncate((2048 + fat + root) * 512)
    disk.write(open(sys.argv[3], "rb").read(440))
    disk.seek(446)
    disk.write(entry(0x80, 0x0E, 2048, fat) + entry(0, 0x83, 2048 + fat, root) + bytes(32) + b"\x55\xaa")
    for image, first in (("fat.img", 2048), ("root.img", 2048 + fat)):
        disk.seek(first * 512)
        disk.write(open(image, "rb").read())
PYTHON
mkdir -p "$(dirname "$out")"
qemu-img convert -q -f raw -O qcow2 -c disk.raw "$out.new"
mv "$out.new" "$out"
echo "built $out from Debian's $kernel"
