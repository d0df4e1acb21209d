"""``cleanplate bench --runtime all``: a table of all runtimes of this machine, each in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cleanplate.errors import UnavailableError
from cleanplate.runtimes import Availability, available_runtimes, has_files_for
from cleanplate.runtimes.model_choice import find_model_for, name_model
from cleanplate.vocabulary import KeyerOptions

REFERENCES = (("torch", "cpu"), ("onnx", "cpu"))
"""Reference of the comparison: the first of these that is installed."""

_COLUMNS = ("runtime", "device", "fps", "first frame", "peak memory", "alpha", "foreground")


def measure_all(
    size: str, count: int, options: KeyerOptions, extra: Sequence[str], say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure each runtime and device that can run the model.

    Args:
        size: Size of the frames, as in "1920x1080".
        count: Number of frames to measure.
        options: Model, device ("auto": all of them), scale and refinement.
        extra: Further arguments of ``cleanplate bench``.
        say: Receives the progress.

    Returns:
        ``rows``: for each runtime its report, or ``error``; with ``alpha_difference`` and
        ``foreground_difference``, the mean over the first frame of the distance to ``reference``.

    Raises:
        UnavailableError: No runtime here can run the model.
    """
    # One model for all runtimes: the rows are compared with each other.
    options = replace(options, model=name_model(options))
    model = find_model_for(options)
    places = [
        row
        for row in available_runtimes()
        if row.available and has_files_for(row.runtime, model) and options.device in ("auto", row.device)
    ]
    if not places:
        raise UnavailableError(f"No runtime here can run '{options.model}' on {options.device}.")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number, place in enumerate(places, 1):
            say(f"{place.runtime} on {place.device}, {number} of {len(places)}")
            rows.append(_measure_alone(place, size, count, options, extra, Path(folder) / f"{number}.npz"))
        reference = next((row for pair in REFERENCES for row in rows if _pair(row) == pair), rows[0])
        for row in rows:
            _compare(row, reference)
    for row in rows:
        row.pop("matte")
    return {"size": size, "model": options.model, "reference": " on ".join(_pair(reference)), "rows": rows}


def _measure_alone(
    place: Availability, size: str, count: int, options: KeyerOptions, extra: Sequence[str], matte: Path
) -> dict[str, Any]:
    """Run ``cleanplate bench`` for one runtime in its own process, so that its memory counts separately."""
    options = replace(options, runtime=place.runtime, device=place.device)
    given = {
        name: getattr(options, name)
        for name in ("model", "runtime", "device", "scale", "refine", "precision")
    }
    command = [sys.executable, "-m", "cleanplate", "bench", "--json", "--size", size, "--frames", str(count)]
    command += [f"--{name}={value}" for name, value in given.items()] + [f"--matte={matte}", *extra]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    row: dict[str, Any] = {"runtime": place.runtime, "device": place.device, "matte": matte}
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        said = (errors or done.stderr.splitlines() or [f"ended with {done.returncode}"])[-1]
        return {**row, "error": said.removeprefix("error: ")}
    return {**row, **json.loads(done.stdout)}


def _pair(row: dict[str, Any]) -> tuple[str, str]:
    return row["runtime"], row["device"]


def _compare(row: dict[str, Any], reference: dict[str, Any]) -> None:
    """Add the mean difference of the first frame's matte; colour counts only where it is visible."""
    if "error" in row or "error" in reference:
        return
    with np.load(row["matte"]) as found, np.load(reference["matte"]) as expected:
        alpha = np.abs(found["alpha"] - expected["alpha"])
        seen = np.maximum(found["alpha"], expected["alpha"]) > 0
        top = np.iinfo(found["foreground"].dtype).max
        foreground = np.abs(found["foreground"].astype(float) - expected["foreground"])[seen] / top
    row["alpha_difference"] = float(alpha.mean())
    row["foreground_difference"] = float(foreground.mean()) if foreground.size else 0.0


def describe_all(report: dict[str, Any]) -> str:
    """The report as a table."""
    lines = [_COLUMNS]
    notes = []
    for row in report["rows"]:
        if "error" in row:
            lines.append((row["runtime"], row["device"], *"-----"))
            notes.append(f"{row['runtime']} on {row['device']}: {row['error']}")
            continue
        memory = row["peak_memory_mb"]
        lines.append((
            row["runtime"], row["device"], f"{row['fps']:.1f}", f"{row['first_frame_seconds']:.2f} s",
            "?" if memory is None else f"{memory:.0f} MB",
            *(f"{row[f'{what}_difference']:.1e}" if f"{what}_difference" in row else "-"
              for what in ("alpha", "foreground")),
        ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    head = f"{report['model']} at {report['size']}; mean differences are those from {report['reference']}"
    return "\n".join([head, *table, *notes])
