"""``cleanplate evaluate``: score models on cases with a known true matte."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleanplate import __version__
from cleanplate.cli.commands.bench import parse_size
from cleanplate.cli.option_arguments import add_keyer_options, keyer_keywords, keyer_options
from cleanplate.cli.reporter import Reporter, format_duration
from cleanplate.errors import OptionError

if TYPE_CHECKING:
    from cleanplate.evaluation.cases import Example
    from cleanplate.evaluation.evaluate_cases import Peer
    from cleanplate.evaluation.evaluation_report import ReportFolder

NAME = "evaluate"
SUMMARY = "score a model on cases with a known true matte, and compare it with other models and keyers"
EXAMPLES = """\
examples:
  cleanplate evaluate --data cases/ --against keyer --report report/
  cleanplate evaluate --model mine.safetensors --data cases/ --region unknown --json
  cleanplate evaluate --data PhotoMatte85/ --protocol bgmv2 --backgrounds backgrounds/
  cleanplate evaluate --data material/ --sweep exposure shift --report report/

Cases come from 'cleanplate synthesize'. A protocol makes its own cases from cut-outs (fgr/ and pha/, or RGBA)
and backgrounds; a sweep makes them from training material. 'keyer' is a tuned difference keyer, without a
network.
"""

SWEEP_CASES = 16
SWEEP_SIZE = (720, 1280)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``."""
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FOLDER", help="cases, or the material to make them from"
    )
    parser.add_argument(
        "--against",
        nargs="+",
        default=[],
        metavar="NAME",
        help="models to compare with, by name or file, or 'keyer'",
    )
    parser.add_argument(
        "--region", choices=("all", "unknown"), help="pixels to measure: all, or only the trimap's grey band"
    )
    parser.add_argument("-n", type=int, metavar="N", help="cases to evaluate (default: all)")
    parser.add_argument(
        "--report", type=Path, metavar="FOLDER", help="write JSON and pictures of the worst cases"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a report that exists")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="print only errors and results")
    making = parser.add_argument_group("cases made for this evaluation")
    making.add_argument(
        "--protocol", choices=("bgmv2", "rvm"), help="cases and metrics as in the tables of a paper"
    )
    making.add_argument(
        "--backgrounds",
        type=Path,
        metavar="FOLDER",
        help="backgrounds of a protocol: pictures; for rvm also videos",
    )
    making.add_argument(
        "--sweep",
        nargs="+",
        metavar="FAULT",
        help="faults to increase step by step, with the error drawn against each: exposure, shift, noise ...",
    )
    making.add_argument("--size", metavar="WxH", help="size of these cases")
    making.add_argument("--seed", type=int, default=0, help="seed of these cases (default: 0)")
    add_keyer_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check the arguments, then evaluate and print a table."""
    _check(arguments)
    from cleanplate.evaluation.evaluate_cases import check_peers, open_peer
    from cleanplate.evaluation.evaluation_report import ReportFolder

    options = keyer_keywords(keyer_options(arguments))
    names = [options.pop("model"), *arguments.against]
    del options["align"]
    peers = [open_peer(name, **options) for name in names]
    check_peers(peers)
    folder = None
    if arguments.report is not None:
        folder = ReportFolder(arguments.report, overwrite=arguments.overwrite)
    setup = {
        "version": __version__,
        "data": str(arguments.data),
        "protocol": arguments.protocol,
        "backgrounds": None if arguments.backgrounds is None else str(arguments.backgrounds),
        "seed": arguments.seed,
        **options,
    }
    with Reporter(quiet=arguments.quiet) as reporter:
        if arguments.sweep:
            _run_sweep(arguments, peers, setup, folder, reporter)
        else:
            _run_cases(arguments, peers, setup, folder, reporter)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.n is not None and arguments.n < 1:
        raise OptionError(f"-n is {arguments.n}; expected 1 or more.")
    if arguments.protocol and arguments.sweep:
        raise OptionError("--protocol and --sweep make different cases; give one of them.")
    if bool(arguments.protocol) != bool(arguments.backgrounds):
        raise OptionError("--protocol and --backgrounds belong together.", "give both or none")
    if arguments.size and not (arguments.protocol or arguments.sweep):
        raise OptionError(f"--size is {arguments.size}, but cases on disk have a size of their own.")


def _run_cases(
    arguments: argparse.Namespace,
    peers: Sequence[Peer],
    setup: dict[str, Any],
    folder: ReportFolder | None,
    reporter: Reporter,
) -> None:
    from cleanplate.evaluation.evaluate_cases import evaluate
    from cleanplate.evaluation.evaluation_report import Tally, draw_table, to_json

    cases, metrics, region = _find_cases(arguments)
    cases = cases[: arguments.n]
    tally = Tally([peer.name for peer in peers])
    progress = _Progress(reporter, len(cases))
    try:
        for outcome in evaluate(cases, peers, region):
            tally.add(outcome)
            progress.step()
    except KeyboardInterrupt:
        if tally.outcomes:
            reporter.done(f"Interrupted; the table shows the first {len(tally.outcomes)} cases.")
            reporter.result(draw_table(tally, metrics))
        raise
    report = to_json(tally, {**setup, "region": region})
    reporter.result(json.dumps(report, indent=1) if arguments.json else draw_table(tally, metrics))
    if folder is not None:
        paths = [folder.write_json(report), *folder.write_sheets(tally)]
        reporter.done(f"Report: {', '.join(map(str, paths))}")


def _find_cases(arguments: argparse.Namespace) -> tuple[Sequence[Example], Sequence[str], str]:
    """The cases, the metrics to show (none: all), and the region."""
    if arguments.protocol is None:
        from cleanplate.evaluation.cases import read_cases

        return read_cases(arguments.data), (), arguments.region or "all"
    from cleanplate.evaluation.cutout_samples import find_samples
    from cleanplate.evaluation.protocols import find_protocol, make_cases

    protocol = find_protocol(arguments.protocol)
    size = parse_size(arguments.size) if arguments.size else None
    samples = find_samples(arguments.data)
    cases = make_cases(arguments.protocol, samples, arguments.backgrounds, seed=arguments.seed, size=size)
    return cases, protocol.metrics, arguments.region or protocol.region


def _run_sweep(
    arguments: argparse.Namespace,
    peers: Sequence[Peer],
    setup: dict[str, Any],
    folder: ReportFolder | None,
    reporter: Reporter,
) -> None:
    from cleanplate.evaluation.fault_sweep import STRENGTHS, chart_of, draw_sweep_table, sweep, sweep_to_json

    count = arguments.n or SWEEP_CASES
    region = arguments.region or "all"
    faults = list(dict.fromkeys(arguments.sweep))
    progress = _Progress(reporter, count * len(faults) * len(STRENGTHS))
    found = sweep(
        arguments.data,
        faults,
        peers,
        count=count,
        size=parse_size(arguments.size) if arguments.size else SWEEP_SIZE,
        seed=arguments.seed,
        region=region,
        on_case=progress.step,
    )
    report = sweep_to_json(found, {**setup, "region": region, "cases": count})
    reporter.result(json.dumps(report, indent=1) if arguments.json else draw_sweep_table(found))
    if folder is not None:
        paths = [folder.write_json(report)]
        paths += [folder.write_chart(f"sweep_{fault}", chart_of(fault, found[fault])) for fault in found]
        reporter.done(f"Report: {', '.join(map(str, paths))}")


class _Progress:
    """Counts cases and estimates the time left."""

    def __init__(self, reporter: Reporter, total: int) -> None:
        self._reporter = reporter
        self._total = total
        self._done = 0
        self._began = time.monotonic()

    def step(self) -> None:
        """Count a finished case."""
        self._done += 1
        each = (time.monotonic() - self._began) / self._done
        left = format_duration(each * (self._total - self._done))
        self._reporter.progress(f"case {self._done} of {self._total}, {each:.1f} s each, {left} left")
