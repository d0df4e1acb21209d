"""``cleanplate plate``: commands on plates; each one is a module."""

from __future__ import annotations

import argparse

from cleanplate.cli.commands import plate_build, plate_check, plate_fit
from cleanplate.cli.subparsers import add_command, helper

NAME = "plate"
SUMMARY = "check a plate, build one from a clip, or write it fitted to each frame"
EXAMPLES = """\
examples:
  cleanplate plate check clip.mp4 --plate plate.jpg
  cleanplate plate build clip.mp4 -o plate.png
  cleanplate plate fit clip.mp4 --plate plate.jpg -o fitted_%05d.exr
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one parser for each verb."""
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND")
    parser.set_defaults(run_verb=helper(parser))
    for module in (plate_check, plate_build, plate_fit):
        add_command(verbs, module, run="run_verb")


def run(arguments: argparse.Namespace) -> int:
    """Run the verb's module."""
    return int(arguments.run_verb(arguments))
