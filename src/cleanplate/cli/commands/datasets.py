"""``cleanplate datasets``: list and check the files that training would read."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

from cleanplate.cli.option_arguments import add_data_options
from cleanplate.cli.reporter import Reporter, format_duration
from cleanplate.cli.subparsers import helper
from cleanplate.system.cores import usable_cores

if TYPE_CHECKING:
    from cleanplate.training.datasets.clips import Clip
    from cleanplate.training.datasets.inspection import Inspection
    from cleanplate.training.datasets.layouts import DataSet, Still

NAME = "datasets"
SUMMARY = "check data sets for training: missing, damaged or mismatched files, and the held-out part"
EXAMPLES = """\
examples:
  cleanplate datasets check --data videomatte240k=/d/vm aim=/d/aim --backgrounds /d/bg
  cleanplate datasets check --data material/ --list-validation

Exit code: 0 without findings, 1 with findings, 2 after an error.
"""

EXIT_FINDINGS = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    parser.set_defaults(do=helper(parser))
    check = actions.add_parser(
        "check",
        help="decode every file and list the faults",
        description="Decode every file and list the faults.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_data_options(check)
    check.add_argument(
        "--list-validation", action="store_true", help="print the held-out names without opening a file"
    )
    check.add_argument("--json", action="store_true", help="print JSON")
    check.add_argument(
        "--threads", type=int, metavar="N", help="files to read at once (default: one per core)"
    )
    check.add_argument("--quiet", action="store_true", help="print only findings and errors")
    check.set_defaults(do=_list_or_check)


def run(arguments: argparse.Namespace) -> int:
    """Run the action."""
    return int(arguments.do(arguments))


def _list_or_check(arguments: argparse.Namespace) -> int:
    """List the held-out names, or check."""
    from cleanplate.errors import OptionError
    from cleanplate.training.datasets import parse_data_spec
    from cleanplate.training.datasets.layouts import find_backgrounds, find_dataset

    if not (arguments.data or arguments.backgrounds):
        raise OptionError("There is nothing to check.", "name data sets with --data or --backgrounds")
    if arguments.threads is not None and arguments.threads < 1:
        raise OptionError(f"Expected at least 1 thread, got {arguments.threads}.")
    specs = [parse_data_spec(text) for text in arguments.data]
    datasets = [find_dataset(spec) for spec in specs] + [
        find_backgrounds(path) for path in arguments.backgrounds
    ]
    with Reporter(quiet=arguments.quiet) as reporter:
        if arguments.list_validation:
            _list_validation(datasets, reporter, as_json=arguments.json)
            return 0
        return _check(datasets, reporter, arguments.threads or usable_cores(), as_json=arguments.json)


def _list_validation(datasets: Sequence[DataSet], reporter: Reporter, *, as_json: bool) -> None:
    held_out: dict[str, list[str]] = {}
    for dataset in datasets:
        stills = [still.name for still in dataset.stills if still.split == "validation"]
        clips = [clip.name for clip in dataset.clips if clip.split == "validation"]
        held_out[str(dataset.root)] = sorted(stills + clips)
    if as_json:
        reporter.result(json.dumps(held_out, indent=2))
        return
    for root, names in held_out.items():
        if len(held_out) > 1:
            reporter.result(f"# {root}")
        for name in names:
            reporter.result(name)


def _check(datasets: Sequence[DataSet], reporter: Reporter, threads: int, *, as_json: bool) -> int:
    from cleanplate.training.datasets.inspection import find_duplicates, summarise

    inspections = [_inspect_all(dataset, threads, reporter) for dataset in datasets]
    findings = [finding for dataset in datasets for finding in dataset.findings]
    findings += [finding for seen in inspections for one in seen for finding in one.findings]
    findings += find_duplicates(one for seen in inspections for one in seen)
    summaries = [summarise(dataset, seen) for dataset, seen in zip(datasets, inspections, strict=True)]
    if as_json:
        report = {"findings": [vars(finding) for finding in findings], "datasets": summaries}
        reporter.result(json.dumps(report, indent=2))
    else:
        for finding in findings:
            reporter.result(f"{finding.kind}: {finding.message}")
        for summary in summaries:
            for line in _describe(summary):
                reporter.done(line)
        reporter.done(
            f"{len(findings)} finding{'s' * (len(findings) > 1)}." if findings else "Nothing wrong was found."
        )
    return EXIT_FINDINGS if findings else 0


def _inspect_all(dataset: DataSet, threads: int, reporter: Reporter) -> list[Inspection]:
    from cleanplate.training.datasets.inspection import inspect

    entries: list[Still | Clip] = [*dataset.stills, *dataset.clips]
    began = time.monotonic()
    inspections: list[Inspection] = []
    with ThreadPoolExecutor(threads) as pool:
        try:
            for future in _in_flight(pool, inspect, entries, 4 * threads):
                inspections.append(future.result())
                seconds = time.monotonic() - began
                left = seconds / len(inspections) * (len(entries) - len(inspections))
                reporter.progress(
                    f"{dataset.root}: {len(inspections)} of {len(entries)} stills and clips, "
                    f"{len(inspections) / max(seconds, 1e-3):.0f} a second, {format_duration(left)} left"
                )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return inspections


def _in_flight(
    pool: ThreadPoolExecutor, inspect: Any, entries: Iterable[Still | Clip], most: int
) -> Iterator[Future[Inspection]]:
    """Yield futures in the order of the entries, with at most ``most`` of them submitted at a time."""
    rest = iter(entries)
    waiting = [pool.submit(inspect, entry) for entry in islice(rest, most)]
    while waiting:
        yield waiting.pop(0)
        waiting += [pool.submit(inspect, entry) for entry in islice(rest, 1)]


def _describe(summary: dict[str, Any]) -> Iterator[str]:
    yield f"{summary['root']} ({summary['layout']})"
    for part in summary["parts"]:
        contents = [f"{part[what]} {what}" for what in ("stills", "clips") if part[what]]
        if part["clips"]:
            contents.append(f"{part['frames']} frames")
        if part["largest"]:
            small, large = ("{1}x{0}".format(*part[end]) for end in ("smallest", "largest"))
            contents.append(small if small == large else f"{small} to {large}")
        contents.append(f"{part['decoded_bytes'] / 1e6:,.0f} MB decoded")
        yield f"  {part['kind']:<12}{part['split']:<12}{', '.join(contents)}"
