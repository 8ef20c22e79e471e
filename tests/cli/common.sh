# SPDX-License-Identifier: MIT
# Sourced by the tests of the command: where things are, files to work on, and what is expected.
# shellcheck shell=bash

set -euo pipefail
export LC_ALL=C.UTF-8
dextral=$(realpath -- "$1")
modules=$(realpath -- "$2")
# shellcheck disable=SC2034 # the caller's
root=$(realpath -- "$3")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failures=0

fail() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}

finish() {
    if [ "$failures" != 0 ]; then
        printf '%s failures\n' "$failures"
        exit 1
    fi
    echo ok
}

# make_bundle FOLDER CLASS: a bundle of the test drivers
make_bundle() {
    mkdir -p "$1"
    cp "$modules/test_drivers.so" "$1/Test.so"
    cat >"$1/Info.plist" <<PLIST
<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0">
<dict>
    <key>CFBundleIdentifier</key><string>org.dextral.test</string>
    <key>CFBundleExecutable</key><string>Test</string>
    <key>CFBundlePackageType</key><string>DEXT</string>
    <key>CFBundleShortVersionString</key><string>1.0</string>
    <key>IOKitPersonalities</key>
    <dict>
        <key>Test</key>
        <dict>
            <key>IOUserClass</key><string>$2</string>
            <key>IOProviderClass</key><string>IOUserResources</string>
            <key>IOUserAudioDriverUserClientProperties</key>
            <dict>
                <key>IOClass</key><string>IOUserUserClient</string>
                <key>IOUserClass</key><string>IOUserAudioDriverUserClient</string>
            </dict>
        </dict>
    </dict>
</dict>
</plist>
PLIST
}

# little COUNT NUMBER: that many bytes of a number, lowest first
little() {
    local i
    for ((i = 0; i < $1; i++)); do
        # shellcheck disable=SC2059 # the format is the byte
        printf "\\x$(printf '%02x' $(($2 >> (8 * i) & 255)))"
    done
}

# make_wav FILE CHANNELS RATE FRAMES [ANNOUNCED_BYTES]: 16 bits; a fixed sequence of bytes as samples
make_wav() {
    local bytes=$((2 * $2 * $4))
    local announced=${5:-$bytes}
    {
        printf 'RIFF'
        little 4 $(((36 + announced) & 0xffffffff))
        printf 'WAVEfmt '
        little 4 16
        little 2 1
        little 2 "$2"
        little 4 "$3"
        little 4 $((2 * $2 * $3 & 0xffffffff))
        little 2 $((2 * $2))
        little 2 16
        printf 'data'
        little 4 "$announced"
        # no more than half of full scale: rate conversion must not clip it
        awk -v n="$((bytes / 2))" 'BEGIN { for (i = 0; i < n; i++) printf "%c%c", 33 + (i * 7919) % 94, 1 + (i * 31) % 60 }'
    } >"$1"
}

# expect CODE MESSAGE ARGUMENT...: the command's exit code, a part of what it says, and no output file
expect() {
    local code=$1 message=$2 got=0
    shift 2
    rm -f out.wav
    timeout 60 "$dextral" "$@" >stdout 2>stderr </dev/null || got=$?
    [ "$got" = "$code" ] || fail "dextral $*: exit code $got, expected $code; it said: $(cat stderr)"
    grep -qF -- "$message" stderr || fail "dextral $*: \"$message\" is not in: $(cat stderr)"
    if [ "$code" != 0 ] && [ "$code" != 6 ] && [ -e out.wav ]; then
        fail "dextral $*: left out.wav"
    fi
    check_nothing_left "$*"
}

# succeed ARGUMENT...
succeed() {
    local got=0
    timeout 120 "$dextral" "$@" >stdout 2>stderr </dev/null || got=$?
    [ "$got" = 0 ] || fail "dextral $*: exit code $got; it said: $(cat stderr)"
    check_nothing_left "$*"
}

check_nothing_left() {
    local left
    left=$(find . -name '.*.*' -type f)
    [ -z "$left" ] || fail "dextral $1: left $left"
}
