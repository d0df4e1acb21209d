"""``cleanplate publish``: write the files of a model from a training checkpoint."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from cleanplate.cli.reporter import Reporter
from cleanplate.errors import MissingExtraError

NAME = "publish"
SUMMARY = "make a model (ONNX and safetensors) from a training checkpoint"
EXAMPLES = """\
examples:
  cleanplate publish runs/lite/best.pt -o models/ --version 1.1
  cleanplate image photo.jpg --plate plate.jpg --model models/lite
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``."""
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="best.pt or last.pt of a run")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="folder of models to write to"
    )
    parser.add_argument("--version", required=True, metavar="TEXT", help="version of the weights, as in 1.0")
    parser.add_argument("--name", metavar="NAME", help="name of the model (default: the preset's)")
    parser.add_argument(
        "--refine", metavar="HOW", help="default refinement of the model, as in threshold:0.2"
    )
    parser.add_argument("--half", action="store_true", help="store weights in half precision: half the size")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")


def run(arguments: argparse.Namespace) -> int:
    """Write the files, check them against PyTorch, and print their paths."""
    if find_spec("torch") is None:
        raise MissingExtraError("export", "Publishing a model")
    from cleanplate.training.publishing import publish

    with Reporter() as reporter:
        paths = publish(
            arguments.checkpoint,
            arguments.output,
            version=arguments.version,
            name=arguments.name,
            refine=arguments.refine,
            half=arguments.half,
            overwrite=arguments.overwrite,
        )
        for path in paths:
            reporter.result(str(path))
    return 0
