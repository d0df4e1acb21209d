"""``cleanplate plate build``: build a plate and its confidence map from the clip itself."""

from __future__ import annotations

import argparse
from pathlib import Path

from cleanplate.cli.reporter import Reporter

NAME = "build"
SUMMARY = "build the plate from a clip in which the subject moves"
EXAMPLES = """\
examples:
  cleanplate plate build clip.mp4 -o plate.png
  cleanplate plate build shot_%05d.png -o plate.png

plate.confidence.png is written beside the plate: white where the background was certainly visible. When the
plate is used, dark areas of this map count as unknown.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``."""
    parser.add_argument("source", type=Path, metavar="CLIP", help="video file, or name_%%05d.png")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PLATE", help="picture to write")
    parser.add_argument("--overwrite", action="store_true", help="replace pictures that exist")
    parser.add_argument("--quiet", action="store_true", help="print only errors and results")


def run(arguments: argparse.Namespace) -> int:
    """Build, and write both pictures."""
    from cleanplate.media.guard import check_files
    from cleanplate.media.locks import lock_outputs
    from cleanplate.plate.building.plate_builder import build_plate, built_paths

    paths = built_paths(arguments.output, overwrite=arguments.overwrite)
    check_files([arguments.source], paths)
    with lock_outputs(paths), Reporter(quiet=arguments.quiet) as reporter:

        def show(frames: int, total: int | None) -> None:
            share = f"{frames / total:.0%}" if total else f"frame {frames}"
            reporter.progress(f"building the plate: {share}")

        built = build_plate(arguments.source, on_progress=show)
        for note in built.notes:
            reporter.note(note)
        for path in built.save(arguments.output, overwrite=arguments.overwrite):
            reporter.result(str(path))
    return 0
