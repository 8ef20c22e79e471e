#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Whatever is wrong with files, bundles, drivers or numbers: a clear message, its exit code, and no output file.
# usage: test_bad_input.sh DEXTRAL MODULES ROOT

# shellcheck disable=SC1091,SC2154 # what common.sh sets
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

make_bundle Good.dext GoodDriver
make_wav in.wav 2 48000 4800
p=(process --offline --driver Good.dext)

# The material is right before anything of it is made wrong.
succeed "${p[@]}" -q in.wav out.wav
cmp in.wav out.wav || fail "the good driver changed the file"

# Usage.
expect 2 "which command" </dev/null
expect 2 "did you mean 'process'" proces
expect 2 "there is no command 'frobnicate'" frobnicate
expect 2 "the command comes first" --driver Good.dext process
expect 2 "which driver" process in.wav out.wav
expect 2 "which input file" "${p[@]}"
expect 2 "which output file" "${p[@]}" in.wav
expect 2 "what is 'more'" "${p[@]}" in.wav out.wav more
expect 2 "did you mean --offline" process --ofline
expect 2 "needs a value: --driver PATH" process --driver
expect 2 "takes no value" process --offline=yes
expect 2 "given twice" "${p[@]}" --driver Good.dext in.wav out.wav
expect 2 "there is no option -x" process -x
expect 2 "the same file" "${p[@]}" in.wav in.wav
expect 2 "End its name in .wav" "${p[@]}" in.wav out
expect 2 "End its name in .wav" "${p[@]}" in.wav out.mp3
expect 2 "needs" process --dsp
expect 2 "give --offline as well" process --driver Good.dext --seed 1 in.wav out.wav
expect 2 "at most 8 --dsp" "${p[@]}" --dsp a --dsp a --dsp a --dsp a --dsp a --dsp a --dsp a --dsp a --dsp a

# Absurd rates and counts.
for value in 0 -1 nan inf 1e12 48k '' 0x10; do
    expect 2 "--rate" "${p[@]}" --rate "$value" in.wav out.wav
done
expect 2 "the device has 48000 Hz" "${p[@]}" --rate 44100 in.wav out.wav
for value in 0 -5 1.5 99999999999999999999 x; do
    expect 2 "--io-frames" "${p[@]}" --io-frames "$value" in.wav out.wav
done
expect 2 "does not fit" "${p[@]}" --io-frames 24000 in.wav out.wav
for value in -1 1e9 nan long; do
    expect 2 "--tail" "${p[@]}" --tail "$value" in.wav out.wav
done
for value in -1 100 high; do
    expect 2 "--priority" "${p[@]}" --priority "$value" in.wav out.wav
done
expect 2 "this machine has CPUs 0 to" "${p[@]}" --cpu 99999 in.wav out.wav
expect 2 "expected s16, s24" "${p[@]}" --output-format s17 in.wav out.wav
expect 2 "holds no 2 channels of f32" "${p[@]}" --output-format f32 in.wav out.flac
expect 2 "expected an integer" "${p[@]}" --seed -1 in.wav out.wav
expect 2 "has no device nowhere; it has: org.dextral.test" "${p[@]}" --device nowhere in.wav out.wav

# Controls.
expect 2 "needs a value: --set KEY=VALUE" process --set
for value in Source =1; do
    expect 2 "expected KEY=VALUE" "${p[@]}" --set "$value" in.wav out.wav
done
many=()
for ((i = 0; i < 65; i++)); do
    many+=(--set a=b)
done
expect 2 "at most 64 --set" "${p[@]}" "${many[@]}" in.wav out.wav
expect 2 "the device has no control Source; it has: none" "${p[@]}" --set Source=Loopback in.wav out.wav
make_bundle Knobs.dext ControlsDriver
k=(process --offline --driver Knobs.dext)
succeed "${k[@]}" -q --set mute/outp/0=off --set Mix=1 --set nlvl/outp/0=7 --set Pan=0.25 --set sldr/outp/2=20 \
    --set Volume=-96dB --set mute/outp/0=ON --set Mode=A=B in.wav out.wav
expect 2 "no control Souce; it has: mute/outp/0, sldr/outp/1 (Mix), sldr/outp/2 (Double), sldr/outp/3 (Double), vlme" \
    "${k[@]}" --set Souce=1 in.wav out.wav
expect 2 "several controls are named Double; give the key of one: sldr/outp/2, sldr/outp/3" \
    "${k[@]}" --set Double=1 in.wav out.wav
