"""Parser of the command line, whose errors suggest the nearest known word."""

from __future__ import annotations

import argparse
import difflib
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

_CHOICE = re.compile(
    r"argument (?P<name>[^:]+): invalid choice: '(?P<given>.*)' \(choose from (?P<known>.*)\)", re.S
)

_NO_NUMBER = re.compile(r"argument (?P<name>[^:]+): invalid (?P<type>int|float) value: (?P<given>.*)", re.S)
_NO_VALUE = re.compile(r"argument (?P<name>[^:]+): expected (?:one|at least one) argument")
_REQUIRED = "the following arguments are required: "


class _MissingError(Exception):
    """The command's own argument is missing."""


class StoreOneOrSeveral(argparse.Action):
    """Stores one value as it is, and several as a tuple."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        setattr(namespace, self.dest, values[0] if len(values) == 1 else tuple(values))


class Parser(argparse.ArgumentParser):
    """Prints an error and a hint, and exits with 2.

    For unknown options and commands, the hint names the nearest known one. An option that takes several words
    has no end of its own: when it has taken the command's own argument, the hint says so. One that takes one
    or several (``--plate``) gives its last word back instead.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._given: list[str] = []
        self._gives_back = False

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse as argparse does, but refuse unknown words in the command's own parser."""
        if args is not None:
            self._given = list(args)
            returned = self._give_back(self._given)
            self._gives_back = returned is not None
            try:
                return self._parse(args, namespace)
            except _MissingError:
                self._gives_back = False
                args = self._given = returned or []
        return self._parse(args, namespace)

    def _parse(
        self, args: Sequence[str] | None, namespace: argparse.Namespace | None
    ) -> tuple[argparse.Namespace, list[str]]:
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self._refuse(unknown)
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Print the usage, the message and a suggestion; exit with 2."""
        if self._gives_back and message.startswith(_REQUIRED):
            raise _MissingError
        message, hint = self._explain(message)
        self._print_short_usage()
        self._exit(message, hint)

    def _give_back(self, given: list[str]) -> list[str] | None:
        """The words with the last one of an option for one or several in front; None if it has one only."""
        for start, word in enumerate(given):
            action = self._option_string_actions.get(word)
            if isinstance(action, StoreOneOrSeveral):
                end = start + 1
                while end < len(given) and not given[end].startswith("-"):
                    end += 1
                if end > start + 2:
                    return [given[end - 1], *given[: end - 1], *given[end:]]
        return None

    def _print_short_usage(self) -> None:
        """Print only the first line of the usage, because all options fill many lines."""
        ending = "COMMAND ..." if self._subparsers else self._name_required()
        usage = " ".join(self.format_usage().split()) if self.usage else f"usage: {self.prog} {ending}"
        self._print_message(f"{usage}\n", None)

    def _name_required(self) -> str:
        """The command's own arguments and its required options, then the word for the others."""
        own = [action.metavar or action.dest for action in self._get_positional_actions()]
        required = [action for action in self._get_optional_actions() if action.required]
        own += [f"{each.option_strings[-1]} {each.metavar or each.dest.upper()}" for each in required]
        return " ".join(map(str, [*own, "[options]"]))

    def _refuse(self, unknown: Sequence[str]) -> NoReturn:
        options = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        self._print_short_usage()
        if not options:
            words = shlex.join(unknown)
            self._exit(f"unexpected argument {words}", self._tell_of_positional())
        near = nearest(options[0], self._option_string_actions)
        self._exit(
            f"unknown option {options[0]}", f"did you mean {near}?" if near else f"see {self.prog} --help"
        )

    def _explain(self, message: str) -> tuple[str, str]:
        choice = _CHOICE.fullmatch(message)
        if choice:
            return self._explain_choice(choice["name"], choice["given"], _words(choice["known"]))
        if message.startswith(_REQUIRED):
            missing = message.removeprefix(_REQUIRED)
            *others, last = missing.split(", ")
            both = f"{', '.join(others)} and {last} are" if others else f"{last} is"
            return f"{both} missing", self._tell_of_lists() or f"see {self.prog} --help"
        if found := _NO_NUMBER.fullmatch(message):
            wanted = "a whole number" if found["type"] == "int" else "a number"
            message = f"{found['name']} takes {wanted}, not {found['given']}"
        elif found := _NO_VALUE.fullmatch(message):
            message = f"{found['name']} needs a value"
        return message, f"see {self.prog} --help"

    def _explain_choice(self, name: str, given: str, known: list[str]) -> tuple[str, str]:
        if not name.startswith("-"):
            near = nearest(given, known)
            hint = f"did you mean {near}?" if near else f"known: {', '.join(known)}"
            return f"unknown command {given}", hint
        if Path(given).exists() and name in self._lists():
            return (
                f"{given} is a file, but {name} takes {', '.join(known)}",
                f"put {given} before {name}",
            )
        near = nearest(given, known)
        meant = f"did you mean {near}? " if near else ""
        return f"{name} does not take {given}", f"{meant}known: {', '.join(known)}"

    def _lists(self) -> list[str]:
        """The given options that take several words."""
        actions = self._option_string_actions
        return [word for word in self._given if word in actions and actions[word].nargs in ("+", "*")]

    def _tell_of_lists(self) -> str:
        """Hint that a list of words may have taken the argument; empty if no list was given."""
        positional = [action.metavar or action.dest for action in self._get_positional_actions()]
        lists = self._lists()
        if not positional or not lists:
            return ""
        return f"{lists[0]} takes every word up to the next option: put {positional[0]} before it"

    def _tell_of_positional(self) -> str:
        """Hint for further words after the command's own argument."""
        positional = self._get_positional_actions()
        if len(positional) != 1 or positional[0].nargs is not None or not positional[0].help:
            return f"see {self.prog} --help"
        name, values = positional[0].metavar or positional[0].dest, positional[0].help.replace("%%", "%")
        return f"give one {name} ({values}); put a name with spaces in quotes"

    def _exit(self, message: str, hint: str) -> NoReturn:
        self.exit(2, f"error: {message}.\nhint: {hint}\n")


def nearest(given: str, known: Iterable[str]) -> str | None:
    """The known word most similar to ``given``; None if none is similar.

    >>> nearest("vidoe", ["image", "video"]), nearest("xyz", ["image", "video"])
    ('video', None)
    """
    found = difflib.get_close_matches(given.lower(), list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def _words(known: str) -> list[str]:
    return [word.strip().strip("'") for word in known.split(",")]
