# SPDX-License-Identifier: MIT
# fish completion of dextral(1)

complete -c dextral -n __fish_use_subcommand -f -a process -d 'passes an audio file through a driver and DSP plug-ins'
complete -c dextral -n __fish_use_subcommand -f -a help -d 'shows what a command does and its options'
complete -c dextral -n __fish_use_subcommand -f -s h -l help -d 'lists the commands'
complete -c dextral -n __fish_use_subcommand -f -l version -d 'shows the version'
complete -c dextral -n '__fish_seen_subcommand_from help' -f -a process

complete -c dextral -n '__fish_seen_subcommand_from process' -l driver -r -a '(__fish_complete_directories)' -d 'the driver bundle'
complete -c dextral -n '__fish_seen_subcommand_from process' -l dsp -r -F -d 'a DSP plug-in, PATH or PATH:name=value,...'
complete -c dextral -n '__fish_seen_subcommand_from process' -l device -x -d 'which device of the driver'
complete -c dextral -n '__fish_seen_subcommand_from process' -l set -x -d 'a control of the device, KEY=VALUE'
complete -c dextral -n '__fish_seen_subcommand_from process' -l offline -d 'on a simulated clock'
complete -c dextral -n '__fish_seen_subcommand_from process' -l seed -x -d 'orders what is due at the same time'
complete -c dextral -n '__fish_seen_subcommand_from process' -l rate -x -d 'rate of the device'
complete -c dextral -n '__fish_seen_subcommand_from process' -l io-frames -x -d 'frames in a cycle'
complete -c dextral -n '__fish_seen_subcommand_from process' -l output-format -x -a 's16 s24 s32 f32 f64' -d 'samples of OUT'
complete -c dextral -n '__fish_seen_subcommand_from process' -l tail -x -d 'records on after the end'
complete -c dextral -n '__fish_seen_subcommand_from process' -l priority -x -d 'real-time priority, 0 for none'
complete -c dextral -n '__fish_seen_subcommand_from process' -l cpu -x -d 'CPU for the cycles'
complete -c dextral -n '__fish_seen_subcommand_from process' -l strict -d 'fails if frames were lost'
complete -c dextral -n '__fish_seen_subcommand_from process' -l json -d 'the summary as JSON'
complete -c dextral -n '__fish_seen_subcommand_from process' -l no-progress -d 'no progress bar'
complete -c dextral -n '__fish_seen_subcommand_from process' -s q -l quiet -d 'errors only'
complete -c dextral -n '__fish_seen_subcommand_from process' -s h -l help -d 'shows the options'
