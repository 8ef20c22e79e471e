# SPDX-License-Identifier: MIT
# fish completion of dextral(1)

# Words that the supervisor knows: `dextral __complete WHAT...` prints "word<TAB>description" lines.
function __dextral_word
    set -l words (commandline -opc)
    test (count $words) -ge $argv[1]; and echo $words[$argv[1]]; or echo
end

function __dextral_is -d "whether it is this command"
    test (__dextral_word 2) = $argv[1]
end

function __dextral_at -d "the command, and how many words come before this one"
    set -l words (commandline -opc)
    test (count $words) -eq $argv[2]; and test $words[2] = $argv[1]
end

complete -c dextral -n __fish_use_subcommand -f -a serve -d 'runs the supervisor of the machine\'s devices'
complete -c dextral -n __fish_use_subcommand -f -a list -d 'lists the devices of the machine'
complete -c dextral -n __fish_use_subcommand -f -a info -d 'shows all that is known of a device'
complete -c dextral -n __fish_use_subcommand -f -a get -d 'shows controls, rate, formats, properties and options'
complete -c dextral -n __fish_use_subcommand -f -a set -d 'changes them'
complete -c dextral -n __fish_use_subcommand -f -a create -d 'declares a virtual device'
complete -c dextral -n __fish_use_subcommand -f -a remove -d 'removes declared devices'
complete -c dextral -n __fish_use_subcommand -f -a play -d 'plays an audio file to a device'
complete -c dextral -n __fish_use_subcommand -f -a record -d 'records from a device into an audio file'
complete -c dextral -n __fish_use_subcommand -f -a top -d 'shows load, lateness and xruns, live'
complete -c dextral -n __fish_use_subcommand -f -a incidents -d 'tells what went wrong, when, and why'
complete -c dextral -n __fish_use_subcommand -f -a drivers -d 'lists driver bundles, and whether they may run'
complete -c dextral -n __fish_use_subcommand -f -a approve -d 'lets a driver bundle run'
complete -c dextral -n __fish_use_subcommand -f -a revoke -d 'takes an approval back'
complete -c dextral -n __fish_use_subcommand -f -a grant -d 'lets a program use a driver\'s own interface'
complete -c dextral -n __fish_use_subcommand -f -a restart -d 'starts a driver anew'
complete -c dextral -n __fish_use_subcommand -f -a process -d 'passes an audio file through a driver and DSP plug-ins'
complete -c dextral -n __fish_use_subcommand -f -a usb -d 'lists USB network adapters, and records what goes over the bus'
complete -c dextral -n __fish_use_subcommand -f -a help -d 'shows what a command does and its options'
complete -c dextral -n __fish_use_subcommand -f -s h -l help -d 'lists the commands'
complete -c dextral -n __fish_use_subcommand -f -l version -d 'shows the version'
complete -c dextral -n '__dextral_is help' -f -a 'serve list info get set create remove play record top incidents drivers approve revoke grant restart process usb'

complete -c dextral -n '__dextral_is serve' -f
complete -c dextral -n '__dextral_is serve' -s h -l help -d 'shows what it does'

complete -c dextral -n '__dextral_is list' -f
complete -c dextral -n '__dextral_is list' -s a -l all -d 'hidden devices as well'
complete -c dextral -n '__dextral_is list' -l json -d 'as JSON'
complete -c dextral -n '__dextral_is list' -s h -l help -d 'shows the options'

complete -c dextral -n '__dextral_is info' -f
complete -c dextral -n '__dextral_is info' -l json -d 'as JSON'
complete -c dextral -n '__dextral_is info' -s h -l help -d 'shows the options'
complete -c dextral -n '__dextral_at info 2' -f -a '(dextral __complete devices)'

complete -c dextral -n '__dextral_is get' -f
complete -c dextral -n '__dextral_is get' -l json -d 'as JSON'
complete -c dextral -n '__dextral_is get' -s h -l help -d 'shows the options'
complete -c dextral -n '__dextral_at get 2' -f -a '(dextral __complete devices)'
complete -c dextral -n '__dextral_at get 3' -f -a '(dextral __complete settings (__dextral_word 3))'

