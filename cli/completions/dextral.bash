# SPDX-License-Identifier: MIT
# bash completion of dextral(1)

_dextral_process() {
    local current=$1 previous=$2
    local options="--driver --dsp --device --set --offline --seed --rate --io-frames --output-format --tail
        --priority --cpu --strict --json --no-progress --quiet --help"
    case $previous in
        --driver)
            mapfile -t COMPREPLY < <(compgen -d -- "$current")
            return
            ;;
        --dsp)
            mapfile -t COMPREPLY < <(compgen -f -X '!*.so' -- "$current"; compgen -d -- "$current")
            return
            ;;
        --output-format)
            mapfile -t COMPREPLY < <(compgen -W "s16 s24 s32 f32 f64" -- "$current")
            return
            ;;
        --device | --set | --seed | --rate | --io-frames | --tail | --priority | --cpu)
            COMPREPLY=()
            return
            ;;
    esac
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}

_dextral() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    compopt -o filenames 2>/dev/null
    if [[ $COMP_CWORD -eq 1 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "process help --help --version" -- "$current")
        return
    fi
    case ${COMP_WORDS[1]} in
        process) _dextral_process "$current" "$previous" ;;
        help) mapfile -t COMPREPLY < <(compgen -W "process" -- "$current") ;;
    esac
}

complete -F _dextral dextral
