"""``cleanplate video``: one clip, or a manifest of many."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleanplate.cli.executors.executor import Executor, ExecutorRequest
from cleanplate.cli.executors.processes import LocalProcesses, prepare_process
from cleanplate.cli.executors.ray_address import check_address
from cleanplate.cli.farm_commands import FARMS, farm_commands
from cleanplate.cli.manifest import SUFFIXES, ManifestRow, name_results, read_manifest
from cleanplate.cli.manifest_run import ONE_CLIP, run_rows
from cleanplate.cli.model_resolution import resolve_model, resolve_models
from cleanplate.cli.option_arguments import add_job_options, find_group, make_job
from cleanplate.cli.reporter import JsonReporter, Reporter, format_duration
from cleanplate.cli.row_table import tell_states
from cleanplate.cli.shards import count_shards, find_shard, pick_row, select_rows
from cleanplate.cli.split_tasks import key_step, step_of
from cleanplate.errors import CleanplateError, OptionError
from cleanplate.system.pipes import writes_to_stdout
from cleanplate.system.plugins import explaining_plugin, find_plugins, load_plugin

if TYPE_CHECKING:
    from cleanplate.jobs.pipeline import Progress, Summary

SLOW_SECONDS = 5.0
"""Shorter runs get no advice: their speed is mostly that of the start."""

FASTER = "The run was slower than real time; --scale auto is faster, with slightly softer edges."

RETRIES_ON_RAY = 3

EXECUTION = ("jobs", "on", "num-cpus", "num-gpus", "max-retries")
"""Options that need a manifest, or a clip in spans."""

WHOLE_RUN = ("shard", "row", "status", "print-commands")
"""Options that need a manifest."""

NAME = "video"
SUMMARY = "cut the subject out of a clip or a numbered sequence"
EXAMPLES = """\
Most runs need only --plate and -o. The first group has the options used most; docs/options.md lists all.

