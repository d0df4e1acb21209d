"""Files of a result that is keyed in spans, in its work folder.

::

    cut.mov.partial/checkpoint.json              the job; without frames until all spans are done
                    spans.json                   the plan: the first frame of each span
                    fit.bin                      state of keyer and backdrop after the fit of the plate
                    cut.span-000003.json         a finished span, with its segments
                    cut.span-000003.mov.partial/ checkpoint and segments of a span

A span is a job of its own, whose result is never made: its segments are moved into the work folder of the
result, and joined there as those of a resumed run.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cleanplate.jobs.checkpoint.pickled_state import read_state, write_state
from cleanplate.jobs.checkpoint.record import DamagedError, Work
from cleanplate.media.files import reporting_write_errors
from cleanplate.media.locks import find_owner, lock_path
from cleanplate.media.video.segments import Segment, clear_parts, remove_folder
from cleanplate.system.temporary_files import temporary_file, work_folder

FORMAT = "cleanplate-spans-2"

_HINT = "start again with --overwrite"


@dataclass(frozen=True)
class Mark:
    """First frame of a span: its index, and its time in the source's time base."""

    index: int
    pts: int


@dataclass(frozen=True)
class SpanPlan:
    """Plan of a job in spans.

    Attributes:
        name: Unique text of this plan.
        frames: Frames of the clip.
        marks: First frame of each span.
        checksum: Hash of the file with the state after the fit.
    """

    name: str
    frames: int
    marks: Sequence[Mark]
    checksum: int

    def lengths(self) -> list[int]:
        """Frames of each span."""
        ends = [*(mark.index for mark in self.marks[1:]), self.frames]
        return [end - mark.index for mark, end in zip(self.marks, ends, strict=True)]


@dataclass(frozen=True)
class SpanRecord:
    """Record of a finished span.

    Attributes:
        plan: Name of its plan.
        seconds: Duration of its run.
        segments: The segments of each video, by the result's name.
    """

    plan: str
    seconds: float
    segments: Mapping[str, Sequence[Segment]]


@dataclass(frozen=True)
class SpanCount:
    """Progress of a job: ``done`` of ``spans`` spans are finished, ``frames`` of ``of`` frames are keyed."""

    done: int = 0
    spans: int = 0
    frames: int = 0
    of: int = 0


def span_path(path: Path, number: int) -> Path:
    """Path from which work folder and lock of a span are named; there is no such file."""
    return work_folder(path) / f"{_stem(path)}.span-{number:06d}{path.suffix}"


def _stem(path: Path) -> str:
    """Stem of the names of spans: without the sign by which the name of a sequence is a pattern."""
    return path.stem.replace("%", "")


