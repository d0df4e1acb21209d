"""``cleanplate models``."""

from __future__ import annotations

import argparse
import json

from cleanplate.cli.reporter import Reporter

NAME = "models"
SUMMARY = "list the networks that can be used"
EXAMPLES = """\
example:
  cleanplate models --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``run`` reads."""
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    """Print one line per model."""
