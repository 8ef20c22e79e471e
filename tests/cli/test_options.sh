#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Help, manual pages and completions name the same options, commands and exit codes.
# usage: test_options.sh DEXTRAL MODULES ROOT

# shellcheck disable=SC1091,SC2154 # what common.sh sets
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

completions=$root/cli/completions

compare() { # TITLE EXPECTED GOT
    [ "$2" = "$3" ] || fail "$1: expected $(tr '\n' ' ' <<<"$2"), got $(tr '\n' ' ' <<<"$3")"
}

succeed help
commands=$(sed -n '/^Commands:/,$s/^  \([a-z]*\) .*/\1/p' stdout)
[ -n "$commands" ] || fail "help lists no commands"
cp stdout listed
succeed --help
cmp listed stdout || fail "help and --help differ"
succeed --version
grep -qxE 'dextral [0-9]+\.[0-9]+\.[0-9]+' stdout || fail "--version: $(cat stdout)"
for command in $commands; do
    grep -qE "^\.It Cm $command( |\$)" "$root/man/dextral.1" || fail "dextral.1 does not name $command"
    grep -qE "compgen -W \"[^\"]*\b$command\b" "$completions/dextral.bash" || fail "bash does not complete $command"
    grep -qE "['\"]$command:" "$completions/_dextral" || fail "zsh does not complete $command"
    grep -qF -- "-a $command " "$completions/dextral.fish" || fail "fish does not complete $command"
done

for command in $commands; do
    [ "$command" != help ] || continue
    succeed help "$command"
    cp stdout help
    succeed "$command" --help
    cmp help stdout || fail "$command --help and help $command differ"
    options=$(sed -n '/^Options:/,/^Exit status:/s/^  \(-.,\|   \) --\([a-z-]*\).*/\2/p' help | sort -u)
    [ -n "$options" ] || fail "$command lists no options"
    compare "dextral-$command.1" "$options" \
        "$(sed -n 's/^\.It Fl \(. , \)\?-\([a-z-]*\).*/\2/p' "$root/man/dextral-$command.1" | sort -u)"
    compare "bash, $command" "$options" \
        "$(sed -n "/^_dextral_$command()/,/^}/p" "$completions/dextral.bash" |
            sed -n '/options="/,/"$/p' | grep -oE -- '--[a-z-]+' | sed 's/^--//' | sort -u)"
    compare "zsh, $command" "$options" \
        "$(sed -n "/^_dextral_$command()/,/^}/p" "$completions/_dextral" | grep -oE -- "[^a-z]--[a-z][a-z-]*" |
            sed 's/^.--//' | sort -u)"
    compare "fish, $command" "$options" \
        "$(grep -F "__dextral_is $command'" "$completions/dextral.fish" |
            grep -oE -- '-l [a-z-]+' | sed 's/^-l //' | sort -u)"
    for code in 0 1 2 3 4 5 6 7; do
        grep -qE "(^|  )  ?$code  [a-z-]" help || fail "$command --help: no exit code $code"
        grep -qx ".It $code" "$root/man/dextral.1" || fail "dextral.1: no exit code $code"
    done
done

bash -n "$completions/dextral.bash" || fail "the bash completion does not parse"
# The completion at work.
completed=$(bash -c ". '$completions/dextral.bash'"'
    COMP_WORDS=(dextral process --out) COMP_CWORD=2
    _dextral
    printf "%s\n" "${COMPREPLY[@]}"' 2>/dev/null)
compare "bash at work" "--output-format" "$completed"
if command -v zsh >/dev/null 2>&1; then
    zsh -n "$completions/_dextral" || fail "the zsh completion does not parse"
fi
if command -v fish >/dev/null 2>&1; then
    fish -n "$completions/dextral.fish" || fail "the fish completion does not parse"
fi

finish
