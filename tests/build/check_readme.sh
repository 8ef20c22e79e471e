#!/bin/sh
# SPDX-License-Identifier: MIT
# Does what the README tells a reader to do with its driver: paste it, build it, pass a file through it.
#
# usage: check_readme.sh SOURCE_DIR DEXTRAL COMPILER...
set -eu

source_dir=$1
dextral=$2
shift 2

fail() {
    printf 'README.md: %s\n' "$*" >&2
    exit 1
}
# The first fenced block of a language.
block() {
    awk -v fence="\`\`\`$1" '$0 == fence { inside = 1; next } inside && /^```/ { exit } inside' \
        "$source_dir/README.md"
}

export LC_ALL=C # awk prints bytes
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/Loop.dext"
block c >"$work/loop.c"
block xml >"$work/Loop.dext/Info.plist"
tail -n +2 "$source_dir/examples/loop/loop.c" | cmp - "$work/loop.c" || fail "its driver is not examples/loop/loop.c"
"$@" -shared -fPIC -I"$source_dir/include" "$work/loop.c" -o "$work/Loop.dext/Loop.so"

# A second of a sawtooth, 16 bits, mono, 48 kHz: header and samples from the shell alone.
{
    printf 'RIFF\044\167\001\000WAVEfmt \020\000\000\000\001\000\001\000\200\273\000\000\000\167\001\000\002\000\020\000'
    printf 'data\000\167\001\000'
    awk 'BEGIN { for (i = 0; i < 48000; i++) printf "%c%c", 1 + i % 120, 1 + i % 60 }'
} >"$work/in.wav"
"$dextral" process --offline --driver "$work/Loop.dext" "$work/in.wav" "$work/out.wav" ||
    fail "its driver does not pass a file"
cmp "$work/in.wav" "$work/out.wav" || {
    # Another header is no other sound.
    tail -c 96000 "$work/in.wav" >"$work/in.raw"
    tail -c 96000 "$work/out.wav" | cmp - "$work/in.raw" || fail "what came out is not what went in"
}