complete -c dextral -n '__dextral_is set' -f
complete -c dextral -n '__dextral_is set' -l none -d 'takes the choice of a default back'
complete -c dextral -n '__dextral_is set' -l json -d 'as JSON'
complete -c dextral -n '__dextral_is set' -s h -l help -d 'shows the options'
complete -c dextral -n '__dextral_at set 2' -f -a '(dextral __complete devices)'
complete -c dextral -n '__dextral_at set 3' -f -a '(dextral __complete settings (__dextral_word 3))'
complete -c dextral -n '__dextral_at set 4' -f -a '(dextral __complete values (__dextral_word 3) (__dextral_word 4))'
complete -c dextral -n '__dextral_at set 2' -f -a default -d 'the default device'
complete -c dextral -n '__dextral_at set 3; and test (__dextral_word 3) = default' -f -a '(dextral __complete devices)'
complete -c dextral -n '__dextral_at set 4; and test (__dextral_word 3) = default' -f -a 'output input'
complete -c dextral -n '__dextral_at set 5; and test (__dextral_word 4) = client' -f -a 'volume mute'

complete -c dextral -n '__dextral_is create' -f
complete -c dextral -n '__dextral_is create' -l json -d 'the UID as JSON'
complete -c dextral -n '__dextral_is create' -s h -l help -d 'shows the options'
complete -c dextral -n '__dextral_at create 2' -f -a '(dextral __complete kinds)'
complete -c dextral -n '__dextral_is create; and string match -q -- "-*" (commandline -ct)' -f -a '(dextral __complete options (__dextral_word 3) | string replace -r -- "^" "--")'

complete -c dextral -n '__dextral_is remove' -f
complete -c dextral -n '__dextral_is remove' -l json -d 'the UIDs as JSON'
complete -c dextral -n '__dextral_is remove' -s h -l help -d 'shows the options'
complete -c dextral -n '__dextral_is remove' -f -a '(dextral __complete devices)'

complete -c dextral -n '__dextral_is play' -s d -l device -x -a '(dextral __complete devices)' -d 'where to'
complete -c dextral -n '__dextral_is play' -l latency -x -d 'how much is written ahead, in ms'
complete -c dextral -n '__dextral_is play' -l format -x -a 's16 s24 s32 f32 f64' -d 'samples of standard input'
complete -c dextral -n '__dextral_is play' -l channels -x -d 'of standard input'
complete -c dextral -n '__dextral_is play' -l rate -x -d 'of standard input'
complete -c dextral -n '__dextral_is play' -l no-progress -d 'no progress bar'
complete -c dextral -n '__dextral_is play' -s q -l quiet -d 'errors only'
complete -c dextral -n '__dextral_is play' -s h -l help -d 'shows the options'

complete -c dextral -n '__dextral_is record' -s d -l device -x -a '(dextral __complete devices)' -d 'from where'
complete -c dextral -n '__dextral_is record' -l duration -x -d 'how long, in seconds'
complete -c dextral -n '__dextral_is record' -l format -x -a 's16 s24 s32 f32 f64' -d 'samples of the file'
complete -c dextral -n '__dextral_is record' -l channels -x -d 'of the file'
complete -c dextral -n '__dextral_is record' -l rate -x -d 'of the file'
complete -c dextral -n '__dextral_is record' -l no-progress -d 'no progress bar'
complete -c dextral -n '__dextral_is record' -s q -l quiet -d 'errors only'
complete -c dextral -n '__dextral_is record' -s h -l help -d 'shows the options'

complete -c dextral -n '__dextral_is top' -f
complete -c dextral -n '__dextral_is top' -s b -l batch -d 'one table below the other'
complete -c dextral -n '__dextral_is top' -s n -l count -x -d 'how often'
complete -c dextral -n '__dextral_is top' -s d -l delay -x -d 'between two looks, in seconds'
complete -c dextral -n '__dextral_is top' -s s -l sort -x -a 'name load late xruns' -d 'by what'
complete -c dextral -n '__dextral_is top' -l json -d 'as JSON'
complete -c dextral -n '__dextral_is top' -s h -l help -d 'shows the options'

complete -c dextral -n '__dextral_is incidents' -f
complete -c dextral -n '__dextral_is incidents' -l since -x -d 'not older'
complete -c dextral -n '__dextral_is incidents' -s f -l follow -d 'new ones as they come'
complete -c dextral -n '__dextral_is incidents' -l json -d 'as JSON'
complete -c dextral -n '__dextral_is incidents' -s h -l help -d 'shows the options'
complete -c dextral -n '__dextral_at incidents 2' -f -a '(dextral __complete devices)'

