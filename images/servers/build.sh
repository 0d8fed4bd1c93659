#!/usr/bin/env bash
# Builds an image of Debian's nginx, PostgreSQL and OpenSSH servers as they are packaged, each begun by a word:
# `serve nginx`, `serve postgres`, `serve sshd`. The tests use it to see that ordinary servers run as machines; about 150 MB.
# Nothing is installed here. Usage: images/servers/build.sh TAG
set -euo pipefail

tag=${1:?usage: images/servers/build.sh TAG}
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
. "$here/../packages.sh"
for tool in apt-get dpkg-deb docker; do
    command -v "$tool" > /dev/null || { echo "error: $tool is missing; scripts/install.sh test installs it" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fetch_packages base-files base-passwd bash coreutils dash grep sed util-linux nginx-light postgresql openssh-server \
    openssh-client curl
# The database's compiler of queries is as big as all the rest, and does without being asked.
mkdir -p root/{usr/{bin,sbin,lib,lib64},var,dev,proc,sys,tmp,run/{sshd,postgresql},root}
ln -s ../run root/var/run
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "root/$folder"; done
grep -vE '^(libllvm|libz3|systemd_|dmsetup|libsystemd-shared)' wanted | while read -r name; do
    dpkg-deb --fsys-tarfile "$debs/$name" | tar -x -C root --keep-directory-symlink --exclude=./usr/share/doc \
        --exclude=./usr/share/man --exclude=./usr/share/locale --exclude='*/gconv/*' --exclude='*/bitcode/*' --exclude='*llvmjit*'
done
chmod 1777 root/tmp

# What the packages do when they are installed: users, and the files that are put together then.
cp root/usr/share/base-passwd/passwd.master root/etc/passwd
cp root/usr/share/base-passwd/group.master root/etc/group
cat >> root/etc/passwd << 'USERS'
postgres:x:101:101::/var/lib/postgresql:/bin/bash
sshd:x:102:65534::/run/sshd:/usr/sbin/nologin
ann:x:1000:1000::/home/ann:/bin/bash
USERS
printf 'postgres:x:101:\nann:x:1000:\n' >> root/etc/group
sed -n 's/^\([^:]*\):.*/\1:*:19000:0:99999:7:::/p' root/etc/passwd > root/etc/shadow
chmod 640 root/etc/shadow
for part in auth account session password; do
    echo "$part required pam_unix.so" > "root/etc/pam.d/common-$part"
done
cp root/etc/pam.d/common-session root/etc/pam.d/common-session-noninteractive
cp root/usr/share/openssh/sshd_config root/etc/ssh/sshd_config
mkdir -p root/home/ann/.ssh
chown -R 1000:1000 root/home/ann
chmod 700 root/home/ann/.ssh
mkdir -p root/var/www/html root/etc/nginx/sites-enabled
ln -s ../sites-available/default root/etc/nginx/sites-enabled/default
echo "it serves" > root/var/www/html/index.html
install -D -m 755 "$here/serve" root/usr/local/bin/serve

# Sorted, without times of this machine: the same input makes the same image.
tar --sort=name --mtime=@0 --numeric-owner -C root -c . \
    | docker import --change 'ENTRYPOINT ["serve"]' --change "LABEL recipe=$(cat "$here/../packages.sh" "$here"/* | sha256sum | cut -c1-12)" \
        --change 'ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$tag" > /dev/null
echo "built $tag"
