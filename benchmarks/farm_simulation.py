"""Simulate a farm with the scheduler of ``cleanplate video shots.csv`` and fake work, in virtual time.

    python benchmarks/farm_simulation.py --rows 10000 --nodes 250 --failures 0.01

Manifest, locks, records, retries and their reports are the real ones; only keying is replaced: a row takes
the time of its segments and writes a small result. Nodes fail at random, and the rows of a failed node lose
their current segment. In the middle, the scheduler itself is interrupted; a second run finishes the manifest.
The end is checked: each row is done, no finished segment was keyed twice, and no row was given up.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
import shutil
import sys
import tempfile
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cleanplate.cli import build_parser
from cleanplate.cli.commands.video import add_arguments
from cleanplate.cli.executors.executor import RowEvent
from cleanplate.cli.manifest import ManifestRow, read_manifest
from cleanplate.cli.manifest_run import run_rows
from cleanplate.cli.option_arguments import make_job
from cleanplate.cli.reporter import Reporter
from cleanplate.jobs.completion import RowRecord, is_complete

HOUR = 3600.0


@dataclass(frozen=True)
class Farm:
    """Figures of a simulated farm.

    Attributes:
        nodes: Number of nodes; each keys one row at a time.
        failures: Failures of a node per hour.
        segment_seconds: Time to key a segment.
        start_seconds: Time until a row's process keys its first frame.
        repair_seconds: Time until a failed node is replaced.
        segments: Fewest and most segments of a row.
    """

    nodes: int = 250
    failures: float = 0.01
    segment_seconds: float = 60.0
    start_seconds: float = 10.0
    repair_seconds: float = 600.0
    segments: tuple[int, int] = (2, 40)


class SimulatedFarm:
    """Executor in virtual time, with the state that a farm's shared storage has.

    Args:
        farm: Its figures.
        rows: The rows.
        seed: Of lengths and failures.

    Attributes:
        stop_after: Virtual seconds after which the scheduler is interrupted, as by Ctrl-C; None: never.
    """

    def __init__(self, farm: Farm, rows: list[ManifestRow], seed: int = 1) -> None:
        self.slots = farm.nodes * 2  # the rest waits in the farm's queue, as in Ray's
        self.now = 0.0
        self.stop_after: float | None = None
        self.lost_seconds = self.busy_seconds = 0.0
        self.keyed: Counter[tuple[int, int]] = Counter()
        self.deaths = 0
        self._farm, self._random = farm, random.Random(seed)
        self._rows = {row.number: row for row in rows}
        self._lengths = {row.number: self._random.randint(*farm.segments) for row in rows}
        self._kept: Counter[int] = Counter()  # finished segments on the storage
        self._order = itertools.count()
        self._agenda: list[tuple[float, int, str, int]] = []
        self._free = list(range(farm.nodes))
        self._queue: list[int] = []
        self._on_node: dict[int, tuple[int, float]] = {}
        for node in range(farm.nodes):
            self._plan_death(node)

    @property
    def ideal_seconds(self) -> float:
        """Time of the whole work without failures, on nodes that are never idle."""
        each = self._farm.start_seconds
        work = sum(each + length * self._farm.segment_seconds for length in self._lengths.values())
        return work / self._farm.nodes

    def submit(self, row: ManifestRow, arguments: Namespace, token: str) -> None:  # noqa: ARG002
        """Queue a row. Without ``--resume``, finished segments would be refused or lost: that is a fault."""
        if self._kept[row.number] and not arguments.resume:
            raise AssertionError(
                f"row {row.number} starts again without its {self._kept[row.number]} segments"
            )
        self._queue.append(row.number)
        self._fill()

    def hear(self) -> Iterator[RowEvent]:
        """Go on to the next moment at which a row ends or dies."""
        while True:
            self.now, _, what, node = heapq.heappop(self._agenda)
            if self.stop_after is not None and self.now > self.stop_after:
                raise KeyboardInterrupt
            if what == "repaired":
                self._free.append(node)
                self._plan_death(node)
                self._fill()
            elif what == "death":
                yield from self._die(node)
                return
            elif node in self._on_node and self._end_of(node) <= self.now:
                yield from self._finish(node)
                return

    def cancel(self) -> None:
        """Interrupt all rows: what they have finished stays on the storage."""
        for node in list(self._on_node):
            self._leave(node)
            self._free.append(node)
        self._queue.clear()

    def close(self) -> None:
        """Do nothing."""

    def _fill(self) -> None:
        while self._free and self._queue:
            node, row = self._free.pop(0), self._queue.pop(0)
            self._on_node[node] = (row, self.now)
            self._plan(self._end_of(node), "end", node)

    def _end_of(self, node: int) -> float:
        row, began = self._on_node[node]
        left = self._lengths[row] - self._kept[row]
        return began + self._farm.start_seconds + left * self._farm.segment_seconds

    def _finish(self, node: int) -> Iterator[RowEvent]:
        number = self._leave(node)
        self._free.append(node)
        row = self._rows[number]
        assert isinstance(row.arguments, Namespace)
        record = RowRecord(make_job(row.arguments), row.results)
        record.begin()
        row.results[0].write_bytes(b"a result")
        record.finish(self._lengths[number], 1.0)
        self._fill()
        yield RowEvent(number, "done", "done")
        yield RowEvent(number, "ended")

    def _die(self, node: int) -> Iterator[RowEvent]:
        self.deaths += 1
        self._plan(self.now + self._farm.repair_seconds, "repaired", node)
        if node not in self._on_node:
            if node in self._free:
                self._free.remove(node)
            return
        number = self._leave(node)
        yield RowEvent(number, "lost", f"Node {node} died.", {"hint": "continue with --resume"})

    def _leave(self, node: int) -> int:
        """Take the row of a node away, and keep its finished segments."""
        row, began = self._on_node[node]
        worked = max(0.0, self.now - began - self._farm.start_seconds)
        finished = min(int(worked / self._farm.segment_seconds + 1e-6), self._lengths[row] - self._kept[row])
        for number in range(finished):
            self.keyed[row, self._kept[row] + number] += 1
        self._kept[row] += finished
        self.busy_seconds += self.now - began
        self.lost_seconds += worked - finished * self._farm.segment_seconds
        del self._on_node[node]
        return row

    def _plan_death(self, node: int) -> None:
        if self._farm.failures > 0:
            self._plan(self.now + self._random.expovariate(self._farm.failures / HOUR), "death", node)

    def _plan(self, when: float, what: str, node: int) -> None:
        heapq.heappush(self._agenda, (when, next(self._order), what, node))

    def check(self) -> None:
        """Raise AssertionError unless each segment of each row was keyed once, and each row is recorded."""
        expected = {(row, number) for row, length in self._lengths.items() for number in range(length)}
        assert set(self.keyed) == expected, f"{len(expected - set(self.keyed))} segments are lost"
        assert max(self.keyed.values()) == 1, "a segment was keyed twice"
        for row in self._rows.values():
            assert isinstance(row.arguments, Namespace)
            assert is_complete(make_job(row.arguments), row.results), f"row {row.number} is not done"


class CountingReporter(Reporter):
    """Counts the events of the scheduler."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.counts: Counter[str] = Counter()
        self.done_rows: Counter[int] = Counter()

    def note(self, text: str, **facts: Any) -> None:  # noqa: ARG002
        self.counts["retry"] += "; retry " in text

    def done(self, text: str, **facts: Any) -> None:  # noqa: ARG002
        if "row" in facts:
            self.done_rows[facts["row"]] += 1

    def error(self, error: Any, **facts: Any) -> None:  # noqa: ARG002
        self.counts["failed"] += 1


