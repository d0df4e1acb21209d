"""``cleanplate synthesize``: make test cases with true mattes from cut-outs and backgrounds."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cleanplate.cli.commands.bench import parse_size
from cleanplate.cli.option_arguments import add_data_options
from cleanplate.cli.reporter import Reporter, format_duration
from cleanplate.errors import OptionError

if TYPE_CHECKING:
    from cleanplate.evaluation.cases import CaseFrame
    from cleanplate.training.synthesis.synthesis import Faults

NAME = "synthesize"
SUMMARY = "make test cases from cut-outs and backgrounds: source, plate, true alpha and foreground"
EXAMPLES = """\
examples:
  cleanplate synthesize --data material/ -n 200 -o cases/
  cleanplate synthesize --data rgba=cutouts/ --backgrounds rooms/ -n 50 -o cases/ --size 1920x1080
  cleanplate synthesize --data material/ -n 50 -o noisy/ --faults medium noise=3 shadow=0
  cleanplate synthesize --data material/ -n 40 -o strands/ --size 1920x1080 --fine 1
  cleanplate synthesize --data material/ -n 12 -o clips/ --frames 24

The same options give the same cases. By default they come from the held-out part of the material, which
training never uses, with the faults of two careful photographs ("medium": each fault at strength 1).
"""

SPLITS = ("validation", "train")
SIZE = "1280x720"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``."""
    add_data_options(parser, required=True)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="folder for the cases"
    )
    parser.add_argument("-n", type=int, default=100, metavar="N", help="number of cases (default: 100)")
    parser.add_argument(
        "--frames", type=int, metavar="N",
        help="make clips of N frames, 2 or more, with one plate each, in place of stills",
    )  # fmt: skip
    parser.add_argument("--size", default=SIZE, metavar="WxH", help=f"size of the pictures (default: {SIZE})")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random choices (default: 0)")
    parser.add_argument(
        "--split", choices=SPLITS, default=SPLITS[0], help=f"part of the material (default: {SPLITS[0]})"
    )
    parser.add_argument(
        "--faults", nargs="+", default=["medium"], metavar="FAULT[=STRENGTH]",
        help="faults: medium, all or none, then single ones with their strength (usually 1)",
    )  # fmt: skip
    parser.add_argument(
        "--fine", type=float, default=0.0, metavar="SHARE",
        help="share of figures taken from figures_fine/ and portraits/, 0 to 1 (default: 0)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace cases that exist")
    parser.add_argument("--quiet", action="store_true", help="print only errors")


def run(arguments: argparse.Namespace) -> int:
    """Make the cases one by one; every case on disk is complete, also after an interruption."""
    if arguments.n < 1:
        raise OptionError(f"-n is {arguments.n}; expected 1 or more.")
    if arguments.frames is not None and arguments.frames < 2:
        raise OptionError(f"--frames is {arguments.frames}; expected 2 or more.", "leave it out for stills")
    if not 0 <= arguments.seed < 2**40:
        raise OptionError(f"--seed is {arguments.seed}; expected 0 to {2**40 - 1}.")
    if not 0 <= arguments.fine <= 1:
        raise OptionError(f"--fine is {arguments.fine:g}; expected 0 to 1.")
    size = parse_size(arguments.size)
    from cleanplate.evaluation.cases import CaseWriter
    from cleanplate.evaluation.made_cases import draw_cases, open_material

    faults = parse_faults(arguments.faults)
    made_by = {
        "seed": arguments.seed, "size": arguments.size, "split": arguments.split,
        "faults": vars(faults), "data": [Path(text).name for text in arguments.data],
    }  # fmt: skip
    if arguments.fine:
        made_by["fine"] = arguments.fine
    if arguments.frames:
        made_by["frames"] = arguments.frames
    with Reporter(quiet=arguments.quiet) as reporter:
        reporter.progress("reading the material")
        material = open_material(arguments.data, arguments.split, arguments.backgrounds)
        drawn = draw_cases(
            material, faults, arguments.n, size, arguments.seed, arguments.fine, arguments.frames
        )
        progress = _FrameProgress(reporter, arguments.n, arguments.frames)
        with CaseWriter(arguments.output, made_by, overwrite=arguments.overwrite) as cases:
            for case in drawn:
                plate, frames = case.read()
                counted = map(progress.count, frames)
                if case.is_clip:
                    cases.add_clip(case.name, plate, counted, kind=case.kind)
                    continue
                for still in counted:
                    cases.add(
                        case.name, still.source, plate, still.deep_alpha, still.foreground, kind=case.kind
                    )
        reporter.done(f"{arguments.n} cases in {arguments.output}.")
    return 0


class _FrameProgress:
    """Reports cases that are made, and of clips also their frames, with the time left."""

    def __init__(self, reporter: Reporter, cases: int, frames: int | None) -> None:
        self._reporter, self._cases, self._frames = reporter, cases, frames
        self._made = 0
        self._began = time.monotonic()

    def count(self, frame: CaseFrame) -> CaseFrame:
        """Count a frame that is made, and pass it on."""
        frames = self._frames or 1
        case, number = divmod(self._made, frames)
        self._made += 1
        rate = self._made / (time.monotonic() - self._began)
        left = format_duration((self._cases * frames - self._made) / rate)
        of_clip = f", frame {number + 1} of {frames}" if self._frames else ""
        self._reporter.progress(
            f"case {case + 1} of {self._cases}{of_clip}, {rate:.1f} a second, {left} left"
        )
        return frame


def parse_faults(texts: list[str]) -> Faults:
    """Read ``medium``, ``all``, ``none`` and ``name=strength``, later ones on top of earlier ones.

    Raises:
        OptionError: A fault is unknown, or a strength is not a number from 0 to 10.
    """
    from cleanplate.evaluation.made_cases import load_synthesis

    synthesis = load_synthesis()
    presets = {"medium": synthesis.MEDIUM, "all": synthesis.Faults(), "none": synthesis.Faults.all_at(0.0)}
    faults: Faults = synthesis.MEDIUM
    for text in texts:
        name, _, strength = text.partition("=")
        if not strength and name in presets:
            faults = presets[name]
            continue
        if name not in faults.names():
            known = ", ".join((*presets, *(f"{fault}=STRENGTH" for fault in faults.names())))
            raise OptionError(f"Unknown fault {text!r}.", f"known: {known}")
        try:
            value = float(strength)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 10:
            raise OptionError(f"The strength in {text!r} is not a number from 0 to 10.")
        faults = faults.with_strength(name, value)
    return faults
