# SPDX-License-Identifier: MIT
# bash completion of dextral(1)

# Words that the supervisor knows: `dextral __complete WHAT...` prints "word<TAB>description" lines.
_dextral_ask() {
    local current=$1 word
    shift
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        if [[ $word == "${current//\\/}"* ]]; then
            COMPREPLY+=("$(printf '%q' "$word")")
        fi
    done < <("${COMP_WORDS[0]}" __complete "$@" 2>/dev/null)
}

# Options, or else what the function named after them gives.
_dextral_options() {
    mapfile -t COMPREPLY < <(compgen -W "$2" -- "$1")
}

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
        _dextral_options "$current" "$options"
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}

_dextral_play() {
    local current=$1 previous=$2
    local options="--device --latency --format --channels --rate --no-progress --quiet --help"
    case $previous in
        --device | -d) _dextral_ask "$current" devices ;;
        --format) mapfile -t COMPREPLY < <(compgen -W "s16 s24 s32 f32 f64" -- "$current") ;;
        --latency | --channels | --rate) COMPREPLY=() ;;
        *)
            if [[ $current == -* ]]; then
                _dextral_options "$current" "$options"
            else
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
            fi
            ;;
    esac
}

_dextral_record() {
    local current=$1 previous=$2
    local options="--device --duration --format --channels --rate --no-progress --quiet --help"
    case $previous in
        --device | -d) _dextral_ask "$current" devices ;;
        --format) mapfile -t COMPREPLY < <(compgen -W "s16 s24 s32 f32 f64" -- "$current") ;;
        --duration | --channels | --rate) COMPREPLY=() ;;
        *)
            if [[ $current == -* ]]; then
                _dextral_options "$current" "$options"
            else
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
            fi
            ;;
    esac
}

_dextral_serve() {
    local current=$1
    local options="--help"
    _dextral_options "$current" "$options"
}

_dextral_list() {
    local current=$1
    local options="--all --json --help"
    _dextral_options "$current" "$options"
}

# Commands that take a device first.
_dextral_device_first() {
    local current=$1 options=$2
    if [[ $current == -* ]]; then
        _dextral_options "$current" "$options"
    elif [[ $COMP_CWORD -eq 2 ]]; then
        _dextral_ask "$current" devices
    fi
}

_dextral_info() {
    local options="--json --help"
    _dextral_device_first "$1" "$options"
}

_dextral_get() {
    local options="--json --help"
    _dextral_device_first "$1" "$options"
    if [[ $1 != -* && $COMP_CWORD -eq 3 ]]; then
        _dextral_ask "$1" settings "$(_dextral_plain "${COMP_WORDS[2]}")"
    fi
}

