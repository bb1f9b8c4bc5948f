"""Completion in shells: scripts with all commands, flags and choices, so that the Tab key starts no Python.

    source <(reglab --completion=bash)        # in ~/.bashrc
    source <(reglab --completion=zsh)         # in ~/.zshrc, after compinit
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from reglab.cli.flags import OTHER, PATHS, ExtraFlags
from reglab.config import FLAGS, ConfigError
from reglab.inputs.texts import did_you_mean, shown

SHELLS: Final = ("bash", "zsh")
_MOST_HELP: Final = 70


class Offer(NamedTuple):
    """A flag as the shell offers it.

    Attributes:
      help: what it means.
      takes_value: whether a value follows.
      choices: the values it takes, if they have names.
      is_path: whether it takes a path.
    """

    help: str
    takes_value: bool = True
    choices: Sequence[str] = ()
    is_path: bool = False


class Offers(NamedTuple):
    """What a command line may have: words, which come without --, flags by name, and whether paths may stand alone."""

    words: Sequence[str] = ()
    flags: Mapping[str, Offer] = {}  # noqa: RUF012 (nothing changes it)
    has_operands: bool = False


def offers_of(extra: ExtraFlags, hidden: frozenset[str] = frozenset(), *, trains: bool = True,
              has_operands: bool = False, words: Sequence[str] = ()) -> Offers:
    """Returns what a command offers whose flags are declared.

    Args:
      extra: its own flags.
      hidden: the flags of a run that it does not have.
      trains: whether it has flags of a run.
    """
    offers = {name: Offer(text, type_ is not bool, type_ if isinstance(type_, tuple) else (), name in PATHS)
              for name, (type_, text, _) in extra.items()}
    for name, flag in FLAGS.items() if trains else ():
        if name not in extra and name not in hidden:
            offers[name] = Offer(flag.help, flag.kind != "bool", flag.choices, flag.is_path)
            if flag.kind == "bool" and flag.default:
                offers[f"no{name}"] = Offer(f"Not: {flag.help}", False)
    for name, text in OTHER.items():
        if name not in hidden and (trains or name != "config_file"):
            offers[name] = Offer(text, name in PATHS, is_path=name in PATHS)
    return Offers(words, offers, has_operands)


def completion(shell: str, commands: Mapping[str, tuple[str, Offers]]) -> str:
    """Returns the script for a shell.

    Args:
      commands: maps each command to its purpose and what it offers.

    Raises:
      ConfigError: the shell is not one of `SHELLS`.
    """
    if shell not in SHELLS:
        raise ConfigError(f"--completion={shown(shell)}: choose {' or '.join(SHELLS)}{did_you_mean(shell, SHELLS)}")
    return (_bash if shell == "bash" else _zsh)(commands)


_BASH: Final = """\
_reglab() {{
    # COMP_WORDS would be split at each =, so the words are taken from the line itself.
    local line="${{COMP_LINE:0:COMP_POINT}}" current offers values words
    current="${{line##* }}"
    read -ra words <<< "$line"
    COMPREPLY=()
    if (( ${{#words[@]}} < 2 )) || {{ (( ${{#words[@]}} == 2 )) && [[ -n $current ]]; }}; then
        COMPREPLY=($(compgen -W {commands} -- "$current"))
        return
    fi
    case "${{words[1]}}" in
{offers}
        *) return ;;
    esac
    if [[ $current == --*=* ]]; then
        local start="" name="${{current%%=*}}" value="${{current#*=}}"
        [[ $COMP_WORDBREAKS == *=* ]] || start="$name="
        case "${{words[1]}} $name" in
{values}
            *) return ;;
        esac
        COMPREPLY=($(compgen -P "$start" -W "${{values/(files)/}}" -- "$value"))
        if [[ $values == *"(files)" ]]; then
            compopt -o filenames
            COMPREPLY+=($(compgen -P "$start" -f -- "$value"))
        fi
    else
        COMPREPLY=($(compgen -W "${{offers/(files)/}}" -- "$current"))
        if [[ $offers == *"(files)" && $current != -* ]]; then
            compopt -o filenames
            COMPREPLY+=($(compgen -f -- "$current"))
        fi
        [[ ${{#COMPREPLY[@]}} == 1 && ${{COMPREPLY[0]}} == *= ]] && compopt -o nospace
    fi
}}
complete -F _reglab reglab
"""


def _bash(commands: Mapping[str, tuple[str, Offers]]) -> str:
    cases, values = [], []
    for command, (_, offers) in commands.items():
        words = [*offers.words, *(f"--{name}" + "=" * offer.takes_value for name, offer in offers.flags.items()),
                 *(["(files)"] if offers.has_operands else [])]
        cases.append(f"        {command}) offers={shlex.quote(' '.join(words))} ;;")
        values += [f"            '{command} --{name}') values={shlex.quote(_values(offer))} ;;"
                   for name, offer in offers.flags.items() if _values(offer)]
    return _BASH.format(commands=shlex.quote(" ".join(commands)), offers="\n".join(cases), values="\n".join(values))


def _values(offer: Offer) -> str:
    return " ".join([*offer.choices, *["(files)"] * offer.is_path])


_ZSH: Final = """\
#compdef reglab
_reglab() {{
    local -a commands=(
{commands}
    )
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    local command="$words[2]"
    shift words
    (( CURRENT-- ))
    case "$command" in
{offers}
    esac
}}
compdef _reglab reglab
"""


def _zsh(commands: Mapping[str, tuple[str, Offers]]) -> str:
    told = [f"        {shlex.quote(f'{name}:{purpose}')}" for name, (purpose, _) in commands.items()]
    cases = []
    for command, (_, offers) in commands.items():
        arguments = [shlex.quote(_zsh_argument(name, offer)) for name, offer in offers.flags.items()]
        if offers.words:
            arguments.append(shlex.quote(f"1:subject:({' '.join(offers.words)})"))
        if offers.has_operands:
            arguments.append(shlex.quote("*:folder:_files"))
        told_one_a_line = " \\\n".join(f"                {argument}" for argument in arguments)
        cases.append(f"        {command})\n            _arguments \\\n{told_one_a_line}\n            ;;")
    return _ZSH.format(commands="\n".join(told), offers="\n".join(cases))


def _zsh_argument(name: str, offer: Offer) -> str:
    help = offer.help if len(offer.help) <= _MOST_HELP else offer.help[:_MOST_HELP].rsplit(" ", 1)[0] + " …"
    for special in "\\[]:":
        help = help.replace(special, f"\\{special}")
    if not offer.takes_value:
        return f"--{name}[{help}]"
    action = f"({' '.join(offer.choices)})" if offer.choices else " "
    if offer.is_path:
        action = f"{{ compadd -- {' '.join(offer.choices)}; _files }}" if offer.choices else "_files"
    return f"--{name}=[{help}]:value:{action}"
