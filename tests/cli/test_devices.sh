#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Devices of the machine: made, listed, named, changed, kept and removed; drivers approved; and what is wrong is said.
# usage: test_devices.sh DEXTRAL MODULES ROOT DEXTRALD DEXTRAL_DRIVER

# shellcheck disable=SC1091,SC2154 # what machine.sh sets
. "$(dirname -- "${BASH_SOURCE[0]}")/machine.sh"

# Without a supervisor: 7, and how to start one.
for arguments in list "info x" "get x" "set x rate 48000" "create cable" "remove x" "play in.wav" "record out.wav" "top -b" \
    incidents drivers "approve x" "revoke x" "grant x sh" "restart x"; do
    make_wav in.wav 2 48000 480
    # shellcheck disable=SC2086 # several words
    refuse 7 'dextral serve' $arguments
done
[ ! -e out.wav ] || fail "a recording without a supervisor left a file"
succeed create --help
succeed serve --help
[ -z "$("$dextral" __complete devices 2>&1)" ] || fail "completion complains without a supervisor"
show "dextrald $("$dextral" --version | cut -d' ' -f2)" serve --version

make_bundle Knobs.dext ControlsDriver
make_bundle Hidden.dext HiddenDriver
sed -i 's/org\.dextral\.test/org.dextral.hidden/' Hidden.dext/Info.plist
drivers=(--driver "$work/Knobs.dext" --driver "$work/Hidden.dext")
start_supervisor "${drivers[@]}"

# Nothing yet.
succeed list
grep -qF "dextral create cable" stderr || fail "an empty list does not say how to make a device"
check 'd == []' list --json
refuse 2 "there is no device 'x', nor any other: 'dextral create cable'" info x

# Made as asked for.
show stream-mix create cable --name "Stream mix" --channels 8 --rate 48000
check 'd == {"uid": "talk"}' create cable --name Talk --uid talk --channels 1 --rate 44100 --rates 44100,96000 --json
show silence create null --name Silence
succeed list
grep -qE '^Stream mix +stream-mix +[a-z-]+ +idle +48000 +8 +8 +0$' stdout || fail "the list lacks the device: $(cat stdout)"
check '[x["uid"] for x in d] == ["stream-mix", "talk", "silence"]' list --json
check '[(x["name"], x["rate"], x["input-channels"], x["output-channels"], x["kind"]) for x in d][:2] ==
    [("Stream mix", 48000, 8, 8, "cable"), ("Talk", 44100, 1, 1, "cable")]' list --json
check 'd["rates"] == [44100, 96000] and d["options"]["channels"] == "1" and d["sessions"] == [] and
    d["inputs"][0]["physical"]["channels"] == 1 and d["state"] == "idle"' info talk --json
succeed info talk
grep -qF 'Talk (talk)' stdout || fail "info does not name the device"
grep -qF '44100 Hz, of 44100, 96000' stdout || fail "info does not show the rates"

# What cannot be made, and why.
refuse 2 "the kind comes first" create
refuse 2 "the kind comes first" create --name x
refuse 2 "there is no kind 'cabel'; there are: cable, null" create cabel
refuse 2 "did you mean --channels" create cable --chanels 2
refuse 2 "1 to 1024" create cable --channels 0
refuse 2 "it takes options only; what is 'x'" create cable x
refuse 2 "--name is empty" create cable --name ''
refuse 2 "there is such a device" create cable --uid talk
succeed create cable --help
grep -qE '^ +--channels N' stdout || fail "the help of a kind lacks its options: $(cat stdout)"
succeed create --help
grep -qE '^  cable  ' stdout || fail "the help lacks the kinds: $(cat stdout)"
check 'len(d) == 3' list --json

# How a device is named: UID, name, the beginning of one; upper and lower case differ.
for name in stream-mix "Stream mix" stream- "Stream m"; do
    show 48000 get "$name" rate
done
show tal create cable --uid tal --name Talk
show 44100 get talk rate
show 48000 get tal rate
refuse 2 "may be any of these, give the UID of one: talk (Talk), tal (Talk)" get Talk rate
refuse 2 "may be any of these" get ta rate
refuse 2 "there is no device 'TALK'; there are: stream-mix (Stream mix), talk (Talk)" get TALK rate
refuse 2 "the name of the device is empty" set '' rate 48000

