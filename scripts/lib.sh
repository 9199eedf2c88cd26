# shellcheck shell=bash
# What the scripts beside this file share: words to the user, missing packages,
# pinned tools, a throw-away Postgres, and cleaning up. Sourced, never run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SCRIPT=${0##*/}

# Built tools outlive `cargo clean` and a fresh clone: they take minutes to compile.
TOOLS=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/tower-activity/tools

say() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "$SCRIPT" "$*" >&2; }
die() {
    warn "$*"
    exit 1
}

# ---------------------------------------------------------------- cleaning up

WORK=     # a folder of this run alone; everything thrown away lives below it
CHILD=    # the command under way
SERVERS=() # what else was started in the background
OWN_RCD=  # set while our policy-rc.d is in place

start_work() {
    local base=${TMPDIR:-/tmp}
    # A socket's path has 107 bytes at most, and the servers' user must get there.
    if [ "${#base}" -gt 40 ] || [ ! -w "$base" ]; then
        base=/tmp
    elif [ "$(id -u)" = 0 ] && ! setpriv --reuid nobody --clear-groups test -x "$base"; then
        base=/tmp
    fi
    WORK=$(mktemp -d "$base/tower-activity.XXXXXX")
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    chmod 755 "$WORK"
    # Tests put their folders here, so that what a killed test leaves behind goes too.
    mkdir -m 1777 "$WORK/tmp"
    chmod 1777 "$WORK/tmp"
}

clean_up() {
    local status=$? pidfile pid
    trap '' HUP INT TERM
    trap - EXIT
    set +e
    [ -z "$OWN_RCD" ] || as_root rm -f /usr/sbin/policy-rc.d
    if [ -n "$CHILD" ] && kill -TERM "$CHILD" 2>/dev/null; then
        wait "$CHILD" 2>/dev/null
    fi
    [ "${#SERVERS[@]}" = 0 ] || kill -TERM "${SERVERS[@]}" 2>/dev/null
    # Our server, and any that a test could not stop itself. SIGQUIT is the immediate stop.
    while IFS= read -r pidfile; do
        pid=$(head -n 1 "$pidfile" 2>/dev/null)
        [[ $pid =~ ^[0-9]+$ ]] || continue
        kill -QUIT "$pid" 2>/dev/null
        for _ in {1..50}; do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
    done < <(find "$WORK" -name postmaster.pid 2>/dev/null)
    rm -rf "$WORK"
    exit "$status"
}

# Runs a command in a process group of its own, with a deadline and without stdin.
# In the background and waited for: a trap would have to wait for a foreground command.
run_bounded() {
    local limit=$1 status=0
    shift
    timeout --kill-after=10 "$limit" "$@" </dev/null &
    CHILD=$!
    wait "$CHILD" || status=$?
    CHILD=
    return "$status"
}

# ----------------------------------------------------------- missing packages

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# install_packages WHY PACKAGE…: or one sentence that says what to install.
install_packages() {
    local why=$1 log=$WORK/apt.log
    shift
    local by_hand="install the Debian package(s) $* ($why)"
    command -v apt-get >/dev/null || die "no apt-get here: please $by_hand"
    if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
        die "neither root nor sudo without a password: please $by_hand"
    fi
    say "installing $* ($why)"
    # Debian starts servers that it installs; nobody asked for one on the standard port.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' >"$WORK/policy-rc.d"
        OWN_RCD=1
        as_root install -m 755 "$WORK/policy-rc.d" /usr/sbin/policy-rc.d
    fi
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600)
    # Stale lists name versions that are gone; a failed update may still leave good ones.
    as_root "${apt[@]}" update >"$log" 2>&1 </dev/null || true
    if ! as_root "${apt[@]}" install -y --no-install-recommends "$@" >>"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        die "apt-get failed: please $by_hand"
    fi
    if [ -n "$OWN_RCD" ]; then
        as_root rm -f /usr/sbin/policy-rc.d
        OWN_RCD=
    fi
}

need_rust() {
    command -v cargo >/dev/null || PATH=$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin
    command -v cargo >/dev/null || die "no cargo here: please install a Rust toolchain, $(grep '^rust-version' "$ROOT/Cargo.toml") or newer"
    need_certificates
}

