"""Conversion between the fields of the options and the arguments of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from cleanplate.cli.parser import StoreOneOrSeveral
from cleanplate.jobs.job import OPTIONS, Job
from cleanplate.vocabulary import Encoding, FinishOptions, Flag, KeyerOptions, Reading, flags_of

GROUPS = (
    "plate",
    "matte",
    "colour",
    "network",
    "encoding",
    "video",
    "running",
    "many clips, many machines",
)
"""Titles in the help, in this order, after the options used most."""

Options = TypeVar("Options")


def add_keyer_options(parser: argparse.ArgumentParser, *, scale: str = "fine") -> None:
    """Add the options of the network; ``scale`` is the default."""
    group = parser.add_argument_group("network")
    for name, flag in flags_of(KeyerOptions).items():
        if flag.group == "network":
            _add_flag(group, flag, scale if name == "scale" else getattr(KeyerOptions, name))


def add_job_options(parser: argparse.ArgumentParser, *, video: bool) -> None:
    """Add the options of a photo, or those of a clip."""
    defaults: dict[str, tuple[Flag, Any]] = {}
    for kind in OPTIONS:
        for name, flag in flags_of(kind).items():
            if video or not flag.video:
                defaults.setdefault(flag.name, (flag, getattr(kind, name)))
    defaults["--scale"] = (defaults["--scale"][0], "fine")
    for title in (None, *GROUPS):
        group: Any = parser if title is None else None
        for flag, default in defaults.values():
            if flag.group == title:
                group = group or parser.add_argument_group(title)
                _add_flag(group, flag, default)
    find_group(parser, "running").add_argument(
        "--quiet", action="store_true", help="print only errors and results"
    )


def add_flag(group: Any, kind: type, name: str) -> None:
    """Add the flag of one field of a class of options, with its default."""
    _add_flag(group, flags_of(kind)[name], getattr(kind, name))


def add_options(group: Any, kind: type) -> None:
    """Add all flags of a class of options, with its defaults."""
    for name, flag in flags_of(kind).items():
        _add_flag(group, flag, getattr(kind, name))


def find_group(parser: argparse.ArgumentParser, title: str) -> Any:
    """The group of this title in a parser's help; a new one if there is none."""
    found = [group for group in parser._action_groups if group.title == title]
    return found[0] if found else parser.add_argument_group(title)


def _add_flag(group: Any, flag: Flag, default: Any) -> None:
    names = [flag.name] if flag.short is None else [flag.short, flag.name]
    text = flag.help.format(default=default)
    if isinstance(default, bool):
        group.add_argument(*names, action="store_true", help=text)
        return
    details: dict[str, Any] = {"default": default, "metavar": flag.metavar, "help": text}
    if flag.words is not None:
        details["choices"] = flag.words
    if flag.type is not None:
        details["type"] = flag.type
    if flag.several:
        details |= {"nargs": "+", "default": None if default is None else list(default)}
    if flag.one_or_several:
        details |= {"nargs": "+", "action": StoreOneOrSeveral}
    group.add_argument(*names, **details)


def collect(kind: type[Options], arguments: argparse.Namespace, **more: Any) -> Options:
    """Make options from parsed arguments; options that the command lacks get their defaults.

    Args:
        kind: Class of the options.
        arguments: Parsed arguments.
        more: Further fields.

    Raises:
        CleanplateError: A value is wrong.
    """
    given = {
        name: flag.read(getattr(arguments, flag.attribute))
        for name, flag in flags_of(kind).items()
        if hasattr(arguments, flag.attribute)
    }
    return kind(**{**given, **more})


def keyer_options(arguments: argparse.Namespace) -> KeyerOptions:
    """Options of the keyer."""
    return collect(KeyerOptions, arguments)


def keyer_keywords(options: KeyerOptions) -> dict[str, Any]:
    """The keyer's options that the command line has, as keywords."""
    return {name: getattr(options, name) for name in flags_of(KeyerOptions)}


def make_job(arguments: argparse.Namespace, threads: int | None = None) -> Job:
    """Make the job of one photo or clip from its arguments.

    Args:
        arguments: Arguments of ``cleanplate image`` or ``cleanplate video``.
        threads: Threads of the network; None for one per core.

    Raises:
        CleanplateError: A value is wrong.
    """
    return collect(
        Job,
        arguments,
        clip=arguments.source,
        finish=collect(FinishOptions, arguments),
        keyer=collect(KeyerOptions, arguments, threads=threads, on_device=None),
        reading=collect(Reading, arguments),
        encoding=collect(Encoding, arguments),
    )


def flags_by_column() -> Mapping[str, Flag]:
    """Flags of all options by the column of a manifest."""
    return {flag.column: flag for kind in OPTIONS for flag in flags_of(kind).values()}


def add_data_options(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Add the options for data sets and backgrounds of cases."""
    parser.add_argument(
        "--data", nargs="+", action="extend", default=[], required=required, metavar="SPEC",
        help="data sets of cut-outs: [NAME=]FOLDER[:WEIGHT]",
    )  # fmt: skip
    parser.add_argument(
        "--backgrounds", nargs="+", action="extend", default=[], type=Path, metavar="PATH",
        help="folders of pictures and videos, or video files",
    )  # fmt: skip