# A word as the program will see it.
_dextral_plain() {
    local word=$1
    word=${word#[\"\']}
    word=${word%[\"\']}
    printf '%s' "${word//\\/}"
}

_dextral_set() {
    local options="--none --json --help"
    _dextral_device_first "$1" "$options"
    if [[ $1 == -* ]]; then
        return
    elif [[ $COMP_CWORD -eq 3 && ${COMP_WORDS[2]} == default ]]; then
        _dextral_ask "$1" devices
    elif [[ $COMP_CWORD -eq 4 && ${COMP_WORDS[2]} == default ]]; then
        mapfile -t COMPREPLY < <(compgen -W "output input" -- "$1")
    elif [[ $COMP_CWORD -eq 3 ]]; then
        _dextral_ask "$1" settings "$(_dextral_plain "${COMP_WORDS[2]}")"
    elif [[ $COMP_CWORD -eq 4 ]]; then
        _dextral_ask "$1" values "$(_dextral_plain "${COMP_WORDS[2]}")" "$(_dextral_plain "${COMP_WORDS[3]}")"
    elif [[ $COMP_CWORD -eq 5 && ${COMP_WORDS[3]} == client ]]; then
        mapfile -t COMPREPLY < <(compgen -W "volume mute" -- "$1")
    fi
}

_dextral_create() {
    local current=$1 previous=$2 word
    local options="--json --help"
    if [[ $current == -* ]]; then
        _dextral_options "$current" "$options"
        while IFS=$'\t' read -r word _; do
            if [[ --$word == "$current"* ]]; then
                COMPREPLY+=("--$word")
            fi
        done < <("${COMP_WORDS[0]}" __complete options "${COMP_WORDS[2]}" 2>/dev/null)
    elif [[ $COMP_CWORD -eq 2 ]]; then
        _dextral_ask "$current" kinds
    elif [[ $previous == --follow ]]; then
        _dextral_ask "$current" devices
    fi
}

_dextral_remove() {
    local options="--json --help"
    if [[ $1 == -* ]]; then
        _dextral_options "$1" "$options"
    else
        _dextral_ask "$1" devices
    fi
}

_dextral_top() {
    local current=$1 previous=$2
    local options="--batch --count --delay --sort --json --help"
    case $previous in
        --sort | -s) mapfile -t COMPREPLY < <(compgen -W "name load late xruns" -- "$current") ;;
        *) _dextral_options "$current" "$options" ;;
    esac
}

_dextral_incidents() {
    local options="--since --follow --json --help"
    _dextral_device_first "$1" "$options"
}

_dextral_drivers() {
    local options="--json --help"
    _dextral_options "$1" "$options"
}

# Commands that take a driver first.
_dextral_driver_first() {
    local current=$1 options=$2
    if [[ $current == -* ]]; then
        _dextral_options "$current" "$options"
    elif [[ $COMP_CWORD -eq 2 ]]; then
        _dextral_ask "$current" drivers
        if [[ ${#COMPREPLY[@]} -eq 0 ]]; then
            mapfile -t COMPREPLY < <(compgen -d -- "$current")
        fi
    fi
}

_dextral_approve() {
    local options="--network --help"
    _dextral_driver_first "$1" "$options"
}

_dextral_revoke() {
    local options="--help"
    _dextral_driver_first "$1" "$options"
}

_dextral_grant() {
    local options="--revoke --help"
    _dextral_driver_first "$1" "$options"
    if [[ $1 != -* && $COMP_CWORD -eq 3 ]]; then
        mapfile -t COMPREPLY < <(compgen -c -- "$1")
    fi
}

_dextral_restart() {
    local options="--help"
    local drivers
    _dextral_driver_first "$1" "$options"
    if [[ $1 != -* && $COMP_CWORD -eq 2 ]]; then
        drivers=("${COMPREPLY[@]}")
        _dextral_ask "$1" devices
        COMPREPLY+=("${drivers[@]}")
    fi
}

_dextral_usb() {
    local current=$1 previous=$2
    local options="--device --seconds --frames --json --help"
    case $previous in
        --device | -d)
            mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" usb list --json 2>/dev/null |
                sed -n 's/.*"path": "\([^"]*\)".*/\1/p')" -- "$current")
            ;;
        --seconds) COMPREPLY=() ;;
        *)
            if [[ $current == -* ]]; then
                _dextral_options "$current" "$options"
            elif [[ $COMP_CWORD -eq 2 ]]; then
                mapfile -t COMPREPLY < <(compgen -W "list capture" -- "$current")
            else
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
            fi
            ;;
    esac
}

_dextral() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    if [[ $COMP_CWORD -eq 1 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "serve list info get set create remove play record top incidents drivers approve revoke grant restart process usb help --help --version" -- "$current")
        return
    fi
    case ${COMP_WORDS[1]} in
        process | play | record | usb) compopt -o filenames 2>/dev/null ;;
    esac
    case ${COMP_WORDS[1]} in
        serve | list | info | get | set | create | remove | play | record | top | incidents | drivers | approve | \
            revoke | grant | restart | process | usb)
            "_dextral_${COMP_WORDS[1]}" "$current" "$previous"
            ;;
        help) mapfile -t COMPREPLY < <(compgen -W "serve list info get set create remove play record top incidents drivers approve revoke grant restart process usb" -- "$current") ;;
    esac
}

complete -F _dextral dextral