# need_component NAME COMMAND…: a part of the toolchain, known by a command that succeeds.
need_component() {
    local name=$1
    shift
    "$@" >/dev/null 2>&1 && return
    say "adding the toolchain's component $name"
    if ! command -v rustup >/dev/null || ! run_bounded 300 rustup component add "$name" >"$WORK/rustup.log" 2>&1; then
        [ ! -f "$WORK/rustup.log" ] || cat "$WORK/rustup.log" >&2
        die "the toolchain has no $name and rustup could not add it: please install it (rustup component add $name)"
    fi
    "$@" >/dev/null 2>&1 || die "$name was added, but \`$*\` still fails"
}

need_certificates() {
    # cargo and rustup download, and a bare Debian trusts nobody.
    [ -n "${SSL_CERT_FILE:-}${CARGO_HTTP_CAINFO:-}" ] && return
    [ -s /etc/ssl/certs/ca-certificates.crt ] || [ ! -e /etc/debian_version ] ||
        install_packages "root certificates for cargo's downloads" ca-certificates
}

need_c_compiler() {
    # The bundled SQLite is C, and rustc links through cc.
    printf '#include <stdio.h>\n' | ${CC:-cc} -fsyntax-only -x c - >/dev/null 2>&1 ||
        install_packages "a C compiler for the bundled SQLite" gcc libc6-dev
}

need_openssl() {
    # The feature tls-native-tls uses the system's OpenSSL.
    [ -n "${OPENSSL_DIR:-}" ] && return
    { command -v pkg-config && pkg-config --exists openssl; } >/dev/null 2>&1 || install_packages "OpenSSL for the feature tls-native-tls" pkg-config libssl-dev
}

need_tracing() {
    # Tests of faults end a process before its nth call to the system, or hold one back.
    command -v strace >/dev/null || install_packages "tests end processes at chosen calls to the system" strace
}

# need_tool CRATE VERSION: puts a pinned cargo subcommand on the PATH, compiling it if need be.
need_tool() {
    local crate=$1 version=$2 home=$TOOLS/$1-$2 started=$SECONDS
    if "$crate" --version 2>/dev/null | grep -qxF "$crate $version"; then return; fi
    PATH=$home/bin:$PATH
    if [ -x "$home/bin/$crate" ]; then return; fi
    say "compiling $crate $version into $home: this takes some minutes, once per machine"
    # A target folder that stays lets a second try go on where the first was stopped.
    if ! CARGO_TARGET_DIR=$home/build run_bounded 1800 cargo install "$crate" --locked --version "$version" --root "$home" >"$WORK/$crate.log" 2>&1; then
        tail -n 100 "$WORK/$crate.log" >&2
        die "$crate $version could not be built: please install it (cargo install $crate --locked --version $version)"
    fi
    rm -rf "$home/build"
    say "compiled $crate in $((SECONDS - started)) s"
}

# ------------------------------------------------------------------- Postgres

# Exports TEST_POSTGRES_BIN, TEST_POSTGRES_USER and TEST_PGBOUNCER for the tests
# that start servers of their own.
find_postgres() {
    if [ -z "${TEST_POSTGRES_BIN:-}" ]; then
        TEST_POSTGRES_BIN=$(postgres_folder)
        if [ -z "$TEST_POSTGRES_BIN" ]; then
            install_packages "a Postgres server for the tests" postgresql
            TEST_POSTGRES_BIN=$(postgres_folder)
        fi
    fi
    if [ ! -x "$TEST_POSTGRES_BIN/initdb" ] || [ ! -x "$TEST_POSTGRES_BIN/pg_ctl" ]; then
        die "no initdb and pg_ctl in '$TEST_POSTGRES_BIN': please install a Postgres server or set TEST_POSTGRES_BIN to its folder"
    fi

    # initdb, postgres and pgbouncer refuse to run as root.
    TEST_POSTGRES_USER=
    if [ "$(id -u)" = 0 ]; then
        TEST_POSTGRES_USER=nobody
        ! id postgres >/dev/null 2>&1 || TEST_POSTGRES_USER=postgres
    fi

    if [ -z "${TEST_PGBOUNCER:-}" ]; then
        TEST_PGBOUNCER=$(pgbouncer_path)
        if [ -z "$TEST_PGBOUNCER" ]; then
            install_packages "tests drive Postgres through PgBouncer" pgbouncer
            TEST_PGBOUNCER=$(pgbouncer_path)
        fi
    fi
    [ -x "$TEST_PGBOUNCER" ] || die "no pgbouncer at '$TEST_PGBOUNCER': please install it or set TEST_PGBOUNCER to its path"
    export TEST_POSTGRES_BIN TEST_POSTGRES_USER TEST_PGBOUNCER
}

