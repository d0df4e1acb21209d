"""``cleanplate plate check``: can this plate serve this photo or clip, and what is to be done about it?"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cleanplate.cli.reporter import Reporter

EXIT_NOT_USABLE = 1

NAME = "check"
SUMMARY = "say whether a plate can serve a photo or a clip, and what to do about it"
EXAMPLES = """\
examples:
  cleanplate plate check clip.mp4 --plate plate.jpg
  cleanplate plate check photo.jpg --plate plate.jpg --json

exit code: 0 usable (perhaps with care), 1 not usable, 2 an error
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``run`` reads."""
    parser.add_argument("source", type=Path, metavar="SOURCE", help="photo, video file, or name_%%05d.png")
    parser.add_argument("--plate", type=Path, required=True, metavar="PLATE", help="picture of the empty set")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    """Check and say."""
    from cleanplate.plate import check_plate

    with Reporter() as reporter:
        diagnosis = check_plate(arguments.plate, arguments.source)
        text = json.dumps(diagnosis.to_json(), indent=2) if arguments.json else diagnosis.describe()
        for note in diagnosis.notes:
            reporter.note(note)
        reporter.result(text)
    return 0 if diagnosis.is_usable else EXIT_NOT_USABLE
