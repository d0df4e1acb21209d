"""Parsers of commands with subcommands."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from types import ModuleType
from typing import Any


def add_command(commands: Any, module: ModuleType, run: str = "run") -> None:
    """Give a command's module a parser below ``commands``.

    Args:
        commands: Return value of ``add_subparsers``.
        module: With ``NAME``, ``SUMMARY``, ``EXAMPLES``, ``add_arguments(parser)`` and ``run(arguments)``.
        run: Attribute of the parsed arguments that gets its ``run``.
    """
    command = commands.add_parser(
        module.NAME,
        help=module.SUMMARY,
        description=module.SUMMARY[0].upper() + module.SUMMARY[1:] + ".",
        epilog=module.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(command)
    command.set_defaults(**{run: module.run})


def helper(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Make a function that prints the help of a command that is called without a subcommand."""

    def run(_: argparse.Namespace) -> int:
        parser.print_help()
        return 0

    return run