# The folder with initdb and pg_ctl, newest version first; nothing if there is none.
postgres_folder() {
    local folder
    folder=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -rV | head -n 1)
    if [ ! -x "$folder" ]; then
        folder=$(command -v initdb) || return 0
        folder=$(readlink -f "$folder")
    fi
    dirname "$folder"
}

pgbouncer_path() {
    # Debian's sits in /usr/sbin, which an ordinary user's PATH lacks.
    PATH=$PATH:/usr/sbin command -v pgbouncer || true
}

# Runs a command as the user of the servers, in a folder which that user can enter.
as_postgres() {
    (
        cd "$WORK/postgres" || exit
        if [ -n "$TEST_POSTGRES_USER" ]; then
            exec setpriv --reuid "$TEST_POSTGRES_USER" --regid "$(id -g "$TEST_POSTGRES_USER")" --clear-groups "$@"
        fi
        exec "$@"
    )
}

# start_postgres [on]: starts a server of this run alone, with fsync or without, and exports TEST_POSTGRES_URL; one that is
# set already wins.
start_postgres() {
    if [ -n "${TEST_POSTGRES_URL:-}" ]; then
        say "using the server of TEST_POSTGRES_URL"
        return
    fi
    local fsync=${1:-off} home=$WORK/postgres port try
    mkdir -m 700 "$home"
    [ -z "$TEST_POSTGRES_USER" ] || chown "$TEST_POSTGRES_USER" "$home"
    as_postgres "$TEST_POSTGRES_BIN/initdb" -D "$home/data" -U postgres -A trust -E UTF8 --locale=C >"$WORK/initdb.log" 2>&1 </dev/null || {
        cat "$WORK/initdb.log" >&2
        die "initdb failed (as '${TEST_POSTGRES_USER:-$(id -un)}' in $home)"
    }
    # The bind is the only test of a free port without a race: so start, and try another.
    # Below 32768: the kernel hands out the ports above to clients. Without fsync, unless asked for: the tests
    # end processes, and what those have written the kernel keeps, so that only the machine's
    # own end would show a difference; but each of 200 databases costs a checkpoint when it
    # is dropped.
    for try in {1..20}; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        if as_postgres "$TEST_POSTGRES_BIN/pg_ctl" -D "$home/data" -l "$home/log" -w -t 60 -s \
            -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='$home' -c max_connections=200 -c fsync=$fsync" \
            start >"$WORK/pg_ctl.log" 2>&1 </dev/null; then
            export TEST_POSTGRES_URL=postgres://postgres@127.0.0.1:$port/postgres
            say "started Postgres $("$TEST_POSTGRES_BIN/postgres" --version | grep -oE '[0-9]+(\.[0-9]+)?' | head -n 1) on 127.0.0.1:$port"
            return
        fi
        grep -q 'could not bind' "$home/log" || break
    done
    cat "$WORK/pg_ctl.log" "$home/log" >&2
    die "Postgres did not start (try $try)"
}

# ------------------------------------------------------------------------- S3

# The version of moto, which speaks S3 over HTTP, and where it and DuckDB come from.
MOTO=5.2.5
DUCKDB=2.0.0
# ClickHouse within Python.
CHDB=26.5.0

# need_python VENV PACKAGE…: an environment of Python with these packages, made once per machine.
need_python() {
    local home=$1 log=$WORK/pip.log
    shift
    [ ! -e "$home/made" ] || return 0
    command -v python3 >/dev/null || install_packages "archives are tested against servers and readers in Python" python3 python3-venv
    rm -rf "$home"
    mkdir -p "$(dirname "$home")"
    python3 -m venv "$home" >"$log" 2>&1 || {
        install_packages "environments of Python" python3-venv
        python3 -m venv "$home" >"$log" 2>&1 || die "python3 -m venv fails: $(tail -n 1 "$log")"
    }
    say "installing $* into $home, once per machine"
    if ! run_bounded 600 "$home/bin/pip" install -q --disable-pip-version-check "$@" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        die "pip could not install $*: the tests of archives need them (from PyPI, or an index that pip knows)"
    fi
    : >"$home/made"
}

