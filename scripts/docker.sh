# Sourced by the other scripts: makes sure that a Docker daemon answers.

# ensure_docker DIR: starts one if none answers, with its log and pid in DIR/logs and DIR/run.
ensure_docker() {
    local home=$1 log pid
    docker info > /dev/null 2>&1 && return
    if [ -d /run/systemd/system ] && systemctl start docker > /dev/null 2>&1; then
        for _ in $(seq 100); do
            docker info > /dev/null 2>&1 && { echo "started Docker (systemd)"; return; }
            sleep 0.1
        done
    fi
    mkdir -p "$home/logs" "$home/run"
    log=$home/logs/dockerd.log
    setsid dockerd > "$log" 2>&1 < /dev/null &
    pid=$!
    for _ in $(seq 300); do
        if docker info > /dev/null 2>&1; then
            echo "$pid" > "$home/run/dockerd.pid"
            echo "started the Docker daemon (log: $log)"
            return
        fi
        kill -0 "$pid" 2> /dev/null || break
        sleep 0.1
    done
    tail -n 10 "$log" >&2
    echo "error: no Docker daemon answers and dockerd could not be started; the end of $log is above." >&2
    exit 1
}

# ensure_busybox: makes the image that the tour and the tests use.
ensure_busybox() {
    if docker image inspect busybox:stable > /dev/null 2>&1; then
        echo "image: busybox:stable is there"
    elif [ "${1:-pull}" = pull ] && timeout 20 docker pull -q busybox:stable > /dev/null 2>&1; then
        echo "image: pulled the public busybox:stable"
    else
        images/busybox/build.sh > /dev/null
        echo "image: no registry is reached, so busybox:stable was built from Debian's busybox-static"
    fi
}

# ensure_servers: builds the image of the tests' ordinary servers, once for each recipe.
ensure_servers() {
    local image=thecloud.dev/servers:test recipe
    recipe=$(cat images/packages.sh images/servers/* | sha256sum | cut -c1-12)
    [ "$(docker image inspect --format '{{.Config.Labels.recipe}}' $image 2> /dev/null)" != "$recipe" ] || return 0
    images/servers/build.sh $image || echo "MISSING: the image of ordinary servers; the test of them will be skipped" >&2
}
