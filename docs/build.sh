#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the API reference with Doxygen; a public entry without a comment, or a wrong comment, is an error.
# usage: build.sh OUTPUT_DIR

set -eu
root=$(cd -- "$(dirname -- "$0")/.." && pwd -P)
mkdir -p -- "$1"
output=$(cd -- "$1" && pwd -P)
version=$(sed -n "s/^ *version: '\([^']*\)'.*/\1/p" "$root/meson.build" | head -n 1)

{
    cat -- "$root/docs/Doxyfile"
    printf 'PROJECT_NUMBER = "%s"\n' "$version"
    printf 'INPUT = "%s/include/dextral"\n' "$root"
    printf 'STRIP_FROM_PATH = "%s/include"\n' "$root"
    printf 'STRIP_FROM_INC_PATH = "%s/include"\n' "$root"
    printf 'OUTPUT_DIRECTORY = "%s"\n' "$output"
    printf 'WARN_LOGFILE = "%s/warnings"\n' "$output"
} | doxygen -

# The entries of an override table are the methods of the same name, and described there.
if grep -v ' of struct [A-Za-z]*Overrides is not documented' "$output/warnings" >&2; then
    exit 1
fi
