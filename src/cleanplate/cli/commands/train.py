"""``cleanplate train``: train a network from data sets, on one device or several."""

from __future__ import annotations

import argparse
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cleanplate.cli.reporter import Reporter
from cleanplate.errors import MissingExtraError, OptionError

NAME = "train"
SUMMARY = "train a network on composites that are made during training"
EXAMPLES = """\
examples:
  cleanplate train lite --data material/ --minutes 120
  cleanplate train lite --resume --minutes 240         (two hours more)
  cleanplate train lite --data material/ --start lite --stage joint --minutes 30
  torchrun --nproc-per-node 4 -m cleanplate train mobilenetv2 --data videomatte240k=/d/vm --backgrounds /d/bg

The run's folder holds best.pt and last.pt, log.jsonl, contact sheets in sheets/, and tensorboard/. Ctrl-C
saves and stops; --resume continues exactly there. 'cleanplate publish' makes a model from a checkpoint.
"""

LOG_SECONDS = 60.0
"""Time between two lines of progress when there is no terminal."""

_OF_THE_RUN = (
    "data", "backgrounds", "stage", "minutes", "steps", "batch", "accumulate", "learning_rate", "start",
    "init", "seed", "workers", "device", "precision",
    "sheet_minutes", "checkpoint_minutes", "validate_minutes",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``; their default is None, so that a resumed run keeps its own values."""
    parser.add_argument(
        "preset",
        metavar="PRESET",
        help="network and recipe: lite, mobilenetv2, resnet50, resnet101, rvm-mobilenetv3 or rvm-resnet50",
    )
    parser.add_argument(
        "--data", nargs="+", metavar="SPEC", help="data sets to train on: [NAME=]FOLDER[:WEIGHT]"
    )
    parser.add_argument("--backgrounds", nargs="+", metavar="FOLDER", help="more backgrounds")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="folder of the run (default: runs/PRESET)")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")

    group = parser.add_argument_group("length")
    length = group.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes",
        type=float,
        metavar="N",
        help="total minutes, earlier parts of a resumed run included (default: 60)",
    )
    length.add_argument("--steps", type=int, metavar="N", help="total steps, instead of minutes")

    group = parser.add_argument_group("recipe")
    group.add_argument(
        "--stage", metavar="NAME", help="stage of the preset, as coarse or joint (default: auto, all)"
    )
    group.add_argument("--start", metavar="MODEL", help="initial weights: a model or a run's .pt")
    group.add_argument(
        "--init", type=Path, metavar="FILE", help="state dict of a trained backbone or DeepLabV3"
    )
    group.add_argument("--batch", type=int, metavar="N", help="cases per batch and process")
    group.add_argument("--accumulate", type=int, metavar="N", help="batches per step (default: 1)")
    group.add_argument(
        "--learning-rate", type=float, metavar="RATE", help="peak of the largest learning rate"
    )
    group.add_argument("--seed", type=int, metavar="N", help="seed of weights and cases (default: 0)")

    group = parser.add_argument_group("machine")
    group.add_argument("--workers", type=int, metavar="N", help="processes that make cases")
    group.add_argument("--device", metavar="NAME", help="auto, cpu or cuda")
    group.add_argument("--precision", metavar="NAME", help="auto, float32, bfloat16 or float16")

    group = parser.add_argument_group("record")
    for name, what, default in (
        ("sheet", "contact sheets", 15),
        ("checkpoint", "checkpoints", 5),
        ("validate", "validations", 8),
    ):
        group.add_argument(
            f"--{name}-minutes", type=float, metavar="N", help=f"minutes between {what} (default: {default})"
        )
    parser.add_argument("--quiet", action="store_true", help="print only errors and results")


def run(arguments: argparse.Namespace) -> int:
    """Train; the result is the path of the best checkpoint."""
    if find_spec("torch") is None:
        raise MissingExtraError("train", "Training")
    from cleanplate.training.loop import read_run, train
    from cleanplate.training.settings import Settings

    out = arguments.out or Path("runs") / arguments.preset
    given = _given(arguments)
    if arguments.resume:
        if "start" in given or "init" in given:
            raise OptionError(
                "--resume continues with the run's own weights.", "leave out --start and --init"
            )
        settings = Settings.resumed(read_run(out)["settings"], given, out)
    else:
        given.setdefault("data", ())
        if "steps" in given:
            given["minutes"] = None
        settings = Settings(out=out, **given)
    follows = int(os.environ.get("RANK", "0")) > 0
    with Reporter(quiet=arguments.quiet or follows, log_seconds=LOG_SECONDS) as reporter:
        best = train(settings, resume=arguments.resume, listener=reporter)
        if not follows:
            reporter.result(str(best))
    return 0


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that were named on the command line."""
    given = {name: getattr(arguments, name) for name in ("preset", *_OF_THE_RUN)}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value is not None
    }