class SpanFiles:
    """The files of a job in spans, in the work folder of its first result.

    Args:
        path: The first result.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder = work_folder(path)
        self._plan = self._folder / "spans.json"
        self._fit = self._folder / "fit.bin"

    def read_plan(self) -> SpanPlan | None:
        """The plan; None without one.

        Raises:
            DamagedError: It cannot be read.
        """
        try:
            entries = json.loads(self._plan.read_text(encoding="utf-8"))
            if entries.pop("format") != FORMAT:
                raise ValueError("another format")
            marks = [Mark(int(index), int(pts)) for index, pts in entries.pop("marks")]
            plan = SpanPlan(**entries, marks=marks)
            if type(plan.frames) is not int or type(plan.checksum) is not int or type(plan.name) is not str:
                raise ValueError("no plan")
            if not marks or marks[0].index != 0 or min(plan.lengths()) < 1:
                raise ValueError("spans without frames")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DamagedError(f"{self._plan} is damaged.", _HINT) from error
        return plan

    def write_plan(self, plan: SpanPlan, state: object) -> SpanPlan:
        """Write a plan and the state after the fit; returns the plan with its checksum.

        Raises:
            OutputError: They cannot be written.
        """
        with reporting_write_errors(self.path):
            plan = replace(plan, checksum=write_state(state, self._fit))
            entries = {
                "format": FORMAT,
                **vars(plan),
                "marks": [[mark.index, mark.pts] for mark in plan.marks],
            }
            self._write(self._plan, entries)
        return plan

    def recall_fit(self, plan: SpanPlan) -> Any:
        """The state after the fit.

        Raises:
            DamagedError: It cannot be read.
        """
        try:
            return read_state(self._fit, plan.checksum)
        except (OSError, ValueError) as error:
            raise DamagedError(f"{self._fit} is damaged.", _HINT) from error

    def read_record(self, number: int, plan: SpanPlan) -> SpanRecord | None:
        """Record of a finished span; None if the span is not finished."""
        try:
            entries = json.loads(self._record(number).read_text(encoding="utf-8"))
            segments = {
                str(name): [Segment(*map(int, numbers)) for numbers in listed]
                for name, listed in entries.pop("segments").items()
            }
            record = SpanRecord(**entries, segments=segments)
            length = plan.lengths()[number]
            if any(sum(segment.frames for segment in listed) != length for listed in segments.values()):
                return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        return record if record.plan == plan.name else None

    def write_record(self, number: int, record: SpanRecord) -> None:
        """Record that a span is finished.

        Raises:
            OutputError: It cannot be written.
        """
        segments = {
            name: [[segment.frames, segment.size, segment.checksum] for segment in listed]
            for name, listed in record.segments.items()
        }
        with reporting_write_errors(self.path):
            self._write(self._record(number), {**vars(record), "segments": segments})

    def forget(self, number: int) -> None:
        """Remove the record of a span, so that it is keyed again."""
        with reporting_write_errors(self.path):
            self._record(number).unlink(missing_ok=True)

    def count(self) -> SpanCount:
        """Progress of all spans; without figures if there is no plan."""
        try:
            plan = self.read_plan()
        except DamagedError:
            plan = None
        if plan is None:
            return SpanCount()
        done = frames = 0
        for number, length in enumerate(plan.lengths()):
            if self.read_record(number, plan) is not None:
                done += 1
                frames += length
                continue
            with contextlib.suppress(DamagedError):
                begun = Work(span_path(self.path, number)).read()
                frames += 0 if begun is None else begun.frames
        return SpanCount(done, len(plan.marks), frames, plan.frames)

    def _record(self, number: int) -> Path:
        return span_path(self.path, number).with_suffix(".json")

    def _write(self, file: Path, entries: Mapping[str, object]) -> None:
        with temporary_file(file) as partial:
            with partial.open("w", encoding="utf-8") as text:
                text.write(json.dumps(entries))
                text.flush()
                os.fsync(text.fileno())
            partial.replace(file)


def clear_spans(path: Path) -> None:
    """Remove the files of all spans of a result, locks of killed runs, and the folders that are empty then.

    Raises:
        OutputError: They cannot be removed.
    """
    folder = work_folder(path)
    if not folder.is_dir():
        return
    suffix = re.escape(path.suffix)
    named = re.compile(
        rf"\.?{re.escape(_stem(path))}\.span-(\d{{6,}})"
        rf"((?:\.partial(?:-\d+)?)?\.json|{suffix}\.partial|{suffix}\.lock)"
    )
    found = [(match, entry) for entry in folder.iterdir() if (match := named.fullmatch(entry.name))]
    with reporting_write_errors(path):
        for match, entry in found:
            if match[2].endswith(".json"):
                entry.unlink(missing_ok=True)
                continue
            span = span_path(path, int(match[1]))
            if entry == lock_path(span):
                if find_owner(span) is None:
                    entry.unlink(missing_ok=True)
                continue
            clear_parts(span)
            Work(span).clear()
            for picture in entry.glob("*.partial*") if entry.is_dir() else ():
                picture.unlink(missing_ok=True)
            remove_folder(entry)
        for left in (folder / "spans.json", folder / "fit.bin", *folder.glob("spans.partial*.json")):
            left.unlink(missing_ok=True)
    remove_folder(folder)