expect 2 "only shows something" "${k[@]}" --set jack/outp/0=on in.wav out.wav
expect 2 "expected on or off" "${k[@]}" --set mute/outp/0=maybe in.wav out.wav
for value in -1 21 1.5 '' x 99999999999; do
    expect 2 "expected 1 to 20" "${k[@]}" --set "Mix=$value" in.wav out.wav
done
for value in -6 -97dB 1dB dB nandB 1.5 '' -6dBm; do
    expect 2 "expected -96dB to 0dB, or 0 to 1" "${k[@]}" --set "Volume=$value" in.wav out.wav
done
for value in -0.1 2 nan ''; do
    expect 2 "expected a position" "${k[@]}" --set "Pan=$value" in.wav out.wav
done
# what is shown is what was written, not what it was resolved to
expect 2 "process: --set Mode=Lines: expected one of: Line, A=B, Twin, Twin" "${k[@]}" --set Mode=Lines in.wav out.wav
expect 2 "several items have that name" "${k[@]}" --set Mode=Twin in.wav out.wav
expect 4 "process: --set Mode=Line: the driver refused it: kIOReturnNotReady" "${k[@]}" --set Mode=Line in.wav out.wav

# Nothing where something belongs.
for option in driver dsp device set rate seed output-format io-frames tail priority cpu; do
    expect 2 "--$option is empty: --$option " process "--$option=" in.wav out.wav
done
expect 2 "the name of the input file is empty" "${p[@]}" '' out.wav
expect 2 "the name of the output file is empty" "${p[@]}" in.wav ''

# Input files.
expect 3 "No such file" "${p[@]}" missing.wav out.wav
: >empty.wav
expect 3 "is empty" "${p[@]}" empty.wav out.wav
printf 'no audio at all, whatever its name is' >text.wav
expect 3 "is no audio file" "${p[@]}" text.wav out.wav
head -c 1000 /dev/urandom >random.flac
expect 3 "random.flac" "${p[@]}" random.flac out.wav
mkdir folder.wav
expect 3 "is a folder" "${p[@]}" folder.wav out.wav
mkfifo fifo.wav
expect 3 "no regular file" "${p[@]}" fifo.wav out.wav
if [ "$(id -u)" != 0 ]; then
    cp in.wav secret.wav
    chmod 0 secret.wav
    expect 3 "Permission denied" "${p[@]}" secret.wav out.wav
fi
head -c 10000 in.wav >cut.wav
expect 3 "cut short" "${p[@]}" cut.wav out.wav
head -c 44 in.wav >header.wav
expect 3 "cut short" "${p[@]}" header.wav out.wav
head -c 20 in.wav >stub.wav
expect 3 "stub.wav" "${p[@]}" stub.wav out.wav
succeed "${p[@]}" -q in.wav whole.flac
head -c 3000 whole.flac >cut.flac
expect 3 "cut short" "${p[@]}" cut.flac out.wav
make_wav none.wav 1 48000 100
printf '\0' | dd of=none.wav bs=1 seek=22 conv=notrunc status=none
expect 3 "hannel" "${p[@]}" none.wav out.wav
make_wav many.wav 2000 48000 1
expect 3 "hannel" "${p[@]}" many.wav out.wav
make_wav still.wav 2 0 100
expect 3 "rate" "${p[@]}" still.wav out.wav
make_wav fast.wav 2 2000000000 100
expect 3 "2000000000" "${p[@]}" fast.wav out.wav
make_wav huge.wav 2 48000 100 $((0xffffffff))
expect 3 "announces 4294967295 bytes" "${p[@]}" huge.wav out.wav
make_wav nothing.wav 2 48000 0
expect 3 "no frames" "${p[@]}" nothing.wav out.wav
make_wav slow.wav 2 100 10
said=$("$dextral" "${p[@]}" slow.wav out.wav 2>&1 || true)
if [[ $said == *-Dsamplerate=enabled* ]]; then
    expect 1 "install libsamplerate" "${p[@]}" slow.wav out.wav
else
    expect 3 "1/256 to 256" "${p[@]}" slow.wav out.wav
fi

