# SPDX-License-Identifier: MIT
# Sourced by the tests of the command on devices of the machine: a supervisor of their own, in temporary folders.
# usage of each: TEST DEXTRAL MODULES ROOT DEXTRALD DEXTRAL_DRIVER
# shellcheck shell=bash

# before common.sh goes somewhere else
dextrald=$(realpath -- "$4")
DEXTRAL_DRIVER_PROGRAM=$(realpath -- "$5")
# shellcheck disable=SC1091,SC2154 # what common.sh sets
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

# Beside the folder that the tests work in, which they look through.
machine=$(mktemp -d)
DEXTRAL_RUNTIME_DIR=$machine/run DEXTRAL_CONFIG_DIR=$machine/config DEXTRAL_STATE_DIR=$machine/state
HOME=$machine XDG_DATA_HOME=$machine/data
export DEXTRAL_DRIVER_PROGRAM DEXTRAL_RUNTIME_DIR DEXTRAL_CONFIG_DIR DEXTRAL_STATE_DIR HOME XDG_DATA_HOME
supervisor=

# start_supervisor ARGUMENT...: returns when it answers
start_supervisor() {
    local i
    "$dextrald" "$@" >>daemon.log 2>&1 &
    supervisor=$!
    for ((i = 0; i < 200; i++)); do
        if "$dextral" list >/dev/null 2>&1; then
            return
        fi
        sleep 0.05
    done
    fail "the supervisor does not answer: $(cat daemon.log)"
    finish
}

stop_supervisor() {
    [ -n "$supervisor" ] || return 0
    kill -s TERM "$supervisor" 2>/dev/null || true
    wait "$supervisor" 2>/dev/null || true
    supervisor=
}

# Processes that this test started, or that its supervisor did: they have its runtime folder in their environment.
list_ours() {
    local folder
    for folder in /proc/[0-9]*; do
        [ "${folder#/proc/}" != $$ ] && [ "${folder#/proc/}" != "$BASHPID" ] || continue
        if tr '\0' '\n' 2>/dev/null <"$folder/environ" | grep -qxF "DEXTRAL_RUNTIME_DIR=$DEXTRAL_RUNTIME_DIR" &&
            [[ $(readlink "$folder/exe" 2>/dev/null) == *dextral* ]]; then
            echo "${folder#/proc/}"
        fi
    done 2>/dev/null # they come and go
}

is_none_left() {
    [ -z "$(list_ours)" ]
}

leave() {
    local pid
    stop_supervisor
    for pid in $(list_ours); do
        kill -s KILL "$pid" 2>/dev/null || true
    done
    rm -rf "$work" "$machine"
}
trap leave EXIT

# refuse CODE MESSAGE ARGUMENT...: the exit code, and a part of what it says
refuse() {
    local code=$1 message=$2 got=0
    shift 2
    timeout 60 "$dextral" "$@" >stdout 2>stderr </dev/null || got=$?
    [ "$got" = "$code" ] || fail "dextral $*: exit code $got, expected $code; it said: $(cat stderr)"
    grep -qF -- "$message" stderr || fail "dextral $*: \"$message\" is not in: $(cat stderr)"
}

# show EXPECTED ARGUMENT...: what it prints, all of it
show() {
    local expected=$1
    shift
    succeed "$@"
    [ "$(cat stdout)" = "$expected" ] || fail "dextral $*: expected $expected, got $(cat stdout)"
}

# Whether this build prints JSON, and something is there to look into it.
has_json=false
if command -v python3 >/dev/null 2>&1 && ! "$dextral" list --json 2>&1 | grep -qF -- -Djson=enabled; then
    has_json=true
fi

# check EXPRESSION ARGUMENT...: of Python, about d, which is the JSON that the command prints
check() {
    local expression=$1
    shift
    $has_json || return 0
    succeed "$@"
    python3 -c 'import json, sys; d = json.load(sys.stdin); sys.exit(not eval("(" + sys.argv[1] + ")"))' "$expression" <stdout ||
        fail "dextral $*: not $expression: $(head -c 3000 stdout)"
}

# ask EXPRESSION ARGUMENT...: prints it
ask() {
    local expression=$1
    shift
    "$dextral" "$@" | python3 -c 'import json, sys; d = json.load(sys.stdin); print(eval(sys.argv[1]))' "$expression"
}

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
    local i seconds=$1
    shift
    for ((i = 0; i < seconds * 20; i++)); do
        if "$@" >/dev/null 2>&1; then
            return 0
        fi
        sleep 0.05
    done
    fail "not within $seconds s: $*"
}
