"""Report of a run as JSON: fit, light and confidence of each frame, and frames to look at.

The file is written frame by frame, so that memory does not grow with the clip::

    {"format": "cleanplate-report-1", "source": "clip.mp4",
     "frames": [
      {"index": 0, "seconds": 0.0, "shift_pixels": 0.0, "rotation_degrees": 0.0, "zoom": 1.0,
       "exposure_stops": 0.12, "gain": [1.04, 1.04, 1.05], "overlap": 1.0, "changed": 0.21,
       "confidence": 0.94, "hole_share": 0.0},
      ...],
     "mean_confidence": 0.93,
     "look_at": [
      {"first": 120, "last": 134, "seconds": [4.8, 5.36], "why": "the matte has a low confidence"}]}
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np

from cleanplate.errors import OutputError
from cleanplate.frame import Float32Array, Frame, Matte
from cleanplate.jobs.holes import VIEW_SIDE, HoleWatch
from cleanplate.keyer.keyer import Keyer
from cleanplate.media.files import check_writable, reporting_write_errors
from cleanplate.plate.structure import reduced_size
from cleanplate.system.temporary_files import claim_partial, end_move, move_into_place

FORMAT = "cleanplate-report-1"

UNSURE_CONFIDENCE = 0.7
"""Confidence below which a frame is listed for checking. Chosen, not measured."""

LEAST_OVERLAP = 0.9
"""Share of the frame that the plate must show. Chosen, not measured."""

JUMP_STOPS = 0.15
"""Change of light from one frame to the next that is a jump. Chosen, not measured."""

JUMP_SHARE = 0.05
"""Change of the covered share of the frame from one frame to the next that is a jump. Chosen; ten moving
figures change by 0.03 at most (docs/log.md, 2026-11-29)."""

HOLE_SHARE = 0.005
"""Least area of a hole that is reported, as a share of the subject's area. Chosen; made round holes of this
size are named in every frame, of half of it in none (docs/log.md, 2026-11-29)."""

BRIDGED_FRAMES = 5
"""Largest distance of two runs of frames that are joined to one. Chosen, not measured."""

MOST_RUNS = 1000
"""Largest number of listed runs; the report itself has all frames."""

HOLE = "a hole opened inside the subject"

TOLD_RUNS = 5
"""Largest number of runs that are named in notes."""


@dataclass(frozen=True)
class Run:
    """Run of frames to check.

    Attributes:
        first: Index of the first frame.
        last: Index of the last one.
        seconds: Their times.
        why: Reason, as the end of a sentence.
    """

    first: int
    last: int
    seconds: tuple[float, float]
    why: str

    def __str__(self) -> str:
        start, end = (_clock(seconds) for seconds in self.seconds)
        if self.first == self.last:
            return f"frame {self.first} ({start}): {self.why}"
        return f"frames {self.first}-{self.last} ({start}-{end}): {self.why}"


class ReportWriter:
    """Observer of a run: writes the fit, light and confidence of each frame.

    A report is written as ``name.partial.json`` and renamed by :meth:`close`; a file is overwritten only if
    it is allowed.

    Args:
        keyer: Keyer of the frames, which has the fit and confidence of the last one.
        path: The report.
        source: The clip's name.
        overwrite: Replace an existing report.
        partial: Continue this file of an earlier run; :meth:`restore` has to follow.

    Raises:
        OutputError: It cannot be written.
    """

    def __init__(
        self,
        keyer: Keyer,
        path: Path,
        source: str,
        *,
        overwrite: bool = False,
        partial: Path | None = None,
    ) -> None:
        check_writable(path, overwrite=overwrite)
        self._keyer = keyer
        self._path = path
        self._overwrite = overwrite
        self._runs: dict[str, list[Run]] = {}
        self._before: tuple[float, float] | None = None
        self._frames, self._confidences = 0, 0.0
        self._holes, self._time = HoleWatch(), 0.0
        with reporting_write_errors(path):
            self.partial = claim_partial(path) if partial is None else partial
            self._file: IO[str] = self.partial.open("r+", encoding="utf-8")
            if partial is not None:
                return
            head = json.dumps({"format": FORMAT, "source": source})
            self._file.write(f'{head[:-1]},\n "frames": [')

    def add(self, matte: Matte) -> None:
        """Add the last keyed frame.

        Raises:
            OutputError: The report cannot be written.
        """
        frame, fit, confidence = matte.frame, self._keyer.fit, self._keyer.confidence
        if fit is None or confidence is None:
            raise RuntimeError("a frame was keyed without a plate fit")
        seconds, self._time = float(frame.time_seconds) - self._time, float(frame.time_seconds)
        hole = self._holes.measure(self._shrink_alpha(matte), max(seconds, 0.0))
        entry = {
            "index": frame.index,
            "seconds": round(float(frame.time_seconds), 6),
            "shift_pixels": round(fit.shift_pixels, 3),
            "rotation_degrees": round(fit.rotation_degrees, 4),
            "zoom": round(fit.zoom, 5),
            "exposure_stops": round(fit.exposure_stops, 3),
            "gain": [round(float(gain), 4) for gain in fit.gain],
            "overlap": round(fit.overlap, 4),
            "changed": round(confidence.changed, 4),
            "confidence": round(confidence.confidence, 4),
            "hole_share": round(hole, 4),
        }
        with reporting_write_errors(self._path):
            self._file.write(("," if self._frames else "") + "\n  " + json.dumps(entry))
        self._frames += 1
        self._confidences += confidence.confidence
        for why in self._worry(fit.exposure_stops, fit.overlap, confidence.changed, confidence.confidence):
            self._note_down(frame, why)
        if hole > HOLE_SHARE:
            self._note_down(frame, HOLE)

    def _shrink_alpha(self, matte: Matte) -> Float32Array:
        """Alpha as a small picture in main memory."""
        height, width = reduced_size(matte.frame.height, matte.frame.width, VIEW_SIDE)
        router = self._keyer.device_router
        if router is not None:
            return router.glance(matte.alpha, (height, width), "area")
        small = cv2.resize(matte.alpha, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.float32)

    def snapshot(self) -> tuple[Any, ...]:
        """State after the frames so far, with the length of the file."""
        with reporting_write_errors(self._path):
            self._file.flush()
        runs = {why: [(run.first, run.last, run.seconds) for run in runs] for why, runs in self._runs.items()}
        length = self.partial.stat().st_size
        holes = (*self._holes.snapshot(), self._time)
        return length, runs, self._before, self._frames, self._confidences, holes

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        """Continue after the frames of a snapshot; later entries are cut off.

        Raises:
            OutputError: The file is shorter than it was.
        """
        length, runs, self._before, self._frames, self._confidences, (*holes, self._time) = snapshot
        self._holes.restore(tuple(holes))
        self._runs = {
            why: [Run(first, last, seconds, why) for first, last, seconds in runs[why]] for why in runs
        }
        with reporting_write_errors(self._path):
            if self._file.seek(0, os.SEEK_END) < length:
                raise OutputError(
                    f"{self.partial} is shorter than it was when the run was interrupted.",
                    "start again with --overwrite",
                )
            self._file.truncate(length)
            self._file.seek(length)

    @property
    def look_at(self) -> list[Run]:
        """Runs of frames to check, in order."""
        return sorted((run for runs in self._runs.values() for run in runs), key=lambda run: run.first)

    def tell(self) -> Iterable[str]:
        """Sentences for the longest runs of frames to check."""
        runs = self.look_at
        longest = sorted(runs, key=lambda run: run.first - run.last)[:TOLD_RUNS]
        for run in sorted(longest, key=lambda run: run.first):
            yield f"Check {run}."
        if len(runs) > TOLD_RUNS:
            yield f"{len(runs) - TOLD_RUNS} more places to check are listed in {self._path.name}."

    def close(self) -> None:
        """Finish the report and move it into place.

        Raises:
            OutputError: It cannot be written.
        """
        self._finish()
        with reporting_write_errors(self._path):
            move_into_place(self.partial, self._path, overwrite=self._overwrite)

    def abort(self) -> None:
        """Keep the partial report, readable, under its temporary name."""
        with contextlib.suppress(Exception):  # the first error is already being raised
            self._finish()

    def _finish(self) -> None:
        if self._file.closed:
            return
        runs = [
            {"first": run.first, "last": run.last, "seconds": list(run.seconds), "why": run.why}
            for run in self.look_at
        ]
        mean = round(self._confidences / self._frames, 4) if self._frames else None
        tail = json.dumps({"mean_confidence": mean, "look_at": runs})
        with reporting_write_errors(self._path), self._file:
            self._file.write(f"],\n {tail[1:]}\n")

    def _worry(self, stops: float, overlap: float, changed: float, confidence: float) -> Iterable[str]:
        before, self._before = self._before, (stops, changed)
        if confidence < UNSURE_CONFIDENCE:
            yield "the matte has a low confidence"
        if overlap < LEAST_OVERLAP:
            yield "the plate does not cover the whole frame"
        if before is not None and abs(stops - before[0]) > JUMP_STOPS:
            yield "the light changed suddenly"
        if before is not None and abs(changed - before[1]) > JUMP_SHARE:
            yield "the subject changed size suddenly"

    def _note_down(self, frame: Frame, why: str) -> None:
        runs = self._runs.setdefault(why, [])
        seconds = round(float(frame.time_seconds), 3)
        if runs and frame.index - runs[-1].last <= BRIDGED_FRAMES:
            runs[-1] = replace(runs[-1], last=frame.index, seconds=(runs[-1].seconds[0], seconds))
        elif len(runs) < MOST_RUNS:
            runs.append(Run(frame.index, frame.index, (seconds, seconds), why))


def is_finished(path: Path, partial: str | None) -> bool:
    """Tell whether a report is complete, without a temporary file; an interrupted move of it is finished."""
    if partial is None:
        return path.exists()
    end_move(path.with_name(partial), path)
    return path.exists() and not path.with_name(partial).exists()


def _clock(seconds: float) -> str:
    """Minutes, seconds and tenths."""
    minutes, rest = divmod(round(10 * seconds), 600)
    return f"{minutes}:{rest // 10:02}.{rest % 10}"
