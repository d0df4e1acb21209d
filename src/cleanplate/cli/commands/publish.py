"""``cleanplate publish``: write the files of a model from a training checkpoint."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from cleanplate.cli.reporter import Reporter
from cleanplate.errors import MissingExtraError, OptionError

NAME = "publish"
SUMMARY = (
    "make a model (ONNX and safetensors) from a training checkpoint, or a folder for the Hugging Face hub"
)
EXAMPLES = """\
examples:
  cleanplate publish runs/lite/best.pt -o models/ --version 1.1
  cleanplate image photo.jpg --plate plate.jpg --model models/lite
  cleanplate publish lite --hub-folder hub/              (then: hf upload OWNER/NAME hub/)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``."""
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="best.pt or last.pt of a run; with --hub-folder alone, the name or file of a model",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="folder of models to write to")
    parser.add_argument(
        "--hub-folder",
        type=Path,
        metavar="FOLDER",
        help="folder to write for the Hugging Face hub: card, config, manifest, files",
    )
    parser.add_argument("--version", metavar="TEXT", help="version of the weights, as in 1.0")
    parser.add_argument("--name", metavar="NAME", help="name of the model (default: the preset's)")
    parser.add_argument(
        "--refine", metavar="HOW", help="default refinement of the model, as in threshold:0.2"
    )
    parser.add_argument("--half", action="store_true", help="store weights in half precision: half the size")
    parser.add_argument(
        "--mix",
        nargs=2,
        action="append",
        default=[],
        metavar=("MODEL", "SHARE"),
        help="mix in a share of another model's weights, such as those of --start; may be repeated",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")


def run(arguments: argparse.Namespace) -> int:
    """Write the files, check them against PyTorch, and print their paths."""
    from cleanplate.models.hub_folder import write_hub_folder
    from cleanplate.models.registry import find_model

    with Reporter() as reporter:
        model = arguments.checkpoint
        if arguments.output is not None:
            paths = _publish(arguments)
            for path in paths:
                reporter.result(str(path))
            model = paths[-1].with_suffix("")  # the common beginning
        elif arguments.hub_folder is None:
            raise OptionError("There is nothing to write to.", "add -o FOLDER, or --hub-folder FOLDER")
        if arguments.hub_folder is not None:
            for path in write_hub_folder(
                find_model(model), arguments.hub_folder, overwrite=arguments.overwrite
            ):
                reporter.result(str(path))
    return 0


def _read_share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise OptionError(
            f"The share '{text}' of --mix is no number.", "write for example --mix lite 0.2"
        ) from None


def _publish(arguments: argparse.Namespace) -> list[Path]:
    if arguments.version is None:
        raise OptionError("A model needs a version.", "add --version=1.0")
    if find_spec("torch") is None:
        raise MissingExtraError("export", "Publishing a model")
    from cleanplate.training.publishing import publish

    return publish(
        Path(arguments.checkpoint),
        arguments.output,
        version=arguments.version,
        name=arguments.name,
        refine=arguments.refine,
        half=arguments.half,
        mix=[(model, _read_share(share)) for model, share in arguments.mix],
        overwrite=arguments.overwrite,
    )
