"""``cleanplate plate build``: a plate out of the clip itself, with a map of how sure it is."""

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

plate.confidence.png is written beside: white where the background was surely seen. What is dark there counts
as unknown when the plate is used.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``run`` reads."""
    parser.add_argument("source", type=Path, metavar="CLIP", help="video file, or name_%%05d.png")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PLATE", help="picture to write")
    parser.add_argument("--overwrite", action="store_true", help="replace pictures that exist")
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors and results")


def run(arguments: argparse.Namespace) -> int:
    """Build, and write both pictures."""
    from cleanplate.media.guard import check_files
    from cleanplate.media.locks import lock_outputs
    from cleanplate.plate.building.build import build_plate, built_paths

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
