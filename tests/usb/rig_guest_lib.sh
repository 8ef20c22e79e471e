# shellcheck shell=dash disable=SC2154
# SPDX-License-Identifier: MIT
# What the insides of the rigs have in common: one gadget, which is our adapter, the kernel's cdc_ncm, udevd, and a
# supervisor of an ordinary user's. Sourced, with $build, $uid and $bundle set.

gadget=/sys/kernel/config/usb_gadget/rig
device=/sys/bus/usb/devices/1-1
export DEXTRAL_RUNTIME_DIR=/tmp/run DEXTRAL_CONFIG_DIR=/tmp/config DEXTRAL_STATE_DIR=/tmp/state
export DEXTRAL_DRIVER_PATH=/drivers DEXTRAL_DRIVER_PROGRAM="$build/host/driver/dextral-driver"
supervisor=

say() { echo "- $*"; }
fail() {
    echo "FAILED: $*"
    dextral list
    dextral drivers
    echo "--- the supervisor's log"
    cat /tmp/log
    exit 1
}

# --- the machine

# An ordinary user, in a group that the rule names, or in none.
as_player() { ${exec:-} /rig/bin/setpriv --reuid 1000 --regid 1000 "--groups=$group" --inh-caps=-all "$@"; }
dextral() { as_player "$build/cli/dextral" "$@" 2>&1; }
plug() { echo dummy_udc.0 >"$gadget/UDC"; }
unplug() { echo >"$gadget/UDC"; }

# wait_until SECONDS SENTENCE COMMAND...
wait_until() {
    local turns=$(($1 * 10)) sentence=$2
    shift 2
    while [ "$turns" -gt 0 ]; do
        "$@" && return 0
        usleep 100000
        turns=$((turns - 1))
    done
    fail "$sentence"
}

kernel_has_it() { [ "$(basename "$(readlink "$device/$(basename "$device"):1.0/driver")")" = cdc_ncm ]; }
we_have_it() { [ "$(basename "$(readlink "$device/$(basename "$device"):1.0/driver")")" = usbfs ]; }
is_running() { dextral info "$uid" | grep -q 'state *running'; }
is_unlisted() { ! dextral info "$uid" | grep -q 'state'; }
has_state() { dextral drivers | grep -q "$bundle.* $1 "; }
driver_pid() { pidof dextral-driver; }
no_driver() { [ -z "$(driver_pid)" ]; }
other_driver() { [ -n "$(driver_pid)" ] && [ "$(driver_pid)" != "$1" ] && is_running; }
is_gone() { [ ! -e "/proc/$1" ]; }

start_supervisor() {
    exec="exec" # so that the number is the supervisor's own
    as_player "$build/host/supervisor/dextrald" --verbose >>/tmp/log 2>&1 &
    supervisor=$!
    exec=
    wait_until 20 "the supervisor does not answer" listens
}
listens() { dextral drivers | grep -q DRIVER; }
kill_supervisor() {
    kill "-$1" "$supervisor"
    wait "$supervisor" 2>/dev/null
}

mkdir -p /tmp/run /tmp/config /tmp/state /run/udev
chown -R 1000:1000 /tmp/run /tmp/config /tmp/state
chmod 700 /tmp/run /tmp/config /tmp/state
chmod -R go-w /drivers
touch /tmp/log
chmod 666 /tmp/log
group=46

/lib/systemd/systemd-udevd --daemon || fail "udevd does not start"
/rig/bin/udevadm trigger --type=devices --action=add
/rig/bin/udevadm settle --timeout=60 || fail "udev does not settle"