# Starts an S3 server of this run alone (moto) and exports TEST_S3_URL; one that is set already wins.
# Exports TEST_DUCKDB too: a Python that has it, which reads what was archived.
start_s3() {
    local home=$TOOLS/archives-$MOTO-$DUCKDB log=$WORK/moto.log
    if [ -z "${TEST_S3_URL:-}" ] || [ -z "${TEST_DUCKDB:-}" ]; then
        need_python "$home" "moto[server]==$MOTO" "duckdb==$DUCKDB"
        : "${TEST_DUCKDB:=$home/bin/python}"
    fi
    export TEST_DUCKDB
    if [ -n "${TEST_S3_URL:-}" ]; then
        say "using the S3 server of TEST_S3_URL"
        return
    fi
    # Port 0 takes a free one, and the server says which.
    "$home/bin/moto_server" -H 127.0.0.1 -p 0 >"$log" 2>&1 </dev/null &
    SERVERS+=($!)
    for _ in {1..600}; do
        TEST_S3_URL=$(grep -oE 'http://127\.0\.0\.1:[0-9]+' "$log" | head -n 1 || true)
        [ -z "$TEST_S3_URL" ] || break
        kill -0 "${SERVERS[-1]}" 2>/dev/null || break
        sleep 0.1
    done
    if [ -z "$TEST_S3_URL" ]; then
        cat "$log" >&2
        die "the S3 server of the tests (moto) did not start"
    fi
    export TEST_S3_URL
    say "started moto $MOTO on ${TEST_S3_URL#http://}"
}

# Exports TEST_CLICKHOUSE, a Python that has ClickHouse within it (chDB): half a gigabyte, which scripts/torture alone asks for.
find_clickhouse() {
    local home=$TOOLS/clickhouse-$CHDB
    if [ -z "${TEST_CLICKHOUSE:-}" ]; then
        need_python "$home" "chdb-core-lite==$CHDB" 'pyarrow==26.0.1' 'pandas==3.1.1'
        TEST_CLICKHOUSE=$home/bin/python
    fi
    export TEST_CLICKHOUSE
}

# ------------------------------------------------------------------- Chromium

# Exports TEST_CHROMIUM and TEST_CHROMEDRIVER for the tests of the viewer.
find_chromium() {
    local missing=()
    : "${TEST_CHROMIUM:=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}"
    : "${TEST_CHROMEDRIVER:=$(command -v chromedriver || true)}"
    [ -n "$TEST_CHROMIUM" ] || missing+=(chromium)
    [ -n "$TEST_CHROMEDRIVER" ] || missing+=(chromium-driver)
    if [ "${#missing[@]}" != 0 ]; then
        install_packages "tests drive the viewer in Chromium" "${missing[@]}"
        : "${TEST_CHROMIUM:=$(command -v chromium || true)}"
        : "${TEST_CHROMEDRIVER:=$(command -v chromedriver || true)}"
    fi
    [ -x "$TEST_CHROMIUM" ] || die "no Chromium at '$TEST_CHROMIUM': please install it or set TEST_CHROMIUM to its path"
    [ -x "$TEST_CHROMEDRIVER" ] || die "no chromedriver at '$TEST_CHROMEDRIVER': please install it or set TEST_CHROMEDRIVER to its path"
    export TEST_CHROMIUM TEST_CHROMEDRIVER
}

# --------------------------------------------------------------------- strace

# Exports TEST_STRACE for the tests that let system calls fail, and says aloud where it may not trace.
find_strace() {
    : "${TEST_STRACE:=$(command -v strace || true)}"
    if [ -z "$TEST_STRACE" ]; then
        install_packages "tests let system calls fail" strace
        TEST_STRACE=$(command -v strace || true)
    fi
    [ -x "$TEST_STRACE" ] || die "no strace at '$TEST_STRACE': please install it or set TEST_STRACE to its path"
    "$TEST_STRACE" -qq -o /dev/null true ||
        die "strace may not trace here: please allow ptrace (in a container: --cap-add=SYS_PTRACE; else /proc/sys/kernel/yama/ptrace_scope)"
    export TEST_STRACE
}