complete -c dextral -n '__dextral_is drivers' -f
complete -c dextral -n '__dextral_is drivers' -l json -d 'as JSON'
complete -c dextral -n '__dextral_is drivers' -s h -l help -d 'shows the options'

complete -c dextral -n '__dextral_is approve' -f
complete -c dextral -n '__dextral_is approve' -l network -d 'it may use the network'
complete -c dextral -n '__dextral_is approve' -s h -l help -d 'shows the options'
complete -c dextral -n '__dextral_at approve 2' -f -a '(dextral __complete drivers)'
complete -c dextral -n '__dextral_at approve 2' -f -a '(__fish_complete_directories)'

complete -c dextral -n '__dextral_is revoke' -f
complete -c dextral -n '__dextral_is revoke' -s h -l help -d 'shows the options'
complete -c dextral -n '__dextral_at revoke 2' -f -a '(dextral __complete drivers)'

complete -c dextral -n '__dextral_is grant' -f
complete -c dextral -n '__dextral_is grant' -l revoke -d 'takes it back'
complete -c dextral -n '__dextral_is grant' -s h -l help -d 'shows the options'
complete -c dextral -n '__dextral_at grant 2' -f -a '(dextral __complete drivers)'
complete -c dextral -n '__dextral_at grant 3' -f -a '(__fish_complete_command)'

complete -c dextral -n '__dextral_is restart' -f
complete -c dextral -n '__dextral_is restart' -s h -l help -d 'shows the options'
complete -c dextral -n '__dextral_at restart 2' -f -a '(dextral __complete drivers)'
complete -c dextral -n '__dextral_at restart 2' -f -a '(dextral __complete devices)'

complete -c dextral -n '__dextral_is process' -l driver -r -a '(__fish_complete_directories)' -d 'the driver bundle'
complete -c dextral -n '__dextral_is process' -l dsp -r -F -d 'a DSP plug-in, PATH or PATH:name=value,...'
complete -c dextral -n '__dextral_is process' -l device -x -d 'which device of the driver'
complete -c dextral -n '__dextral_is process' -l set -x -d 'a control of the device, KEY=VALUE'
complete -c dextral -n '__dextral_is process' -l offline -d 'on a simulated clock'
complete -c dextral -n '__dextral_is process' -l seed -x -d 'orders what is due at the same time'
complete -c dextral -n '__dextral_is process' -l rate -x -d 'rate of the device'
complete -c dextral -n '__dextral_is process' -l io-frames -x -d 'frames in a cycle'
complete -c dextral -n '__dextral_is process' -l output-format -x -a 's16 s24 s32 f32 f64' -d 'samples of OUT'
complete -c dextral -n '__dextral_is process' -l tail -x -d 'records on after the end'
complete -c dextral -n '__dextral_is process' -l priority -x -d 'real-time priority, 0 for none'
complete -c dextral -n '__dextral_is process' -l cpu -x -d 'CPU for the cycles'
complete -c dextral -n '__dextral_is process' -l strict -d 'fails if frames were lost'
complete -c dextral -n '__dextral_is process' -l json -d 'the summary as JSON'
complete -c dextral -n '__dextral_is process' -l no-progress -d 'no progress bar'
complete -c dextral -n '__dextral_is process' -s q -l quiet -d 'errors only'
complete -c dextral -n '__dextral_is process' -s h -l help -d 'shows the options'

complete -c dextral -n '__dextral_at usb 2' -f -a 'list capture'
complete -c dextral -n '__dextral_is usb' -s d -l device -x -a '(dextral usb list --json 2>/dev/null | string replace -rf \'.*"path": "([^"]*)".*\' \'$1\')' -d 'which adapter'
complete -c dextral -n '__dextral_is usb' -l seconds -x -d 'how long'
complete -c dextral -n '__dextral_is usb' -l frames -d 'Ethernet frames as well'
complete -c dextral -n '__dextral_is usb' -l json -d 'as JSON'
complete -c dextral -n '__dextral_is usb' -s h -l help -d 'shows the options'