# Bundles.
expect 4 "No such file" process --offline --driver Missing.dext in.wav out.wav
mkdir Empty.dext
expect 4 "no Info.plist" process --offline --driver Empty.dext in.wav out.wav
make_bundle Bad.dext GoodDriver
printf '<plist version="1.0"><dict>' >Bad.dext/Info.plist
expect 4 "cut short" process --offline --driver Bad.dext in.wav out.wav
make_bundle Bad.dext GoodDriver
sed -i 's/IOProviderClass/IOProviderKlass/' Bad.dext/Info.plist
expect 4 'personality "Test": IOProviderClass is missing' process --offline --driver Bad.dext in.wav out.wav
make_bundle Bad.dext GoodDriver
sed -i 's/DEXT/APPL/' Bad.dext/Info.plist
expect 4 'expected "DEXT"' process --offline --driver Bad.dext in.wav out.wav
make_bundle Bad.dext GoodDriver
sed -i 's|<key>IOUserClass</key><string>G|<key>CFBundleIdentifier</key><string>org.other</string>&|' Bad.dext/Info.plist
expect 4 "which contradicts" process --offline --driver Bad.dext in.wav out.wav
make_bundle Bad.dext NoSuchDriver
expect 4 "must export dx_driver_class_NoSuchDriver" process --offline --driver Bad.dext in.wav out.wav
make_bundle Bad.dext GoodDriver
rm Bad.dext/Test.so
expect 4 "Test.so: No such file" process --offline --driver Bad.dext in.wav out.wav
printf 'text' >Bad.dext/Test.so
expect 4 "cannot load" process --offline --driver Bad.dext in.wav out.wav
make_bundle Bad.dext GoodDriver
sed -i 's|<string>Test</string>|<string>../../../lib/evil</string>|' Bad.dext/Info.plist
expect 4 "own folder" process --offline --driver Bad.dext in.wav out.wav

# A path stands in a message once.
for path in Missing.dext in.wav "Bad.dext"; do
    rm -f Bad.dext/Test.so
    "$dextral" process --offline --driver "$path" in.wav out.wav 2>stderr && fail "$path was taken"
    [ "$(grep -oF "$path" stderr | wc -l)" = 1 ] || fail "twice in a message: $(cat stderr)"
done

# Plug-ins: what is wrong with the plug-in is 4, a parameter that cannot be is 2, as for --set.
expect 4 "dextral: missing.so: No such file" "${p[@]}" --dsp missing.so in.wav out.wav
expect 4 "is no DSP plug-in" "${p[@]}" --dsp "Good.dext/Test.so:gain=1" in.wav out.wav
expect 2 "expected PATH or PATH:name=value" "${p[@]}" --dsp ":gain=1" in.wav out.wav
expect 2 'has no parameter "foo"; it has scale' "${p[@]}" --dsp "$modules/test_linear.so:foo=1" in.wav out.wav
expect 2 "must be a number" "${p[@]}" --dsp "$modules/test_linear.so:scale=x" in.wav out.wav
expect 2 "scale is -8 ... 8" "${p[@]}" --dsp "$modules/test_linear.so:scale=9" in.wav out.wav

# Drivers.
bad_driver() { # CLASS MESSAGE
    make_bundle Bad.dext "$1"
    expect 4 "$2" process --offline --driver Bad.dext in.wav out.wav
}
bad_driver InitDriver "did not start"
bad_driver StartDriver "kIOReturnNotResponding"
bad_driver NoDeviceDriver "published no device"
bad_driver SmallRingDriver "ring smaller than the zero-timestamp period"
bad_driver NoStampsDriver "no zero timestamp"
bad_driver NoInputDriver "no input stream"
bad_driver NonMixableDriver "no mixable format"
bad_driver RateDriver "did not start: kIOReturnBadArgument"
bad_driver StartIODriver "did not start"
make_bundle Two.dext TwoDevicesDriver
expect 2 "give --device with one of: " process --offline --driver Two.dext in.wav out.wav

# Output files.
expect 5 "folder" "${p[@]}" in.wav no/such/folder/out.wav
mkdir taken.wav
expect 5 "no regular file" "${p[@]}" in.wav taken.wav
expect 5 "no regular file" "${p[@]}" in.wav fifo.wav
# The limit on a file's size is met as a full disk is: by a write that fails.
(
    ulimit -f 8192 # KiB: more than the device's own memory
    got=0
    "$dextral" "${p[@]}" --tail 60 in.wav full.wav 2>stderr || got=$?
    [ "$got" = 5 ] && grep -qF "could not be written" stderr
) || fail "a full disk: $(cat stderr)"
[ ! -e full.wav ] || fail "a full disk left a file"
check_nothing_left "on a full disk"
# What was there before stays.
cp in.wav keep.wav
expect 3 "cut short" "${p[@]}" cut.wav keep.wav
cmp in.wav keep.wav || fail "a failed run replaced a file"

# An output that nobody reads is an error as well.
if "$dextral" help >/dev/full 2>stderr; then
    fail "a full standard output was not noticed"
fi

finish
