#!/bin/sh
# SPDX-License-Identifier: MIT
# Configures a build folder with the fuzzers, AddressSanitizer and UndefinedBehaviorSanitizer, unless it is.
#
# usage: configure.sh FOLDER
set -eu
[ ! -f "$1/build.ninja" ] || exit 0
flags="-fsanitize=fuzzer-no-link -fno-sanitize-recover=all -fno-omit-frame-pointer"
CC=clang-14 CXX=clang++-14 CFLAGS=$flags CXXFLAGS=$flags exec meson setup "$1" -Dwerror=true \
    -Db_sanitize=address,undefined -Db_lundef=false -Dfuzzers=enabled
