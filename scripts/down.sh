#!/usr/bin/env bash
# Stops everything that `up` started: cloudd, its machines and mounts, and the Docker daemon and PostgreSQL if they
# were started by it. Nothing is deleted: the next `up` goes on from .cloud/.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
home=$(realpath -m "${CLOUD_HOME:-.cloud}")
[ -d "$home" ] || { echo "nothing is running: $home does not exist"; exit 0; }

scripts/stop-cloudd.sh "$home"
echo "cloudd is stopped"

# A directory for each installation that ever ran here: one a store.
if docker info > /dev/null 2>&1; then
    for folder in "$home"/data/*-*-*-*-*/; do
        [ -d "$folder" ] || continue
        mapfile -t machines < <(docker ps -q --filter "label=thecloud.dev/installation=$(basename "$folder")")
        if [ ${#machines[@]} -gt 0 ]; then
            docker stop -t 5 "${machines[@]}" > /dev/null
            echo "${#machines[@]} machines are stopped"
        fi
    done
fi
if command -v virsh > /dev/null && virsh -q -c qemu:///system version > /dev/null 2>&1; then
    virsh() { command virsh -q -c qemu:///system "$@" 2> /dev/null; }
    ours=()
    for domain in $(virsh list --uuid); do
        marks=$(virsh metadata "$domain" https://thecloud.dev/libvirt/1 || true)
        for folder in "$home"/data/*-*-*-*-*/; do
            case $marks in *"$(basename "$folder")"*) ours+=("$domain"); virsh shutdown "$domain" || true ;; esac
        done
    done
    for domain in "${ours[@]}"; do
        for _ in $(seq 150); do
            [ "$(virsh domstate "$domain")" = running ] || break
            sleep 0.1
        done
        virsh destroy "$domain" || true
    done
    [ ${#ours[@]} = 0 ] || echo "${#ours[@]} virtual machines are stopped"
fi
# Volumes are loop mounts below the data directory; unmounting detaches their loop devices.
while read -r mounted; do
    umount "$mounted" && echo "unmounted $mounted"
done < <(findmnt -rno TARGET | awk -v below="$home/data/" 'index($0, below) == 1' | sort -r)

for daemon in dockerd postgres; do
    pid=$(cat "$home/run/$daemon.pid" 2> /dev/null || true)
    rm -f "$home/run/$daemon.pid"
    case $(readlink "/proc/${pid:-none}/exe" 2> /dev/null) in */"$daemon"*) ;; *) continue ;; esac
    kill -INT "$pid"
    for _ in $(seq 300); do
        kill -0 "$pid" 2> /dev/null || break
        sleep 0.1
    done
    echo "$daemon is stopped"
done
echo "Everything is kept in $home: ./justw up goes on from it; remove the directory to forget it."