# Rates, formats, cycles.
succeed set talk rate 96000
show 96000 get talk rate
check '[x["rate"] for x in d if x["uid"] == "talk"] == [96000]' list --json
check 'd["value"] == 96000 and d["kind"] == "rate" and d["settable"]' get talk rate --json
refuse 2 "the device has 44100, 96000 Hz" set talk rate 48000
refuse 2 "expected a rate in Hz" set talk rate fast
show f32/1ch/96000 get talk format output
succeed set talk format output s24
show s24/1ch/96000 get talk format output:0
succeed set talk format input:0 s16,1ch
show s16/1ch/96000 get talk format input
refuse 2 "it has: f32, s16, s24, s32 / 1ch / 44100, 96000" set talk format output s20
refuse 2 "the device has no stream output:1" set talk format output:1 s16
refuse 2 "the device has no stream sideways" set talk format sideways s16
refuse 2 "expected: dextral set DEVICE format output[:N]|input[:N] FORMAT" set talk format output
succeed set talk io-frames 128
show 128 get talk io-frames
refuse 2 "does not fit" set talk io-frames 8000
refuse 2 "expected a number of frames" set talk io-frames -1

# Options of declared devices, in their short form and in the long one.
succeed set talk ppm -12.5
show -12.5 get talk ppm
succeed set talk option ppm 3
show 3 get talk option ppm
succeed set talk channels 3 # from the driver's next start on, and it has nothing to do
has_three_channels() {
    "$dextral" list | grep -E '^Talk .* 3 +3 +0$'
}
wait_for 10 has_three_channels
succeed set talk channels 1
refuse 2 "-1000 to 1000" set talk ppm 5000
refuse 2 "the device has no control or option volume; its options: name" set talk volume 1
refuse 2 "the device has no volume; it has: rate, io-frames" get talk volume
refuse 2 "something is missing" set talk ppm
refuse 2 "expected: dextral set DEVICE option NAME VALUE" set talk option ppm
refuse 4 "the uid of a device stays" set talk uid talk2
refuse 2 "too many arguments" set a b c d e f
refuse 2 "put what has blanks between quotes" set talk ppm 1 2

# The default: the first device, unless one was chosen.
show stream-mix get default
succeed set default silence output
show silence get default
show stream-mix get default input
succeed set default talk
show talk get default input
check '[x["default-for"] for x in d if x["uid"] == "talk"] == [["output", "input"]]' list --json
succeed list
grep -qE '^Talk +talk +both ' stdout || fail "the list does not mark the default"
check 'd == {"uid": "talk", "what": "ppm", "text": "3"}' set talk ppm 3 --json
check 'd == {"what": "default output", "text": "talk"}' set default talk output --json
succeed create cable --name Brief
check 'd == ["brief"]' remove --json Brief
succeed set default --none
show stream-mix get default output
refuse 2 "expected: dextral set default DEVICE" set default talk sideways
refuse 2 "--none goes with 'default' alone" set talk rate 1 --none

# Kept: another supervisor knows all of it.
succeed set default silence
stop_supervisor
start_supervisor "${drivers[@]}"
show silence get default
show 3 get talk ppm
show 96000 get talk rate
show 44100,96000 get talk option rates
check 'sorted(x["uid"] for x in d) == ["silence", "stream-mix", "tal", "talk"]' list --json

# Removed: all of them, or none.
refuse 2 "there is no device 'nowhere'" remove tal nowhere
succeed get tal rate
succeed remove tal silence
refuse 2 "there is no device 'silence'" get silence rate
check 'sorted(x["uid"] for x in d) == ["stream-mix", "talk"]' list --json
refuse 2 "which device" remove

# A driver that nobody has approved is not started; then its controls are there.
succeed drivers
grep -qE '^org\.dextral\.test +1\.0 +unapproved .*dextral approve org\.dextral\.test' stdout ||
    fail "drivers: $(cat stdout)"
check '[(x["bundle"], x["state"], x["version"]) for x in d if x["bundle"] == "org.dextral.test"] ==
    [("org.dextral.test", "unapproved", "1.0")]' drivers --json
refuse 2 "there is no such bundle" approve org.dextral.nowhere
refuse 2 "does not ask for the network" approve Knobs.dext --network
refuse 2 "something is missing: dextral approve BUNDLE" approve
succeed approve Knobs.dext
wait_for 10 "$dextral" get org.dextral.test mute/outp/0
succeed get org.dextral.test
for control in 'mute/outp/0 .* o(n|ff) +on, off' 'sldr/outp/1 +Mix +[0-9]+ +1 to 20' 'vlme/outp/0 +Volume +.*dB +-96dB to 0dB' \
    'jack/outp/0 .* only shown'; do
    grep -qE "^$control" stdout || fail "get does not show $control: $(cat stdout)"