def simulate(folder: Path, rows: int, farm: Farm, seed: int = 1) -> dict[str, float]:
    """Run a manifest on a simulated farm; returns its figures.

    Args:
        folder: Empty folder for manifest, locks, records and results.
        rows: Number of rows.
        farm: Figures of the farm.
        seed: Of lengths and failures.

    Raises:
        AssertionError: A row is lost, or a finished segment was keyed twice.
    """
    (folder / "clip.mkv").write_bytes(b"a clip")
    (folder / "plate.png").write_bytes(b"a plate")
    lines = [f"clip.mkv,plate.png,out/{number % 100}/{number}.mkv" for number in range(rows)]
    (folder / "shots.csv").write_text("\n".join(["clip,plate,output", *lines]) + "\n")
    given = build_parser().parse_args(["video", str(folder / "shots.csv"), "--resume"])
    began = time.perf_counter()
    rows = read_manifest(given.source, given, add_arguments)
    read = time.perf_counter()
    executor, reporter = SimulatedFarm(farm, rows, seed), CountingReporter()
    executor.stop_after = executor.ideal_seconds / 2
    try:
        run_rows(rows, executor, reporter, max_retries=3)
        raise AssertionError("the first run was not interrupted")
    except KeyboardInterrupt:
        executor.stop_after = None
    half = sum(reporter.done_rows.values())
    assert run_rows(rows, executor, reporter, max_retries=3) == 0
    ended = time.perf_counter()
    executor.check()
    assert set(reporter.done_rows.values()) == {1}
    assert not list(folder.rglob("*.lock"))
    return {
        "rows": rows,
        "done before the interruption": half,
        "hours": executor.now / HOUR,
        "hours without failures": executor.ideal_seconds / HOUR,
        "deaths of nodes": executor.deaths,
        "retries": reporter.counts["retry"],
        "failed": reporter.counts["failed"],
        "lost node hours": executor.lost_seconds / HOUR,
        "busy node hours": executor.busy_seconds / HOUR,
        "real seconds to read the manifest": read - began,
        "real seconds to schedule": ended - read,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--nodes", type=int, default=Farm.nodes)
    parser.add_argument("--failures", type=float, default=Farm.failures, help="failures of a node per hour")
    parser.add_argument("--segment-seconds", type=float, default=Farm.segment_seconds)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    farm = Farm(given.nodes, given.failures, given.segment_seconds)
    folder = Path(tempfile.mkdtemp())
    try:
        for name, value in simulate(folder, given.rows, farm, given.seed).items():
            sys.stdout.write(
                f"{name}: {value:,.2f}\n" if isinstance(value, float) else f"{name}: {value:,}\n"
            )
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
