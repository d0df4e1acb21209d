"""Mutated real files: reading ends soon, with frames or with an error message."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cleanplate.media import write_image

MakeVideo = Callable[..., Path]

SECONDS = 200
"""Time limit for a file of a few kilobytes on a busy machine, with the start of the reading process."""

PEAK_MIB = 1500
"""Memory limit of reading a file; an ordinary one needs 200."""

VIDEOS: dict[str, dict[str, Any]] = {
    "a.mp4": {"codec": "libx264", "pixel_format": "yuv420p", "audio_codec": "aac", "options": {"g": "4"}},
    "a.mov": {"codec": "prores_ks", "pixel_format": "yuva444p10le", "audio_codec": "pcm_s16le"},
    "a.mkv": {"codec": "libx264", "pixel_format": "yuv420p", "audio_codec": "flac", "options": {"g": "4"}},
    "b.mkv": {"codec": "ffv1", "pixel_format": "gbrp10le", "audio_codec": "libopus"},
    "a.webm": {
        "codec": "libvpx-vp9",
        "pixel_format": "yuv420p",
        "audio_codec": "libopus",
        "options": {"deadline": "realtime", "g": "4"},
    },
    "a.ts": {"codec": "mpeg2video", "pixel_format": "yuv420p", "audio_codec": "mp2"},
    "b.ts": {"codec": "libx265", "pixel_format": "yuv420p", "options": {"x265-params": "log-level=none"}},
    "a.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p", "audio_codec": "pcm_s16le"},
}
SEQUENCES = ("s_%02d.png", "s_%02d.tif", "s_%02d.jpg")
FRAMES = 9

Edit = tuple[str, float, float, int]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "word", "run", "cut", "swap", "copy", "end"]),
        # Half of all changes go into the first or last part of a file, where the headers and the index are.
        st.one_of(st.floats(0, 0.05), st.floats(0.9, 0.9999), st.floats(0, 0.9999)),
        st.floats(0, 0.9999),
        st.integers(0, 2**32 - 1),
    ),
    min_size=1,
    max_size=8,
)
WORDS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFF, 0xFFFF0000, 0x00010000)


def mutate(data: bytes, edits: list[Edit]) -> bytes:
    """Flip bytes, set words to extremes, insert runs, cut, swap and repeat pieces, truncate."""
    for kind, where, other, value in edits:
        at, to = int(where * len(data)), int(other * len(data))
        length = 1 + value % 64
        if kind == "flip":
            data = data[:at] + bytes([value % 256]) + data[at + 1 :]
        elif kind == "word":
            data = data[:at] + WORDS[value % len(WORDS)].to_bytes(4, "big") + data[at + 4 :]
        elif kind == "run":
            data = data[:at] + bytes([value >> 8 & 255]) * length * 4 + data[at:]
        elif kind == "cut":
            data = data[:at] + data[at + length :]
        elif kind == "swap":
            low, high = sorted((at, to))
            if high - low >= length:
                a, b = data[low : low + length], data[high : high + length]
                data = data[:low] + b + data[low + length : high] + a + data[high + length :]
        elif kind == "copy":
            data = data[:to] + data[at : at + 16 * length] + data[to:]
        elif value % 8 == 0:  # the end of the file: rarely, as little is left to be read then
            data = data[: max(1, at)]
    return data


class Worker:
    """Reading process; restarted after a crash."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def read(self, **job: Any) -> dict[str, Any]:
        if self._process is None:
            command = [sys.executable, str(Path(__file__).with_name("hostile_worker.py"))]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], SECONDS)
        line = process.stdout.readline() if ready else ""
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self.close()
        how = f"ended with {process.returncode}" if ready else f"took more than {SECONDS} s"
        return {"outcome": f"the process {how}", "peak_mib": 0.0}

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._process = None


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    started = Worker()
    yield started
    started.close()


class Originals(dict[str, bytes]):
    """Files by name; hypothesis would print all of them."""

    def __repr__(self) -> str:
        return f"Originals({', '.join(self)})"


@pytest.fixture
def originals(make_video: MakeVideo, tmp_path: Path) -> Originals:
    found = Originals()
    for name, how in VIDEOS.items():
        found[name] = make_video(name, pts=range(FRAMES), **how).read_bytes()
    y, x = np.mgrid[0:40, 0:48]
    for pattern in SEQUENCES:
        for number in range(3):
            pixels = np.stack([x * 5, y * 6, np.full_like(x, 80 * number)], -1).astype(np.uint8)
            write_image(tmp_path / (pattern % number), pixels)
        found[pattern] = (tmp_path / (pattern % 1)).read_bytes()
    return found


def check(worker: Worker, folder: Path, originals: dict[str, bytes], case: tuple[Any, ...]) -> None:
    name, edits, span, damage, out = case
    path = folder / name
    data = mutate(originals[name], edits)
    (folder / (name % 1) if "%" in name else path).write_bytes(data)
    answer = worker.read(
        path=str(path), span=span, damage=damage, out=str(folder / f"out{out}") if out else None
    )
    keep = os.environ.get("CLEANPLATE_KEEP_HOSTILE")
    expected = ("read", "InputError", "OutputError", "OptionError")
    if keep and (answer["outcome"] not in expected or answer["peak_mib"] > PEAK_MIB):
        kept = Path(keep) / f"{abs(hash(str(case)))}_{name.replace('%02d', '01')}"
        kept.write_bytes(data)
    assert answer["outcome"] in expected
    assert answer["peak_mib"] < PEAK_MIB


CASES = st.tuples(
    st.sampled_from([*VIDEOS, *SEQUENCES]),
    EDITS,
    st.sampled_from([None, None, "0.1-0.25", "0.2-"]),
    st.sampled_from(["hold", "drop", "stop"]),
    st.sampled_from([None, None, ".mkv", ".mov"]),
)
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(
    max_examples=250, deadline=None, derandomize=True, suppress_health_check=QUIET, phases=[Phase.generate]
)
@given(case=CASES)
def test_a_mutated_file_gives_frames_or_an_input_error(
    worker: Worker, tmp_path: Path, originals: dict[str, bytes], case: tuple[Any, ...]
) -> None:
    check(worker, tmp_path, originals, case)


@pytest.mark.slow
@pytest.mark.long
@settings(max_examples=1200, deadline=None, derandomize=True, suppress_health_check=QUIET)
@given(case=CASES)
def test_many_mutated_files(
    worker: Worker, tmp_path: Path, originals: dict[str, bytes], case: tuple[Any, ...]
) -> None:
    check(worker, tmp_path, originals, case)
