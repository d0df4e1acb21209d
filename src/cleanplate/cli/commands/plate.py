"""``cleanplate plate``: commands on plates; each one is a module."""

from __future__ import annotations

import argparse

from cleanplate.cli.commands import plate_build, plate_check
from cleanplate.cli.subparsers import add_command, helper

NAME = "plate"
SUMMARY = "check a plate, or build one from a clip"
EXAMPLES = """\
examples:
  cleanplate plate check clip.mp4 --plate plate.jpg
  cleanplate plate build clip.mp4 -o plate.png
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one parser for each verb."""
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND")
    parser.set_defaults(run_verb=helper(parser))
    for module in (plate_check, plate_build):
        add_command(verbs, module, run="run_verb")


def run(arguments: argparse.Namespace) -> int:
    """Run the verb's module."""
    return int(arguments.run_verb(arguments))
