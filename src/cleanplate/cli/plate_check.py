"""``cleanplate plate check``: can this plate serve this photo or clip, and what is to be done about it?"""

from __future__ import annotations

import argparse
from pathlib import Path

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
    raise NotImplementedError
