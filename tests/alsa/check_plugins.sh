#!/bin/sh
# SPDX-License-Identifier: MIT
# What is loaded into other people's programs shows its entry points, and brings nothing but libc along.
# usage: check_plugins.sh PLUGIN.so...

set -eu
failures=0
for plugin in "$@"; do
    interface=${plugin##*libasound_module_}
    interface=${interface%%_*}
    case $interface in
    ctl) version=control ;;
    *) version=$interface ;;
    esac
    expected="__snd_${interface}_dextral_open_dlsym_${version}_001 _snd_${interface}_dextral_open"
    found=$(nm -D --defined-only "$plugin" | awk '{ print $NF }' | LC_ALL=C sort | tr '\n' ' ')
    if [ "${found% }" != "$expected" ]; then
        echo "$plugin shows: $found; expected: $expected"
        failures=1
    fi
    needed=$(readelf -d "$plugin" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    for library in $needed; do
        case $library in
        libasound.so.* | libc.so.* | libm.so.* | libpthread.so.* | librt.so.* | libdl.so.* | ld-linux*) ;;
        *)
            echo "$plugin needs $library"
            failures=1
            ;;
        esac
    done
done
exit $failures
