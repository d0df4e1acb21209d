"""``cleanplate video``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cleanplate.cli.options import add_matting_options, matting_options
from cleanplate.cli.reporter import Reporter, format_duration

if TYPE_CHECKING:
    from cleanplate.pipeline import Progress

NAME = "video"
SUMMARY = "cut the subject out of a clip or a numbered sequence"
EXAMPLES = """\
examples:
  cleanplate video clip.mp4 --plate plate.jpg -o cut.mov
  cleanplate video clip.mp4 --plate plate.jpg -o comp.mp4 --background beach.jpg
  cleanplate video clip.mp4 --plate auto     (built from the clip; --model rvm-mobilenetv3 needs none)
  cleanplate video clip.mp4 --plate plate.jpg --follow --shadow keep --ignore rect:0,0,0.2,1,0.02
  cleanplate video shot_%05d.png --plate plate.png -o cut_%05d.png --save cutout alpha
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``run`` reads."""
    parser.add_argument("source", type=Path, metavar="CLIP", help="video file, or name_%%05d.png")
    add_matting_options(parser)
    parser.add_argument(
        "--follow", action="store_true", help="keep the plate fresh: light, small motion, moved things"
    )
    parser.add_argument(
        "--report", type=Path, metavar="JSON", help="write down every frame's fit, light and confidence"
    )


def run(arguments: argparse.Namespace) -> int:
    """Key a clip."""
    from cleanplate.api import matte_video

    options = matting_options(arguments)
    with Reporter(quiet=options.quiet) as reporter:
        summary = matte_video(
            options.source,
            options.plate,
            options.out,
            background=options.background,
            save=options.save,
            alpha=options.alpha,
            finish=options.make_finish(),
            overwrite=options.overwrite,
            report=arguments.report,
            on_progress=lambda progress: reporter.progress(describe_progress(progress)),
            on_note=reporter.note,
            **vars(options.keyer),
        )
        reporter.done(
            f"{summary.frames} frames in {format_duration(summary.seconds)}, "
            f"{summary.frames / summary.seconds:.1f} frames per second."
        )
        for path in summary.paths:
            reporter.result(str(path))
    return 0


def describe_progress(progress: Progress) -> str:
    """Frames, speed, and time left where it is known."""
    if progress.doing == "building":
        share = f" {progress.frames / progress.total:.0%}" if progress.total else ""
        return f"building the plate:{share or f' frame {progress.frames}'}"
    if progress.total is None:
        return f"frame {progress.frames}, {progress.fps:.1f} fps"
    left = progress.seconds_left
    ending = "" if left is None else f", {format_duration(left)} left"
    return f"frame {progress.frames} of about {progress.total}, {progress.fps:.1f} fps{ending}"
