# Sourced by up.sh: a PostgreSQL of this checkout's own, on a unix socket only, run by an unprivileged user.

# ensure_postgres HOME: starts it if it doesn't run, and sets postgres_url.
ensure_postgres() {
    local home=$1 bin user data pid
    bin=$(ls -d /usr/lib/postgresql/*/bin 2> /dev/null | sort -V | tail -n 1)
    [ -n "$bin" ] || bin=$(dirname "$(realpath "$(command -v initdb)")")
    user=postgres
    id "$user" > /dev/null 2>&1 || user=nobody
    data=$home/postgres
    mkdir -p "$data"
    chown "$user" "$data"
    chmod 700 "$data"
    if ! setpriv --reuid="$user" --clear-groups test -x "$data"; then
        # The server may not run as root, and the unprivileged user can't reach a checkout below a private directory.
        data=/var/lib/the-cloud/$(printf '%s' "$home" | sha256sum | cut -c1-12)
        echo "$user can't enter $home, so PostgreSQL keeps its data in $data"
        mkdir -p "$data"
        chown "$user" "$data"
        chmod 700 "$data"
    fi
    as_user() { setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups -- "$@"; }
    postgres_url="postgres:///postgres?host=$data/run&user=thecloud"
    pid=$(cat "$home/run/postgres.pid" 2> /dev/null || true)
    case $(readlink "/proc/${pid:-none}/exe" 2> /dev/null) in */postgres) echo "PostgreSQL is running (pid $pid)"; return ;; esac
    if [ ! -f "$data/db/PG_VERSION" ]; then
        as_user mkdir -p "$data/run"
        rm -rf "$data/db.new"
        as_user "$bin/initdb" -D "$data/db.new" -U thecloud --auth=peer --encoding=UTF8 --locale=C > "$home/logs/initdb.log" 2>&1 || {
            tail -n 10 "$home/logs/initdb.log" >&2
            echo "error: initdb failed; the end of $home/logs/initdb.log is above." >&2
            exit 1
        }
        # Only root and the server's own user reach the socket's directory.
        echo "local all thecloud trust" > "$data/db.new/pg_hba.conf"
        mv "$data/db.new" "$data/db"
    fi
    as_user touch "$data/log"
    (cd "$data" && exec setsid setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups -- \
        "$bin/postgres" -D "$data/db" -k "$data/run" -c listen_addresses= > "$home/logs/postgres.log" 2>&1 < /dev/null) &
    pid=$!
    for _ in $(seq 200); do
        if "$bin/pg_isready" -q -h "$data/run" -U thecloud -d postgres; then
            head -n 1 "$data/db/postmaster.pid" > "$home/run/postgres.pid"
            echo "PostgreSQL is running ($data)"
            return
        fi
        kill -0 "$pid" 2> /dev/null || break
        sleep 0.1
    done
    tail -n 10 "$home/logs/postgres.log" >&2
    echo "error: PostgreSQL could not be started; the end of $home/logs/postgres.log is above." >&2
    exit 1
}
