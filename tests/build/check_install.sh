#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the build into a folder, then builds a program against it as a user would: through pkg-config, in C and in
# C++, and runs it. usage: check_install.sh BUILD_DIR SOURCE_DIR

set -eu
build=$1
source=$2
CC=${CC:-cc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

DESTDIR=$work/root "${MESON:-meson}" install -C "$build" --no-rebuild --quiet
pc=$(find "$work/root" -name dextral.pc)
[ -n "$pc" ]

prefix=$(sed -n 's/^prefix=//p' "$pc")
export PKG_CONFIG_PATH="${pc%/*}" PKG_CONFIG_SYSROOT_DIR="$work/root"
PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 pkg-config --cflags --libs dextral
flags=$(pkg-config --cflags --libs dextral)
LD_LIBRARY_PATH=$(dirname "$(find "$work/root" -name libdextral.so)")
export LD_LIBRARY_PATH

# shellcheck disable=SC2086 # CC and flags are lists
$CC -std=c11 -Wall -Wextra -Werror "$source/consumer.c" -o "$work/consumer" $flags
"$work/consumer"
if command -v c++ >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    c++ -std=c++14 -Wall -Wextra -Werror -xc++ "$source/consumer.c" -o "$work/consumer_cpp" $flags
    "$work/consumer_cpp"
fi

# Nothing of the inside is installed.
if find "$work/root$prefix" -name '*.a' -o -path '*/include/*' -not -path '*/include/dextral*' | grep .; then
    echo "installed, but not for users"
    exit 1
fi
(cd "$work/root" && find . -type f | sort)