examples:
  cleanplate video clip.mp4 --plate plate.jpg -o cut.mov
  cleanplate video clip.mp4 --plate plate.jpg -o comp.mp4 --background beach.jpg
  cleanplate video clip.mp4 --plate plate.mp4 --plate-motion search   (the plate repeats a camera move)
  cleanplate video clip.mp4 --plate auto     (built from the clip; --model rvm-mobilenetv3 needs none)
  cleanplate video clip.mp4 --plate plate.jpg --follow --shadow keep --ignore rect:0,0,0.2,1,0.02
  cleanplate video shot_%05d.png --plate plate.png -o cut_%05d.png --save cutout alpha
  cleanplate video clip.mov --plate plate.jpg -o cut.mov --range 00:10-00:42.5 --resume
  cleanplate video - --plate plate.jpg -o -  (NUT or Y4M from a pipe to a pipe: docs/automation.md)
  cleanplate video shots.csv --jobs 2        (columns: clip, plate, output, and any option's name)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``."""
    parser.usage = "cleanplate video CLIP [--plate PLATE] [-o OUT] [options]"
    parser.add_argument(
        "source",
        type=Path,
        metavar="CLIP",
        help="video file, name_%%05d.png, - (stdin), or shots.csv: a clip per row",
    )
    add_job_options(parser, video=True)
    find_group(parser, "running").add_argument(
        "--json", action="store_true", help="print progress and results as JSON lines to stdout"
    )
    group = find_group(parser, "many clips, many machines")
    group.add_argument("--jobs", type=int, metavar="N", help="clips of a manifest to key at the same time")
    group.add_argument(
        "--shard",
        metavar="K/N",
        help="key part K of N of a manifest; /N in a job array",
    )
    group.add_argument("--row", type=int, metavar="N", help="key one row of a manifest: line N of the file")
    group.add_argument(
        "--on",
        metavar="PLACE",
        help="key the rows of a manifest on Ray: ray, ray://HOST:PORT; or by a plug-in",
    )
    group.add_argument("--num-cpus", type=float, metavar="N", help="CPUs of a row on Ray (default: 4)")
    group.add_argument(
        "--num-gpus",
        type=float,
        metavar="N",
        help="GPUs of a row on Ray (default: 0; 1 with cuda)",
    )
    group.add_argument(
        "--max-retries",
        type=int,
        metavar="N",
        help="retries of a row that died (default: 3 on Ray)",
    )
    group.add_argument("--status", action="store_true", help="list the rows of a manifest with their states")
    group.add_argument(
        "--print-commands",
        choices=FARMS,
        metavar="FARM",
        help=f"print the shards' commands: {', '.join(FARMS)}",
    )


def run(arguments: argparse.Namespace) -> int:
    """Key a clip, or all clips of a manifest."""
    prepare_process()
    # Data and text do not mix: standard output has the stream alone.
    results = sys.stderr if writes_to_stdout(arguments.output) else None
    with JsonReporter(results) if arguments.json else Reporter(quiet=arguments.quiet) as reporter:
        try:
            if arguments.source.suffix.lower() in SUFFIXES:
                return _run_manifest(arguments, reporter)
            is_split = arguments.split_seconds is not None
            for name in WHOLE_RUN if is_split else (*EXECUTION, *WHOLE_RUN):
                if getattr(arguments, name.replace("-", "_")) not in (None, False):
                    raise OptionError(
                        f"--{name} needs a manifest, but {arguments.source} is one clip.",
                        f"leave out --{name}",
                    )
            arguments = resolve_model(arguments, reporter.note)
            if is_split:
                return _run_spans(arguments, reporter)
            key_clip(arguments, reporter)
        except CleanplateError as error:
            if arguments.json:
                reporter.error(error)
            raise
    return 0


def _run_manifest(arguments: argparse.Namespace, reporter: Reporter) -> int:
    """Key the rows of a manifest, or of one shard of it; or tell their states, or print commands."""
    every = read_manifest(arguments.source, arguments, add_arguments)
    if arguments.print_commands is not None:
        shards = count_shards(arguments.shard)
        resolved = resolve_model(arguments, reporter.note)
        Reporter().row(farm_commands(arguments.print_commands, resolved, shards, add_arguments))
        return 0
    shard = find_shard(arguments.shard)
    rows = pick_row(select_rows(every, arguments.source, shard), arguments.row)
    rows = resolve_models(rows, reporter.note)
    if arguments.status:
        return tell_states(rows, reporter)
    if shard is not None:
        reporter.note(f"Shard {shard}: {len(rows)} of {len(every)} clips.")
    return run_rows(rows, _choose_executor(arguments, reporter), reporter, _choose_retries(arguments))


def _run_spans(arguments: argparse.Namespace, reporter: Reporter) -> int:
    """Key the spans of one clip, as those of a manifest with one row."""
    from cleanplate.jobs.split_run import check_split

    check_split(make_job(arguments))
    row = ManifestRow(ONE_CLIP, arguments.source.name, arguments, name_results(arguments))
    return run_rows([row], _choose_executor(arguments, reporter), reporter, _choose_retries(arguments))


def _choose_retries(arguments: argparse.Namespace) -> int:
    """Retries of a row whose process died."""
    if arguments.max_retries is not None:
        return int(arguments.max_retries)
    return 0 if arguments.on is None else RETRIES_ON_RAY


def _choose_executor(arguments: argparse.Namespace, reporter: Reporter) -> Executor:
    """The processes of this machine, the executor of a plug-in, or a Ray cluster."""
    if arguments.on is None:
        for name in ("num-cpus", "num-gpus"):
            if getattr(arguments, name.replace("-", "_")) is not None:
                raise OptionError(f"--{name} is for rows on Ray.", f"add --on ray, or leave out --{name}")
        return LocalProcesses(key_row, arguments.jobs)
    gpus = arguments.num_gpus
    if gpus is None:
        gpus = 1.0 if str(arguments.device).startswith("cuda") else 0.0
    request = ExecutorRequest(arguments.on, key_row, arguments.jobs, arguments.num_cpus, gpus, reporter)
    brought = find_plugins("executor").get(arguments.on.partition("://")[0])
    if brought is not None and brought.name != "ray":
        with explaining_plugin(brought):
            made: Executor = load_plugin(brought)(request)
        return made
    from cleanplate.cli.executors.ray_tasks import RayTasks

    place = check_address(arguments.on)
    return RayTasks(place, key_row, arguments.jobs, arguments.num_cpus, gpus, reporter)


def key_row(arguments: argparse.Namespace, reporter: Reporter, threads: int | None = None) -> None:
    """Key the clip of one row of a manifest, or a step of it, and record its end beside the result.

    Raises:
        CleanplateError: As :func:`key_clip`.
    """
    from cleanplate.jobs.completion import RowRecord

    step = step_of(arguments)
    if step is not None:

        def show(progress: Progress) -> None:
            reporter.progress(describe_progress(progress), **facts_of(progress))

        key_step(make_job(arguments, threads), step, name_results(arguments), reporter, show)
        return
    record = RowRecord(make_job(arguments, threads), name_results(arguments))
    record.begin()
    try:
        summary = key_clip(arguments, reporter, threads)
    except CleanplateError as error:
        record.fail(error)
        raise
    record.finish(summary.frames, summary.seconds)


def key_clip(arguments: argparse.Namespace, reporter: Reporter, threads: int | None = None) -> Summary:
    """Key one clip and report progress; ``threads`` are the network's, None for one per core.

    Raises:
        CleanplateError: An option is wrong, or a file cannot be read or written.
    """
    from cleanplate.jobs import run_job

    speed: float | None = None

    def show(progress: Progress) -> None:
        nonlocal speed
        speed = progress.speed if progress.doing == "keying" else speed
        reporter.progress(describe_progress(progress), **facts_of(progress))

    summary = run_job(make_job(arguments, threads), on_progress=show, on_note=reporter.note)
    reporter.done(
        describe_summary(summary),
        frames=summary.frames,
        resumed=summary.resumed,
        seconds=round(summary.seconds, 3),
    )
    if advice := advise_speed(arguments.scale, speed, summary.seconds):
        reporter.note(advice)
    for path in [path for path in summary.paths if not writes_to_stdout(path)]:
        reporter.result(str(path))
    return summary


def advise_speed(scale: str, speed: float | None, seconds: float) -> str:
    """The option that makes a slow run faster; empty if there is none.

    Args:
        scale: Value of ``--scale``.
        speed: Speed of the run, relative to real time; None if unknown.
        seconds: Duration of the run.
    """
    if scale != "fine" or speed is None or speed >= 1 or seconds < SLOW_SECONDS:
        return ""
    return FASTER


def describe_summary(summary: Summary) -> str:
    """Summary of the run."""
    if not summary.frames:
        return "There was nothing left to do."
    done = summary.frames - summary.resumed
    before = f" after {summary.resumed} of an earlier run" if summary.resumed else ""
    rate = f", {done / summary.seconds:.1f} frames per second" if done and summary.seconds > 0 else ""
    return f"{done} frame{'' if done == 1 else 's'}{before} in {format_duration(summary.seconds)}{rate}."


def describe_progress(progress: Progress) -> str:
    """Frames, speed (also relative to real time), time left, and the slowest stage."""
    if progress.doing == "building":
        share = f" {progress.frames / progress.total:.0%}" if progress.total else ""
        return f"building the plate:{share or f' frame {progress.frames}'}"
    if progress.doing == "matching":
        of = "" if progress.total is None else f" of about {progress.total}"
        return f"matching the plate: frame {progress.frames}{of}"
    if progress.doing == "joining":
        return f"{progress.frames} frames, joining the segments"
    of = "" if progress.total is None else f" of about {progress.total}"
    speed = "" if progress.speed is None else f" ({progress.speed:.2f}x)"
    left = progress.seconds_left
    ending = "" if left is None else f", {format_duration(left)} left"
    waits = "" if progress.bottleneck is None else f", {progress.bottleneck} is slowest"
    return f"frame {progress.frames}{of}, {progress.fps:.1f} fps{speed}{ending}{waits}"


def facts_of(progress: Progress) -> dict[str, Any]:
    """The same for programs; an unknown value is null."""
    left = progress.seconds_left
    return {
        "doing": progress.doing,
        "frames": progress.frames,
        "total": progress.total,
        "fps": round(progress.fps, 2),
        "speed": None if progress.speed is None else round(progress.speed, 3),
        "bottleneck": progress.bottleneck,
        "seconds_left": None if left is None else round(left, 1),
    }