done
# What its driver says of its channels: Core Audio numbers labels so.
succeed info org.dextral.test
grep -qxE ' +channels: right, discrete 3' stdout || fail "info does not show what channels are for: $(cat stdout)"
[ "$(grep -c 'channels:' stdout)" = 1 ] || fail "info shows a layout of an input that has none: $(cat stdout)"
check 'd["outputs"][0]["layout"] == [2, 65539] and "layout" not in d["inputs"][0]' info org.dextral.test --json
succeed set org.dextral.test Volume -6dB
show -6dB get org.dextral.test Volume
show -6dB get org.dextral.test vlme/outp/0
succeed set org.dextral.test vlme/outp/0 50%
show -48dB get org.dextral.test control Volume
succeed set org.dextral.test control Mix 7
show 7 get org.dextral.test Mix
succeed set org.dextral.test mute/outp/0 off
check 'd["value"] is False and d["kind"] == "boolean"' get org.dextral.test mute/outp/0 --json
succeed set org.dextral.test Mode A=B
show A=B get org.dextral.test Mode
succeed set org.dextral.test Pan 0.25
show 0.25 get org.dextral.test Pan
refuse 2 "set: Mix 21: expected 1 to 20" set org.dextral.test Mix 21
refuse 2 "expected one of: Line, A=B, Twin, Twin" set org.dextral.test Mode Lines
refuse 2 "several controls are named Double; give the key of one: sldr/outp/2, sldr/outp/3" set org.dextral.test Double 1
refuse 2 "several controls are named Double" get org.dextral.test Double
refuse 2 "only shows something" set org.dextral.test jack/outp/0 on
refuse 2 "the device has no control Souce; it has: mute/outp/0" set org.dextral.test Souce 1
refuse 4 "set: Mode Line: the driver refused it: kIOReturnNotReady" set org.dextral.test Mode Line

# A hidden device is found by its UID, and by nothing less.
succeed approve org.dextral.hidden
wait_for 10 "$dextral" get org.dextral.hidden rate
succeed list
! grep -qF org.dextral.hidden stdout || fail "the list shows a hidden device"
succeed list --all
grep -qF org.dextral.hidden stdout || fail "list --all does not show a hidden device"
refuse 2 "there is no device 'org.dextral.h'" get org.dextral.h rate

# Programs that may use its own interface; and back again.
succeed grant org.dextral.test sh
check '[len(x["programs"]) for x in d if x["bundle"] == "org.dextral.test"] == [1]' drivers --json
succeed grant org.dextral.test sh --revoke
check '[x["programs"] for x in d if x["bundle"] == "org.dextral.test"] == [[]]' drivers --json
refuse 2 "there is no program dextral-nowhere in PATH" grant org.dextral.test dextral-nowhere
refuse 2 "No such file" grant org.dextral.test ./nowhere
succeed restart org.dextral.test
succeed restart org.dextral.test
refuse 2 "there is no device 'nowhere'" restart nowhere
succeed revoke org.dextral.test
refuse 2 "has not been approved" revoke org.dextral.test
refuse 4 "dextral approve org.dextral.test" play in.wav --device org.dextral.test

# Completion asks the supervisor.
grep -qxF $'stream-mix\tStream mix' <("$dextral" __complete devices) || fail "completion lacks devices"
grep -qxF $'ppm\t3' <("$dextral" __complete settings talk) || fail "completion lacks options: $("$dextral" __complete settings talk)"
grep -qxF $'96000\tHz' <("$dextral" __complete values talk rate) || fail "completion lacks rates"
grep -q '^channels' <("$dextral" __complete options cable) || fail "completion lacks options of a kind"
[ -z "$("$dextral" __complete settings nowhere 2>&1)" ] || fail "completion complains of a device that is not there"
completed=$(PATH=$(dirname "$dextral"):$PATH bash -c ". '$root/cli/completions/dextral.bash'"'
    COMP_WORDS=(dextral set stream-mix "") COMP_CWORD=3
    _dextral
    printf "%s\n" "${COMPREPLY[@]}"' 2>/dev/null)
grep -qx channels <<<"$completed" || fail "bash does not complete options of a device: $completed"

# However many bundles there are: more than fit into one message.
folder=$XDG_DATA_HOME/dextral/drivers
mkdir -p "$folder"
for ((i = 0; i < 1500; i++)); do
    mkdir "$folder/$i.dext"
done
check 'len(set(x["path"] for x in d)) == 1502 and len(d) == 1502' drivers --json
grep -qxF $'org.dextral.test\tunapproved' <("$dextral" __complete drivers) || fail "completion lacks drivers"
rm -r "$folder"

# Every listing prints what a full disk cannot take as an error.
for listing in list drivers "info talk" "get talk"; do
    # shellcheck disable=SC2086 # several words
    if "$dextral" $listing >/dev/full 2>stderr; then
        fail "$listing: a full standard output was not noticed"
    fi
done

stop_supervisor
wait_for 20 is_none_left
finish
