"""``cleanplate plate check``: tell whether a plate suits a photo or a clip, and how to improve it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cleanplate.cli.reporter import Reporter

EXIT_NOT_USABLE = 1

NAME = "check"
SUMMARY = "tell whether a plate suits a photo or a clip, and how to improve it"
EXAMPLES = """\
examples:
  cleanplate plate check clip.mp4 --plate plate.jpg
  cleanplate plate check photo.jpg --plate plate.jpg --json

exit code: 0 usable (perhaps with warnings), 1 not usable, 2 an error
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``."""
    parser.add_argument("source", type=Path, metavar="SOURCE", help="photo, video file, or name_%%05d.png")
    parser.add_argument("--plate", type=Path, required=True, metavar="PLATE", help="picture of the empty set")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Check the plate and print the diagnosis."""
    from cleanplate.plate import check_plate

    with Reporter() as reporter:
        diagnosis = check_plate(arguments.plate, arguments.source)
        text = json.dumps(diagnosis.to_json(), indent=2) if arguments.json else diagnosis.describe()
        for note in diagnosis.notes:
            reporter.note(note)
        reporter.result(text)
    return 0 if diagnosis.is_usable else EXIT_NOT_USABLE
