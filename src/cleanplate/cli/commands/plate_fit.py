"""``cleanplate plate fit``: write the plate as it is fitted to each frame of a clip."""

from __future__ import annotations

import argparse
from pathlib import Path

from cleanplate.cli.option_arguments import add_keyer_options, keyer_options
from cleanplate.cli.reporter import Reporter

NAME = "fit"
SUMMARY = "write the plate as it is fitted to each frame, for other programs"
EXAMPLES = """\
examples:
  cleanplate plate fit clip.mp4 --plate plate.jpg -o fitted_%05d.exr
  cleanplate plate fit shot_%05d.exr --plate plate.exr -o fitted_%05d.exr --follow

The plate is registered to each frame and has its light. EXR gets linear light; other formats get the code
values of the clip. Pictures have the numbers of the clip's, or count from 0.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``."""
    parser.add_argument("source", type=Path, metavar="CLIP", help="video file, or name_%%05d.png")
    parser.add_argument("--plate", type=Path, required=True, metavar="PLATE", help="picture of the empty set")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="name_%%05d.exr, or a video file"
    )
    parser.add_argument("--follow", action="store_true", help="update the plate during the clip")
    parser.add_argument("--overwrite", action="store_true", help="replace pictures that exist")
    parser.add_argument("--quiet", action="store_true", help="print only errors and results")
    add_keyer_options(parser, scale="auto")


def run(arguments: argparse.Namespace) -> int:
    """Fit, and write the plates."""
    from cleanplate.jobs.fitted_plates import write_fitted_plates

    with Reporter(quiet=arguments.quiet) as reporter:

        def show(frames: int, total: int | None) -> None:
            share = f"{frames / total:.0%}" if total else f"frame {frames}"
            reporter.progress(f"fitting the plate: {share}")

        write_fitted_plates(
            arguments.source, arguments.plate, arguments.output, keyer_options(arguments),
            overwrite=arguments.overwrite, on_progress=show, on_note=reporter.note,
        )  # fmt: skip
        reporter.result(str(arguments.output))
    return 0
