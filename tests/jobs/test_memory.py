"""Memory does not grow with the length of a clip, and 4K fits into 2 GB."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cleanplate.frame import Frame, Matte
from cleanplate.jobs.pipeline import Output, bytes_in_flight, run
from cleanplate.media import SourceInfo, open_sink

HEIGHT, WIDTH = 1080, 1920
MEGABYTE = 1 << 20
STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    return int(STATM.read_text().split()[1]) * 4096


@pytest.mark.slow
@pytest.mark.skipif(not STATM.exists(), reason="reads /proc/self/statm")
def test_memory_is_flat_over_a_long_clip(tmp_path: Path) -> None:
    info = SourceInfo(Path("none"), HEIGHT, WIDTH, frame_rate=Fraction(25), time_base=Fraction(1, 25))
    background = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    alpha = np.ones((HEIGHT, WIDTH), np.float32)
    seen = {}

    class Source:
        def __init__(self) -> None:
            self.info, self.notes = info, []

        def __iter__(self):
            for index in range(600):
                pixels = background.copy()
                pixels[:, index : index + 400] = index % 256
                yield Frame(pixels, index, Fraction(1, 25), 1, index)

    def look(progress) -> None:
        seen[progress.frames] = resident_bytes()

    saving = SimpleNamespace(every=50, start=0, take=lambda *_: None, commit=lambda _: None)
    before = resident_bytes()
    sink = open_sink(tmp_path / "a.mp4", info, layer="composite", segments=())
    outputs = [Output(lambda matte: matte.foreground, sink)]
    run(Source(), lambda frame: Matte(alpha, frame.pixels, frame), outputs, saving=saving, on_progress=look)
    early = max(used for frames, used in seen.items() if 100 <= frames <= 300)
    late = max(used for frames, used in seen.items() if frames > 400)
    assert late - early < 150 * MEGABYTE, "a frame has 6, and 300 lie between"
    # Frames in the queues, and an encoder with 30 pictures of lookahead and reference pictures.
    encoder = 100 * HEIGHT * WIDTH * 3 // 2
    assert late - before < bytes_in_flight(info, ["composite"]) + encoder


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="asks getrusage")
def test_4k_to_prores_takes_less_than_two_gigabytes(tmp_path: Path) -> None:
    script = Path(__file__).with_name("peak_memory.py")
    arguments = [sys.executable, str(script), str(tmp_path), "76"]
    said = subprocess.run(arguments, capture_output=True, text=True, timeout=800, check=True).stdout
    _, peak = (int(kilobytes) * 1024 for kilobytes in said.split())
    assert peak < 2 << 30
