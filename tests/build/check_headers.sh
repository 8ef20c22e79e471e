#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles each public header alone, twice in a row, as C and as C++. usage: check_headers.sh INCLUDE_DIR

set -u
include=$1
CC=${CC:-cc}
failed=0
count=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The C++ compiler beside the C compiler: gcc-12 has g++-12, clang has clang++.
# shellcheck disable=SC2086 # CC may carry arguments
set -- $CC
case $1 in
*clang*) CXX=$(printf '%s' "$1" | sed 's/clang\([^/]*\)$/clang++\1/') ;;
*gcc*) CXX=$(printf '%s' "$1" | sed 's/gcc\([^/]*\)$/g++\1/') ;;
*) CXX=c++ ;;
esac

if printf 'int main(void) { return ((int (^)(void)) ^{ return 0; })(); }\n' | $CC -fblocks -xc -fsyntax-only - 2>/dev/null; then
    blocks=-fblocks
else
    blocks=
fi
if ! printf '#include <cstdint>\n' | $CXX -xc++ -fsyntax-only - 2>/dev/null; then
    echo "$CXX does not compile: headers are not tried as C++"
    CXX=
fi

try() { # NAME COMPILER ARGUMENT...
    name=$1
    shift
    count=$((count + 1))
    if ! "$@" -I "$include" -Wall -Wextra -Werror -fsyntax-only "$work/unit" >"$work/log" 2>&1; then
        echo "$name: $*"
        cat "$work/log"
        failed=$((failed + 1))
    fi
}

for path in "$include"/dextral/*.h; do
    header=dextral/${path##*/}
    printf '#include <%s>\n#include <%s>\nextern int nothing;\n' "$header" "$header" >"$work/unit"
    # shellcheck disable=SC2086 # CC may carry arguments
    {
        try "$header" $CC -xc -std=c11 -Wpedantic -Wstrict-prototypes -Wundef
        [ -z "$blocks" ] || try "$header" $CC -xc -std=gnu17 $blocks
        if [ -n "$CXX" ]; then
            try "$header" $CXX -xc++ -std=c++14 -Wundef
            [ -z "$blocks" ] || try "$header" $CXX -xc++ -std=c++20 $blocks
        fi
    }
done

echo "$count compilations, $failed failed"
[ "$failed" = 0 ] && [ "$count" != 0 ]
