"""Parsers of commands that have commands of their own."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from types import ModuleType
from typing import Any


def add_command(commands: Any, module: ModuleType, run: str = "run") -> None:
    """Give a command's module a parser below ``commands``.

    Args:
        commands: What ``add_subparsers`` returned.
        module: With ``NAME``, ``SUMMARY``, ``EXAMPLES``, ``add_arguments(parser)`` and ``run(arguments)``.
        run: The attribute of the parsed arguments in which its ``run`` is left.
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
    """Function that prints the help of a command that was given without one of its own commands."""

    def run(_: argparse.Namespace) -> int:
        parser.print_help()
        return 0

    return run
