"""``cleanplate export``: write a model for other programs, and compare it with PyTorch on a real pair."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cleanplate.cli.commands.bench import parse_size
from cleanplate.cli.reporter import Reporter
from cleanplate.errors import MissingExtraError, OptionError
from cleanplate.export.targets import FORMATS

if TYPE_CHECKING:
    from cleanplate.export.export_options import Seen
    from cleanplate.models.registry import Model

NAME = "export"
SUMMARY = "write a model for other programs: ONNX, TorchScript, TensorFlow and more"
EXAMPLES = """\
examples:
  cleanplate export lite --to onnx -o lite.onnx                 lite.coarse.onnx and lite.refiner.onnx
  cleanplate export lite --to onnx --single-file --size 1920x1080
  cleanplate export mobilenetv2 --to torchscript -o bgm.pt
  cleanplate export lite --to onnx --int8 --calibrate cases/    lite-int8.coarse.onnx, lite-int8.refiner.onnx

The written files are run on a real pair and compared with PyTorch; if they differ, they are deleted.
docs/runtimes.md shows how each format is used.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``."""
    parser.add_argument("model", metavar="MODEL", help="name or file of a model")
    parser.add_argument("--to", required=True, metavar="FORMAT", help="format: " + ", ".join(FORMATS))
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="PATH",
        help="file to write (default: the model's name, in this folder)",
    )
    parser.add_argument(
        "--size", default="dynamic", metavar="WxH", help="size of the pictures, or dynamic (default)"
    )
    parser.add_argument("--half", action="store_true", help="store weights in half precision")
    parser.add_argument("--int8", action="store_true", help="quantise convolutions to int8, for CPUs")
    parser.add_argument(
        "--calibrate",
        type=Path,
        metavar="CASES",
        help="typical cases for --int8, made by cleanplate synthesize",
    )
    parser.add_argument(
        "--list",
        action="store_true",
        help="add the files to the manifest.json of their folder, so that it serves as a folder of models",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    group = parser.add_argument_group("one graph, from source and plate to alpha and foreground")
    group.add_argument("--single-file", action="store_true", help="write one graph that contains the router")
    group.add_argument(
        "--scale", type=float, metavar="S", help="size of the coarse input as a share of the picture's"
    )
    group.add_argument(
        "--refine", metavar="HOW", help="choice of pixels: sampling:80000, threshold:0.1, full or off"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write, compare, and print the paths."""
    if find_spec("torch") is None:
        raise MissingExtraError("export", "Exporting a model")
    from cleanplate.export.export_options import ExportOptions
    from cleanplate.export.write import export_model
    from cleanplate.models.model_manifest import list_in_manifest
    from cleanplate.models.registry import find_model
    from cleanplate.router import Refine
    from cleanplate.vocabulary.options import parse_scale

    if not arguments.single_file and (arguments.scale or arguments.refine):
        raise OptionError(
            "--scale and --refine are for a single file.", "add --single-file, or leave them out"
        )
    model = find_model(arguments.model)
    options = ExportOptions(
        size=None if arguments.size == "dynamic" else parse_size(arguments.size),
        half=arguments.half,
        single_file=arguments.single_file,
        scale=None if arguments.scale is None else parse_scale(arguments.scale),
        refine=None if arguments.refine is None else Refine.parse(arguments.refine),
        calibrate=_prepare_calibration(arguments, model),
    )
    if arguments.list and (arguments.to != "onnx" or options.single_file):
        raise OptionError(
            "--list works only for the two ONNX files of a model.", "use --to onnx, without --single-file"
        )
    with Reporter() as reporter:
        paths, verdict = export_model(
            model, arguments.to, arguments.output, options,
            overwrite=arguments.overwrite, say=reporter.progress,
        )  # fmt: skip
        if arguments.list:
            list_in_manifest(paths[0].parent, paths[0].name.rsplit(".", 2)[0])
        for path in paths:
            reporter.result(str(path))
        if isinstance(verdict, str):
            reporter.note(f"not compared with PyTorch: {verdict}")
        else:
            reporter.done(str(verdict))
    return 0


def _prepare_calibration(arguments: argparse.Namespace, model: Model) -> Callable[[], Iterable[Seen]] | None:
    """Make the function that prepares the calibration for int8; None without ``--int8``."""
    if not arguments.int8:
        if arguments.calibrate is not None:
            raise OptionError("--calibrate is for int8.", "add --int8, or leave it out")
        return None
    if arguments.calibrate is None:
        raise OptionError(
            "--int8 needs pictures to measure the ranges of values on.",
            "make some with cleanplate synthesize, and add --calibrate CASES",
        )
    from cleanplate.evaluation.calibration import rehearse
    from cleanplate.evaluation.cases import read_cases

    cases = read_cases(arguments.calibrate)
    return lambda: rehearse(model, cases)
