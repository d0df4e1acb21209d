"""``cleanplate farm-template``: a manifest as a job template of the Open Job Description."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cleanplate.cli.commands import video
from cleanplate.cli.farm_commands import given_options
from cleanplate.cli.manifest import SUFFIXES, ManifestRow, read_manifest
from cleanplate.cli.reporter import Reporter
from cleanplate.cli.shards import find_shard, pick_row, select_rows
from cleanplate.errors import OptionError

NOTIFY_SECONDS = 60
"""Time between SIGTERM, after which a row ends its segment, and the end of its process."""

NAME = "farm-template"
SUMMARY = "write a manifest as a job template of the Open Job Description"
EXAMPLES = """\
examples:
  cleanplate farm-template shots.csv
  cleanplate farm-template shots.csv --plate plate.jpg --num-cpus 8

The template has a task for each row. Save it in the folder of the manifest, as shots.json; it runs with
`openjd run shots.json`, or on a farm that takes such templates. The options are those of `cleanplate video`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``: those of ``video``."""
    video.add_arguments(parser)
    parser.usage = "cleanplate farm-template SHOTS.CSV [options of video]"


def run(arguments: argparse.Namespace) -> int:
    """Write the template to standard output."""
    if arguments.source.suffix.lower() not in SUFFIXES:
        raise OptionError(f"A template needs a manifest, but {arguments.source} is one clip.", "name a .csv")
    every = read_manifest(arguments.source, arguments, video.add_arguments)
    rows = pick_row(select_rows(every, arguments.source, find_shard(arguments.shard)), arguments.row)
    if not rows:
        raise OptionError(f"Shard {arguments.shard} of {arguments.source} has no rows.", "use fewer shards")
    Reporter().row(json.dumps(job_template(arguments, rows), indent=2))
    return 0


def job_template(given: argparse.Namespace, rows: Sequence[ManifestRow]) -> dict[str, Any]:
    """The template, of version 2023-09: one step, one task for each row.

    Args:
        given: Arguments of the command line, which every task gets.
        rows: The rows.

    Raises:
        OptionError: An option has ``{{``, which a template replaces.
    """
    words = given_options(given, video.add_arguments, Path.cwd())
    if not given.resume:
        words.append("--resume")
    if wrong := [word for word in words if "{{" in word]:
        raise OptionError(f"A template cannot hold {wrong[0]}: '{{{{' begins a parameter.", "rename the file")
    run_row = {
        "command": "cleanplate",
        "args": ["video", "{{Param.Manifest}}", "--row", "{{Task.Param.Row}}", *words],
        "cancelation": {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": NOTIFY_SECONDS},
    }
    step: dict[str, Any] = {
        "name": "Key",
        "parameterSpace": {
            "taskParameterDefinitions": [
                {"name": "Row", "type": "INT", "range": write_ranges([row.number for row in rows])}
            ]
        },
        "script": {"actions": {"onRun": run_row}},
    }
    needs = {"amount.worker.vcpu": given.num_cpus, "amount.worker.gpu": given.num_gpus}
    if amounts := [{"name": name, "min": number} for name, number in needs.items() if number]:
        step["hostRequirements"] = {"amounts": amounts}
    manifest = {
        "name": "Manifest",
        "type": "PATH",
        "objectType": "FILE",
        "dataFlow": "IN",
        "description": "The manifest, on storage that all hosts share",
        # Relative to the folder of the template: the format refuses absolute defaults.
        "default": given.source.name,
    }
    return {
        "specificationVersion": "jobtemplate-2023-09",
        "name": f"cleanplate {given.source.stem}"[:128],
        "parameterDefinitions": [manifest],
        "steps": [step],
    }


def write_ranges(numbers: Sequence[int]) -> str:
    """Write ascending numbers as ranges.

    >>> write_ranges([2, 3, 4, 7, 9, 10])
    '2-4,7,9-10'
    """
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
